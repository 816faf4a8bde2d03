import type { Evidence } from "../history.ts";
import { type BeatRow, grouped, groupRows } from "./rows.ts";

/** From when a member was told that it holds a partition until it let go of it, or was last known to be a member. */
export interface Hold {
  readonly partition: string;
  readonly from: number;
  readonly until: number;
}

/** A member from one joining to the next. */
export interface Life {
  readonly group: string;
  readonly member: string;
  /** Of its joining, and when it heard of that. */
  readonly epoch: number;
  readonly from: number;
  /** When it sent the last heartbeat that was not refused: until then it was a member without a break. */
  readonly until: number;
  /** What it was told, in the order of epochs: all it is to hold, and when it heard that. */
  readonly told: readonly { readonly i: number; readonly at: number; readonly epoch: number; readonly assignment: ReadonlySet<string> }[];
  readonly holds: readonly Hold[];
}

/** The lives of all members, made from what they said and heard. */
export function livesIn(evidence: Evidence): readonly Life[] {
  const members = grouped(groupRows(evidence, "beat"), ({ group, member }) => `${group}\n${member}`);
  return [...members.values()].flatMap((rows) => {
    const joins = rows.filter(({ epoch, type, told }) => epoch === 0 && type === "ok" && told !== undefined);
    return joins.map((join, k) => lifeOf(join, rows, joins[k + 1]));
  });
}

function lifeOf(join: BeatRow, rows: readonly BeatRow[], next: BeatRow | undefined): Life {
  const { group, member, tRet: from } = join;
  const epoch = join.told?.epoch ?? 0;
  // Any attempt to join again ends it, when it was made.
  const over = Math.min(
    next?.tInv ?? Number.POSITIVE_INFINITY,
    ...rows.filter((row) => row.epoch === 0 && row.tInv > from).map((row) => row.tInv),
  );
  const beats = rows.filter(
    (row) => row === join || (row.epoch !== 0 && row.tInv >= from && row.tInv < over && (row.epoch < 0 || row.epoch >= epoch)),
  );
  const until = Math.max(from, ...beats.filter((row) => row.epoch > 0 && row.type === "ok").map((row) => row.tInv));
  const told = beats
    .flatMap(({ i, tRet, type, told: heard }) =>
      type === "ok" && heard?.assignment !== undefined ? [{ i, at: tRet, epoch: heard.epoch, assignment: new Set(heard.assignment) }] : [],
    )
    .sort((a, b) => a.epoch - b.epoch || a.at - b.at);
  return { group, member, epoch, from, until, told, holds: holdsOf(beats, until) };
}

/** What it is told again while it has it begins nothing anew. */
function holdsOf(beats: readonly BeatRow[], until: number): readonly Hold[] {
  const events = beats.flatMap((row) => [
    ...(row.type === "ok" && row.told?.assignment !== undefined ? [{ at: row.tRet, has: row.told.assignment, lets: undefined }] : []),
    ...(row.epoch < 0 ? [{ at: row.tInv, has: undefined, lets: [] }] : []),
    ...(row.epoch > 0 && row.owned !== undefined ? [{ at: row.tInv, has: undefined, lets: row.owned }] : []),
  ]);
  const since = new Map<string, number>();
  const holds: Hold[] = [];
  const end = (partition: string, at: number) => {
    const from = since.get(partition);
    since.delete(partition);
    if (from !== undefined && Math.min(at, until) > from) holds.push({ partition, from, until: Math.min(at, until) });
  };
  for (const { at, has, lets } of events.sort((a, b) => a.at - b.at)) {
    for (const partition of has ?? []) if (!since.has(partition)) since.set(partition, at);
    if (lets !== undefined) for (const partition of [...since.keys()]) if (!lets.includes(partition)) end(partition, at);
  }
  for (const partition of [...since.keys()]) end(partition, Number.POSITIVE_INFINITY);
  return holds;
}
