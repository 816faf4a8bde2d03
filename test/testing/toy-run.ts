import { fileURLToPath } from "node:url";
import { RpcFailure } from "../../src/base/ports/rpc-client.ts";
import { SimClock } from "../../src/testing/sim/clock.ts";
import { DiskDevice } from "../../src/testing/sim/disk/device.ts";
import { SimDisk } from "../../src/testing/sim/disk/sim-disk.ts";
import { SimNetwork } from "../../src/testing/sim/network/network.ts";
import { SimProcess } from "../../src/testing/sim/process.ts";
import { SimRpcClient } from "../../src/testing/sim/rpc/sim-rpc-client.ts";
import { SimRpcServer } from "../../src/testing/sim/rpc/sim-rpc-server.ts";
import { Scheduler } from "../../src/testing/sim/scheduler.ts";
import { Trace } from "../../src/testing/sim/trace.ts";

/**
 * A service that writes each request to disk before it answers, called under crashes, power cuts and cut links: small, and made of
 * every part of the simulator. Run as a program it prints the digest of the seed it is given.
 */
export async function toyRun(seed: number, print?: (line: string) => void): Promise<{ digest: string; answered: number; lost: number }> {
  const scheduler = new Scheduler(seed, new Trace(print));
  const network = new SimNetwork(scheduler);
  const device = new DiskDevice(scheduler, "d");
  const link = network.link("hc", "hs");
  let server = await startServer(scheduler, network, device);
  const client = new SimProcess(scheduler, "client");
  const channel = new SimRpcClient(network, client, "hc").channel("hs:1");
  const answers = { answered: 0, lost: 0 };
  const caller = async () => {
    for (let i = 0; i < 60; i++) {
      try {
        await channel.unary("/Toy/Write", new Uint8Array(100 + i), { timeoutMs: 200 });
        answers.answered++;
      } catch (error) {
        if (!(error instanceof RpcFailure)) throw error;
        answers.lost++;
        await client.promise<void>((resolve) => void client.after(20, "waits", () => resolve()));
      }
    }
  };
  let done = false;
  void caller().then(() => (done = true));
  for (let i = 0; i < 8; i++) {
    const fault = scheduler.random.below(4);
    await scheduler.run(scheduler.now + scheduler.random.below(200));
    if (fault === 0) link.cut();
    else if (fault === 1) link.heal();
    else {
      server.kill();
      if (fault === 2) device.processCrash();
      else device.powerCut();
      server = await startServer(scheduler, network, device);
    }
  }
  link.heal();
  await scheduler.run(scheduler.now + 60_000, () => done);
  return { digest: scheduler.trace.digest, ...answers };
}

async function startServer(scheduler: Scheduler, network: SimNetwork, device: DiskDevice): Promise<SimProcess> {
  const process = new SimProcess(scheduler, "server");
  const disk = new SimDisk(device, process);
  const server = new SimRpcServer(network, process, new SimClock(process));
  let written = 0;
  server.register("/Toy/Write", {
    kind: "unary",
    async handle(request) {
      const name = `f${scheduler.ran}-${written++}`;
      const file = await disk.open(name, { mode: "create" });
      await file.write(0, [request]);
      await file.sync();
      await disk.syncDirectory("");
      await file.close();
      return request;
    },
  });
  await server.listen("hs:1");
  return process;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { digest } = await toyRun(Number(process.argv[2]));
  process.stdout.write(`${digest}\n`);
}
