import { join, resolve } from "node:path";

/** How a development cluster is laid out: ports, seeds and files follow from three numbers. */
export interface DevLayout {
  /** Absolute. */
  readonly folder: string;
  readonly brokers: number;
  /** Client port of broker 1; broker N has 10·(N-1) more, its peer port is one above that, its admin port two (design §10). */
  readonly port: number;
}

export interface DevBroker {
  readonly id: number;
  readonly address: string;
  readonly peerAddress: string;
  readonly adminAddress: string;
  readonly data: string;
  readonly logFile: string;
  readonly stateFile: string;
}

export function devBroker(layout: DevLayout, id: number): DevBroker {
  const port = layout.port + 10 * (id - 1);
  return {
    id,
    address: `127.0.0.1:${port}`,
    peerAddress: `127.0.0.1:${port + 1}`,
    adminAddress: `127.0.0.1:${port + 2}`,
    data: join(layout.folder, `broker-${id}`),
    logFile: join(layout.folder, `broker-${id}.log`),
    stateFile: join(layout.folder, `broker-${id}.json`),
  };
}

export function devBrokers(layout: DevLayout): readonly DevBroker[] {
  return Array.from({ length: layout.brokers }, (_, i) => devBroker(layout, i + 1));
}

/** 1, 3 or 5 of the first brokers: as many as there are of those numbers. */
export function seedCount(brokers: number): number {
  return brokers >= 5 ? 5 : brokers >= 3 ? 3 : 1;
}

/** Arguments of `millrace` that run this broker. */
export function brokerArguments(layout: DevLayout, broker: DevBroker): string[] {
  const seeds = devBrokers(layout).slice(0, seedCount(layout.brokers));
  const isSeed = seeds.some((seed) => seed.id === broker.id);
  return [
    "broker",
    ...["--id", `${broker.id}`, "--data", broker.data],
    ...["--listen", broker.address, "--advertise", broker.address],
    ...["--peer-listen", broker.peerAddress, "--admin-listen", broker.adminAddress],
    ...["--seeds", seeds.map((seed) => `${seed.id}@${seed.peerAddress}`).join(",")],
    ...(isSeed ? [] : ["--join", devBroker(layout, 1).peerAddress]),
    // A laptop's disk should not lose three gigabytes to an idle log (design §4).
    ...["--set", "wal.file.bytes=16MiB", "--set", "wal.files.max=8", "--set", "disk.reserve.bytes=128MiB"],
  ];
}

export function layoutFile(folder: string): string {
  return join(resolve(folder), "dev.json");
}
