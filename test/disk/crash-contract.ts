import type { Disk, DiskFile } from "../../src/base/ports/disk.ts";
import { readText } from "./contract.ts";

/**
 * What a `Disk` must have kept when its process, or the power, dies at any moment. One fixed piece of work is done step by step; the
 * run is cut at some operation; then a fresh process looks at what is left and `judge` compares it with what had been promised.
 */
export type Cut = "process crash" | "power cut";

interface Work {
  readonly disk: Disk;
  readonly files: Map<string, DiskFile>;
}

interface Step {
  readonly name: string;
  run(work: Work): Promise<void>;
}

/** Holds from the moment `since` returned until `until` begins. */
interface Promised {
  readonly what: string;
  readonly since: string;
  readonly until?: string;
  readonly survives: readonly Cut[];
  /** @returns what is wrong, or undefined */
  broken(disk: Disk): Promise<string | undefined>;
}

const EITHER: readonly Cut[] = ["process crash", "power cut"];
const PROCESS_ONLY: readonly Cut[] = ["process crash"];

/** Longer than a page and not a multiple of a sector, so that torn writes show. */
const text = (letter: string): string => letter.repeat(9_001);
const chunks = (letter: string): Uint8Array[] =>
  [text(letter).slice(0, 700), text(letter).slice(700)].map((part) => new TextEncoder().encode(part));

function held(work: Work, path: string): DiskFile {
  const file = work.files.get(path);
  if (file === undefined) throw new Error(`${path} is not open`);
  return file;
}

function create(path: string, durable: boolean): Step {
  return {
    name: `create ${path}`,
    async run(work) {
      work.files.set(path, await work.disk.open(path, { mode: "create", durable }));
    },
  };
}

function write(path: string, letter: string): Step {
  return {
    name: `write ${letter} to ${path}`,
    async run(work) {
      const file = held(work, path);
      await file.write(await file.size(), chunks(letter));
    },
  };
}

function sync(path: string): Step {
  return { name: `sync ${path}`, run: (work) => held(work, path).sync() };
}

function syncDirectory(path: string, why: string): Step {
  return { name: `sync directory ${path} ${why}`, run: (work) => work.disk.syncDirectory(path) };
}

const steps: readonly Step[] = [
  { name: "lock", run: async (work) => void (await work.disk.lock()) },
  { name: "make directory a", run: (work) => work.disk.makeDirectory("a") },
  syncDirectory("", "with a"),
  create("a/log", true),
  syncDirectory("a", "with log"),
  write("a/log", "A"),
  write("a/log", "B"),
  create("a/tmp", false),
  write("a/tmp", "C"),
  sync("a/tmp"),
  { name: "rename tmp to snapshot", run: (work) => work.disk.rename("a/tmp", "a/snapshot") },
  syncDirectory("a", "with snapshot"),
  create("a/tmp2", false),
  write("a/tmp2", "D"),
  sync("a/tmp2"),
  { name: "rename tmp2 over snapshot", run: (work) => work.disk.rename("a/tmp2", "a/snapshot") },
  syncDirectory("a", "with the second snapshot"),
  { name: "truncate log", run: (work) => held(work, "a/log").truncate(9_001) },
  sync("a/log"),
  { name: "unlink snapshot", run: (work) => work.disk.unlink("a/snapshot") },
  syncDirectory("a", "without snapshot"),
];

function content(path: string, ...allowed: string[]): (disk: Disk) => Promise<string | undefined> {
  return async (disk) => {
    const found = await readText(disk, path).catch((error: Error) => error.message);
    return allowed.includes(found) ? undefined : `${path} holds ${found.length} bytes: ${found.slice(0, 60)}…`;
  };
}

function begins(path: string, start: string): (disk: Disk) => Promise<string | undefined> {
  return async (disk) => {
    const found = await readText(disk, path).catch((error: Error) => error.message);
    return found.startsWith(start) ? undefined : `${path} does not begin with the ${start.length} bytes promised: ${found.slice(0, 60)}…`;
  };
}

function missing(path: string): (disk: Disk) => Promise<string | undefined> {
  return async (disk) => {
    const found = await readText(disk, path).catch(() => undefined);
    return found === undefined ? undefined : `${path} is back`;
  };
}

