import { run } from "../cluster.ts";

/** A replica's frames, as `millrace debug log-dump … --hash --format json` prints them, by index. */
type Frames = ReadonlyMap<number, string>;

const DUMP_MS = 60_000;

/** What replicas may differ in. */
export interface Allowed {
  /** Their beginnings: each trims the metadata behind its own snapshots. */
  readonly begins?: boolean;
  /** Their ends: brokers that stop one after the other leave the last ones something to write. Each must reach this index. */
  readonly endsBehind?: number;
}

export interface Comparison {
  /** "" for nothing. */
  readonly wrong: string;
  /** Index up to which they are the same. */
  readonly last: number;
}

/**
 * Whether all replicas of a group hold the same frames: index, term, offset, type and hash of the payload.
 *
 * @param data of each broker
 * @param what as the command takes it: `topic/partition` or the number of the group
 */
export async function compareDumps(main: string, data: readonly string[], what: string, allowed: Allowed): Promise<Comparison> {
  const dumps = await Promise.all(data.map((folder) => dump(main, folder, what)));
  const bad = dumps.flatMap((frames, at) => (typeof frames === "string" ? [`broker ${at + 1}: ${frames}`] : []));
  if (bad.length > 0) return { wrong: bad.join("; "), last: 0 };
  const replicas = dumps as readonly Frames[];
  const lasts = replicas.map((frames) => Math.max(...frames.keys()));
  const firsts = replicas.map((frames) => Math.min(...frames.keys()));
  const last = Math.min(...lasts);
  const least = allowed.endsBehind ?? Math.max(...lasts);
  if (last < least) return { wrong: `${what} ends at ${lasts.join(", ")}, not at ${least}`, last };
  if (allowed.begins !== true && new Set(firsts).size > 1) return { wrong: `${what} begins at ${firsts.join(", ")}`, last };
  for (let index = Math.max(...firsts); index <= last; index++) {
    const lines = replicas.map((frames) => frames.get(index));
    if (lines[0] === undefined || new Set(lines).size > 1)
      return { wrong: `${what} is at index ${index}: ${lines.map((line) => line ?? "nothing").join(" | ")}`, last };
  }
  return { wrong: "", last };
}

async function dump(main: string, data: string, what: string): Promise<Frames | string> {
  const { exitCode, stdout, stderr } = await run(
    process.execPath,
    [main, "debug", "log-dump", what, "--data", data, "--hash", "--format", "json"],
    DUMP_MS,
  );
  // A bad block stays in the ring until its file is used again; nothing needs it any more, and the frames are asked for one by one.
  const bad = stderr.split("\n").filter((line) => / at byte \d+: /.test(line) && !line.startsWith("wal/"));
  if (bad.length > 0) return bad.join("; ");
  if (exitCode !== 0 && exitCode !== 1) return `log-dump ended with ${exitCode}: ${stderr.slice(0, 500)}`;
  const frames = new Map<number, string>();
  for (const line of stdout.toString("utf8").split("\n")) {
    if (line === "") continue;
    const { index, ...rest } = JSON.parse(line) as { readonly index: number };
    frames.set(index, JSON.stringify(rest));
  }
  return frames.size === 0 ? `log-dump of ${what} prints nothing: ${stderr.slice(0, 500)}` : frames;
}
