import type { Argv, CommandModule } from "yargs";
import { counted } from "../../base/plural.ts";
import type { DescribeGroupResponse } from "../../client/index.ts";
import { ADMIN, withClient } from "../connect.ts";
import { UsageError } from "../exit-code.ts";
import { eachOnce, formatOption } from "../flags.ts";
import { groupCsv, groupJson, groupText, offsetsFormatOption, stateName } from "../group-table.ts";
import { table } from "../table.ts";
import type { Terminal } from "../terminal.ts";
import { seekCommand } from "./group-seek.ts";

interface Common {
  readonly brokers?: string | undefined;
  readonly format: string;
}

const NO_GROUPS = "there are no consumer groups; `millrace consume TOPIC --group NAME` makes one";

export function groupCommand(terminal: Terminal): CommandModule {
  return {
    command: "group",
    describe: "List, describe, move and delete consumer groups",
    builder: (yargs: Argv) =>
      yargs
        .command(listCommand(terminal))
        .command(describeCommand(terminal))
        .command(seekCommand(terminal))
        .command(deleteCommand(terminal))
        .demandCommand(1, "Say what to do: list, describe, seek or delete"),
    handler: () => undefined,
  };
}

function listCommand(terminal: Terminal): CommandModule<object, Common> {
  return {
    command: "list",
    describe: "List groups with their state and number of members",
    builder: (yargs) => yargs.option("format", formatOption) as Argv<Common>,
    handler: async (args) => {
      const groups = await withClient(args.brokers, (client) => client.admin(ADMIN).groups.list());
      const rows = groups.map(({ groupId, state, members }) => ({ group: groupId, state: stateName(state), members }));
      if (args.format === "json") for (const row of rows) await terminal.data(`${JSON.stringify(row)}\n`);
      else if (rows.length === 0) terminal.say(NO_GROUPS);
      else
        await terminal.data(
          table(
            ["GROUP", "STATE", "MEMBERS"],
            rows.map(({ group, state, members }) => [group, state, members]),
          ),
        );
    },
  };
}

interface Describe extends Common {
  readonly groups: string[];
  readonly members?: boolean | undefined;
}

function describeCommand(terminal: Terminal): CommandModule<object, Describe> {
  return {
    command: "describe <groups..>",
    describe: "Show who has which partition, what is committed, and how far each is behind",
    builder: (yargs) =>
      yargs
        .positional("groups", { type: "string", array: true, demandOption: true, describe: "Names" })
        .option("members", { type: "boolean", default: false, describe: "Also each member, what it holds and is to hold" })
        .option("format", offsetsFormatOption)
        .example("$0 group describe etl --format csv > offsets.csv", "")
        .epilogue(
          "LAG counts records not yet committed; TIME LAG is how far the group is behind in the log's own time, OLDEST how long its first such record has been waiting. VERDICT: ok; warn: it commits, and falls behind all the same; stalled: a member holds the partition and commits nothing; stopped: nobody holds it; rewind: it was moved back lately.",
        ) as Argv<Describe>,
    handler: async (args) => {
      const names = eachOnce("group describe", args.groups);
      if (args.format === "csv" && names.length > 1) throw new UsageError("--format csv is of one group: its lines do not name it");
      await withClient(args.brokers, async (client) => {
        const { groups } = client.admin(ADMIN);
        for (const name of names) await terminal.data(shown(await groups.describe(name), args));
      });
    },
  };
}

function shown(group: DescribeGroupResponse, { format, members }: Describe): string {
  if (format === "csv") return groupCsv(group);
  return format === "json" ? `${JSON.stringify(groupJson(group))}\n` : groupText(group, members === true);
}

interface Delete {
  readonly brokers?: string | undefined;
  readonly groups: string[];
  readonly topic?: string[] | undefined;
}

function deleteCommand(terminal: Terminal): CommandModule<object, Delete> {
  return {
    command: "delete <groups..>",
    describe: "Delete groups without members, and what they have committed",
    builder: (yargs) =>
      yargs.positional("groups", { type: "string", array: true, demandOption: true, describe: "Names" }).option("topic", {
        type: "string",
        array: true,
        requiresArg: true,
        describe: "Only what is committed of this topic, which no member reads; may be given again",
      }) as Argv<Delete>,
    handler: (args) =>
      withClient(args.brokers, async (client) => {
        const { groups } = client.admin(ADMIN);
        const topics = eachOnce("--topic", args.topic ?? []);
        for (const name of eachOnce("group delete", args.groups)) {
          if (topics.length === 0) {
            await groups.delete(name);
            await terminal.data(`deleted ${name}\n`);
            continue;
          }
          const [refused] = await groups.deleteOffsets(
            name,
            topics.map((topic) => ({ topic })),
          );
          if (refused !== undefined) throw refused.error;
          await terminal.data(`deleted what ${name} had committed of ${counted(topics.length, "topic")}: ${topics.join(", ")}\n`);
        }
      }),
  };
}
