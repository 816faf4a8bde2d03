import { readFileSync } from "node:fs";
import type { Argv } from "yargs";
import type { ConfigSources } from "../config/load.ts";
import { UsageError } from "./exit-code.ts";
import { pairsFlag } from "./flags.ts";

/** What `broker` takes, and `config print` too, so that it shows what a broker started with the same words would run with. */
export interface BrokerFlags {
  readonly id?: string;
  readonly data?: string;
  readonly listen?: string;
  readonly advertise?: string;
  readonly peerListen?: string;
  readonly peerAdvertise?: string;
  readonly adminListen?: string;
  readonly seeds?: string;
  readonly join?: string;
  readonly rack?: string;
  readonly config?: string;
  readonly set?: string[];
  readonly insecureListen?: boolean;
}

export function brokerOptions<T>(yargs: Argv<T>): Argv<T> {
  const text = { type: "string", requiresArg: true } as const;
  yargs
    .option("id", { ...text, describe: "Number of this broker, unique in the cluster (required)" })
    .option("data", { ...text, describe: "Directory for everything it stores (required)" })
    .option("listen", { ...text, describe: "HOST:PORT for clients [127.0.0.1:7400]" })
    .option("advertise", { ...text, describe: "HOST:PORT clients are told [that of --listen]" })
    .option("peer-listen", { ...text, describe: "HOST:PORT for other brokers [127.0.0.1:7401]" })
    .option("peer-advertise", { ...text, describe: "HOST:PORT other brokers are told [that of --peer-listen]" })
    .option("admin-listen", { ...text, describe: "HOST:PORT for probes and metrics [127.0.0.1:7402]" })
    .option("seeds", { ...text, describe: "ID@HOST:PORT,… of 1, 3 or 5 brokers: peer addresses, the same on all (required)" })
    .option("join", { ...text, describe: "Peer address of a live broker, for one that is no seed" })
    .option("rack", { ...text, describe: "Where it stands: replicas are spread over racks" })
    .option("config", { ...text, describe: "YAML file of settings [MILLRACE_CONFIG]" })
    .option("set", { ...text, array: true, describe: "KEY=VALUE for any setting; may be given again" })
    .option("insecure-listen", { type: "boolean", describe: "Allow listeners that other machines can reach" })
    .hide("brokers");
  return yargs;
}

/** @throws {UsageError} when the file cannot be read */
export function brokerSources(flags: BrokerFlags): ConfigSources {
  const name = flags.config ?? process.env["MILLRACE_CONFIG"];
  return {
    env: process.env,
    flags: {
      ...pairsFlag("--set", flags.set),
      "broker.id": flags.id,
      data: flags.data,
      listen: flags.listen,
      advertise: flags.advertise,
      "peer.listen": flags.peerListen,
      "peer.advertise": flags.peerAdvertise,
      "admin.listen": flags.adminListen,
      "cluster.seeds": flags.seeds,
      "cluster.join": flags.join,
      rack: flags.rack,
      "insecure.listen": flags.insecureListen === undefined ? undefined : String(flags.insecureListen),
    },
    ...(name === undefined ? {} : { file: { name, text: readConfigFile("--config", name) } }),
  };
}

/** @param option for the message @throws {UsageError} */
export function readConfigFile(option: string, name: string): string {
  try {
    return readFileSync(name, "utf8");
  } catch (error) {
    throw new UsageError(`Cannot read ${option}: ${(error as Error).message}`);
  }
}
