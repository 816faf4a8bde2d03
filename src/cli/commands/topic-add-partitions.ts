import type { Argv, CommandModule } from "yargs";
import { counted } from "../../base/plural.ts";
import { ADMIN, withClient } from "../connect.ts";
import { UsageError } from "../exit-code.ts";
import { formatOption, wholeFlag } from "../flags.ts";
import { seenTopic } from "../seen-topic.ts";
import type { Terminal } from "../terminal.ts";

interface AddPartitions {
  readonly brokers?: string | undefined;
  readonly format: string;
  readonly topic: string;
  readonly partitions?: string | undefined;
  readonly validateOnly?: boolean | undefined;
}

export function addPartitionsCommand(terminal: Terminal): CommandModule<object, AddPartitions> {
  return {
    command: "add-partitions <topic>",
    describe: "Give a topic more partitions; from then on its keys are spread anew",
    builder: (yargs) =>
      yargs
        .positional("topic", { type: "string", demandOption: true, describe: "Its name" })
        .option("partitions", { type: "string", requiresArg: true, describe: "The new total, not how many to add" })
        .option("validate-only", { type: "boolean", default: false, describe: "Check everything, change nothing" })
        .option("format", formatOption)
        .example("$0 topic add-partitions flights --partitions 12", "")
        .epilogue(
          "Records stay where they are. A key may map to another partition than before, so its records written\n" +
            "before and after may lie in different ones; their order holds within each. None is ever taken away.",
        ) as Argv<AddPartitions>,
    handler: async (args) => {
      const partitions = wholeFlag("--partitions", args.partitions, 1, 1_000_000);
      if (partitions === undefined) throw new UsageError("Say how many partitions it shall have: --partitions N");
      await withClient(args.brokers, async (client) => {
        const admin = client.admin(ADMIN);
        const [before] = await admin.describeTopics([args.topic], { latest: true });
        const from = before?.partitions.length ?? 0;
        const { validateOnly } = args;
        const topic = await admin.addPartitions(args.topic, partitions, { validateOnly, ...(await seenTopic(admin, before)) });
        if (args.validateOnly) terminal.say(`${args.topic} could have ${counted(partitions, "partition")}; nothing was changed`);
        else if (from === partitions) terminal.say(`${args.topic} has ${counted(from, "partition")} already; nothing was changed`);
        else if (args.format === "json")
          await terminal.data(`${JSON.stringify({ name: args.topic, before: from, after: topic?.partitions.length ?? partitions })}\n`);
        else await terminal.data(`${args.topic} has ${counted(partitions, "partition")} now, ${from} before\n`);
      });
    },
  };
}
