import type { Argv, CommandModule } from "yargs";
import { ADMIN, withClient } from "../connect.ts";
import { wholeFlag } from "../flags.ts";
import type { Terminal } from "../terminal.ts";

interface Transfer {
  readonly brokers?: string | undefined;
  readonly topic: string;
  readonly partition: string;
  readonly to?: string | undefined;
}

export function partitionCommand(terminal: Terminal): CommandModule {
  return {
    command: "partition",
    describe: "Hand leadership of a partition over",
    builder: (yargs: Argv) => yargs.command(transferCommand(terminal)).demandCommand(1, "Say what to do: transfer-leader"),
    handler: () => undefined,
  };
}

function transferCommand(terminal: Terminal): CommandModule<object, Transfer> {
  return {
    command: "transfer-leader <topic> <partition>",
    describe: "Hand leadership of one partition to another replica, without losing a record",
    builder: (yargs) =>
      yargs
        .positional("topic", { type: "string", demandOption: true, describe: "Name of the topic" })
        .positional("partition", { type: "string", demandOption: true, describe: "Number of the partition, from 0" })
        .option("to", {
          type: "string",
          requiresArg: true,
          describe: "Broker that shall lead [whichever in-sync replica is furthest]",
        }) as Argv<Transfer>,
    handler: async (args) => {
      const partition = wholeFlag("partition", args.partition, 0, 1_000_000) as number;
      const to = wholeFlag("--to", args.to, 1, 1_000_000_000);
      const moved = await withClient(args.brokers, (client) => client.admin(ADMIN).transferLeader(args.topic, partition, to));
      await terminal.data(`${args.topic}/${partition} is led by broker ${moved.leaderId} in term ${moved.term}\n`);
    },
  };
}