const promises: readonly Promised[] = [
  {
    what: "a directory whose parent was synced is there",
    since: "sync directory  with a",
    survives: EITHER,
    broken: async (disk) => ((await disk.list("")).some((entry) => entry.name === "a") ? undefined : "directory a is missing"),
  },
  { what: "a created file is there", since: "create a/log", survives: PROCESS_ONLY, broken: begins("a/log", "") },
  {
    what: "a created file is there once its directory was synced",
    since: "sync directory a with log",
    survives: EITHER,
    broken: begins("a/log", ""),
  },
  { what: "a durable write is kept whole", since: "write A to a/log", survives: EITHER, broken: begins("a/log", text("A")) },
  {
    what: "the second durable write is kept whole",
    since: "write B to a/log",
    until: "truncate log",
    survives: EITHER,
    broken: content("a/log", text("A") + text("B")),
  },
  {
    what: "a write that returned survives its process",
    since: "write C to a/tmp",
    until: "rename tmp to snapshot",
    survives: PROCESS_ONLY,
    broken: content("a/tmp", text("C")),
  },
  {
    what: "a rename survives its process",
    since: "rename tmp to snapshot",
    until: "rename tmp2 over snapshot",
    survives: PROCESS_ONLY,
    broken: content("a/snapshot", text("C")),
  },
  {
    what: "a synced file renamed in a synced directory is there whole",
    since: "sync directory a with snapshot",
    until: "rename tmp2 over snapshot",
    survives: EITHER,
    broken: content("a/snapshot", text("C")),
  },
  {
    what: "a rename over a file leaves the old one or the new one",
    since: "sync directory a with snapshot",
    until: "unlink snapshot",
    survives: EITHER,
    broken: content("a/snapshot", text("C"), text("D")),
  },
  {
    what: "a rename over a file is durable once its directory was synced",
    since: "sync directory a with the second snapshot",
    until: "unlink snapshot",
    survives: EITHER,
    broken: content("a/snapshot", text("D")),
  },
  { what: "a truncation is durable once synced", since: "sync a/log", survives: EITHER, broken: content("a/log", text("A")) },
  { what: "an unlink survives its process", since: "unlink snapshot", survives: PROCESS_ONLY, broken: missing("a/snapshot") },
  {
    what: "an unlink is durable once its directory was synced",
    since: "sync directory a without snapshot",
    survives: EITHER,
    broken: missing("a/snapshot"),
  },
  {
    what: "the lock of a dead process is free",
    since: "lock",
    survives: EITHER,
    async broken(disk) {
      try {
        await (await disk.lock()).release();
        return undefined;
      } catch (error) {
        return String(error);
      }
    },
  },
];

/** Does the work, telling `progress` of each step before it begins and after it returned. */
export async function work(disk: Disk, progress: (event: "begin" | "end", step: string) => void): Promise<void> {
  const state: Work = { disk, files: new Map() };
  for (const step of steps) {
    progress("begin", step.name);
    await step.run(state);
    progress("end", step.name);
  }
}

/** What `work` reported before it was cut. */
export class Progress {
  readonly begun = new Set<string>();
  readonly ended = new Set<string>();

  note(event: "begin" | "end", step: string): void {
    (event === "begin" ? this.begun : this.ended).add(step);
  }

  get finished(): boolean {
    return this.ended.size === steps.length;
  }
}

/** @returns what was promised and is broken on `disk`, and how many promises were judged */
export async function judge(
  disk: Disk,
  progress: Progress,
  cut: Cut,
): Promise<{ readonly broken: readonly string[]; readonly judged: number }> {
  const broken: string[] = [];
  let judged = 0;
  for (const promised of promises) {
    const due = promised.survives.includes(cut) && progress.ended.has(promised.since);
    if (!due || (promised.until !== undefined && progress.begun.has(promised.until))) continue;
    judged++;
    const wrong = await promised.broken(disk);
    if (wrong !== undefined) broken.push(`after a ${cut}, ${promised.what}: ${wrong}`);
  }
  return { broken, judged };
}
