import { createHash } from "node:crypto";
import { statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import type { Argv, CommandModule } from "yargs";
import { counted } from "../../base/plural.ts";
import type { Disk } from "../../base/ports/disk.ts";
import { GzipInflate } from "../../compression/gzip.ts";
import { openDisk } from "../../disk/node-disk.ts";
import { type DumpItem, dumpFile } from "../../log/dump/dump-file.ts";
import { dumpGroup, type FoundGroup, groupsOf, WalDump } from "../../log/dump/dump-group.ts";
import { GroupConfig } from "../../protocol/routing.ts";
import { FrameType } from "../../records/frame-types.ts";
import { recordLines } from "../dumped-records.ts";
import { CommandFailed, ExitCode, UsageError } from "../exit-code.ts";
import type { Terminal } from "../terminal.ts";

interface LogDumpFlags {
  readonly what: string;
  readonly data?: string | undefined;
  readonly hash?: boolean | undefined;
  readonly records?: boolean | undefined;
  readonly format: string;
}

const TYPES = new Map<number, string>(Object.entries(FrameType).map(([name, number]) => [number, name]));

export function logDumpCommand(terminal: Terminal): CommandModule<object, LogDumpFlags> {
  return {
    command: "log-dump <what>",
    describe: "Print the frames of a segment, of a file of the write-ahead log, or of a partition of a broker that is stopped",
    builder: (yargs) =>
      yargs
        .positional("what", {
          type: "string",
          demandOption: true,
          describe: "A segment, index, snapshot or wal/NN; or with --data TOPIC/PARTITION or a group's number",
        })
        .option("data", { type: "string", requiresArg: true, describe: "Data directory of the broker, for a partition" })
        .option("hash", { type: "boolean", describe: "SHA-256 of each payload, and without where it lies: equal on every replica" })
        .option("records", {
          type: "boolean",
          describe: "The records instead, as `consume --format json` prints them; of a partition",
        })
        .option("format", { choices: ["text", "json"], default: "text", requiresArg: true, describe: "How to print" })
        .example("$0 debug log-dump data/wal/00", "")
        .example("$0 debug log-dump orders/0 --data ./.millrace/broker-1 --hash", "")
        .example("$0 debug log-dump orders/0 --data ./.millrace/broker-1 --records", "")
        .epilogue(
          "Changes nothing. Records that were not committed yet are among those printed. Bytes that are not what they should be are named on stderr by file and byte: exit 1.",
        ) as Argv<LogDumpFlags>,
    handler: async (args) => {
      if (args.records === true && args.hash === true) throw new UsageError("--records and --hash say two things: leave one out");
      if (args.records === true && args.data === undefined)
        throw new UsageError("--records wants a partition: name the data directory with --data");
      let bad = 0;
      const json = args.format === "json";
      const told = ({ path, position }: DumpItem, what: string): void => {
        bad += 1;
        terminal.say(`${path} at byte ${position}: ${what}`);
      };
      const inflate = new GzipInflate();
      const recordsOf = async (item: DumpItem, number: number): Promise<void> => {
        if (item.kind !== "frame") return item.kind === "bad" ? told(item, item.what) : undefined;
        const lines = await recordLines(item.frame, number, inflate);
        if (typeof lines === "string") return told(item, lines);
        for (const line of lines) await terminal.data(line);
      };
      const sink = (item: DumpItem, number = 0): void | Promise<void> => {
        if (args.records === true) return recordsOf(item, number);
        if (item.kind === "bad") return told(item, item.what);
        if (item.kind === "note" && args.hash === true) return undefined;
        return terminal.data(`${json ? JSON.stringify(fieldsOf(item, args.hash === true)) : lineOf(item, args.hash === true)}\n`);
      };
      if (args.data !== undefined) await partition(args.data, args.what, sink);
      else {
        existing(args.what, "file");
        await dumpFile(openDisk(dirname(resolve(args.what))), basename(args.what), sink);
      }
      await terminal.flush();
      if (bad > 0) throw new CommandFailed(ExitCode.failure, `${counted(bad, "place")} not as written`);
    },
  };
}

async function partition(data: string, what: string, sink: (item: DumpItem, number: number) => void | Promise<void>): Promise<void> {
  existing(join(data, "meta.json"), "data directory");
  const disk: Disk = openDisk(resolve(data));
  const wal = await WalDump.read(disk, (item) => sink(item, 0));
  const groups = await groupsOf(disk, wal);
  const group = groups.find((one) => String(one.groupId) === what || nameOf(one) === what);
  if (group === undefined) {
    const known = groups.map((one) => nameOf(one) ?? String(one.groupId)).join(", ");
    throw new CommandFailed(ExitCode.absent, `${data} holds no ${what}; it holds ${known === "" ? "nothing" : known}`);
  }
  const { partition: number = 0 } = configOf(group) ?? {};
  await dumpGroup(disk, wal, group, (item) => sink(item, number));
}

function nameOf(group: FoundGroup): string | undefined {
  const { topic = "", partition: number } = configOf(group) ?? {};
  return topic === "" ? undefined : `${topic}/${number}`;
}

function configOf({ config }: FoundGroup): GroupConfig | undefined {
  if (config === undefined) return undefined;
  try {
    return GroupConfig.decode(config);
  } catch {
    // A damaged configuration names nothing; the number of the group still finds it.
    return undefined;
  }
}

function existing(path: string, what: string): void {
  try {
    statSync(path);
  } catch {
    throw new UsageError(`${path} is no ${what}`);
  }
}

/** With `hash`, what is equal on every replica; without, where it lies too. */
function fieldsOf(item: Exclude<DumpItem, { kind: "bad" }>, hash: boolean): Readonly<Record<string, string | number>> {
  if (item.kind === "note") return { path: item.path, position: item.position, note: item.text };
  const { frame, path, position } = item;
  const type = TYPES.get(frame.type) ?? String(frame.type);
  const fields = { index: frame.index, term: frame.term, offset: frame.baseOffset, type };
  if (hash) return { ...fields, sha256: createHash("sha256").update(frame.payload).digest("hex") };
  return { ...fields, records: frame.recordCount, bytes: frame.payload.length, path, position };
}

function lineOf(item: Exclude<DumpItem, { kind: "bad" }>, hash: boolean): string {
  if (item.kind === "note") return `${item.path} ${item.position} ${item.text}`;
  return Object.entries(fieldsOf(item, hash))
    .map(([name, value]) => `${name} ${value}`)
    .join(" ");
}
