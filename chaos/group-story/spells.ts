import type { Handled, Story } from "./history.ts";

/** Records of one partition that one worker handled one after the other, each the next offset, while the partition was in its hands. */
export interface Spell {
  readonly worker: number;
  readonly partition: number;
  readonly records: readonly Handled[];
}

/** A partition that went from one spell to the next. */
export interface Move {
  readonly partition: number;
  readonly from: number;
  readonly to: number;
  /** Why the former owner had it no more. */
  readonly cause: "killed" | "stopped" | "handed over";
  /** When the new owner began. */
  readonly at: number;
  /** Records that both handled. */
  readonly twice: number;
  /** Those among them that the former owner began when it had been stopped and went on, before it heard that it has them no more. */
  readonly late: number;
}

/** Time between two records of one spell. */
export interface Pause {
  readonly worker: number;
  readonly partition: number;
  readonly from: number;
  readonly until: number;
  /** Beyond the delay of the handler, milliseconds. */
  readonly ms: number;
  /** A partition came, went or was lost somewhere meanwhile or shortly before. */
  readonly atChange: boolean;
}

/** News of a rebalance is read a little later than it works, or takes effect a little later than it is read. */
const CHANGE_BEFORE_MS = 500;
const CHANGE_AFTER_MS = 1_000;

/** By partition, in the order in which they began. A spell ends where offsets do not go on, or where the worker said that it has the partition no more. */
export function spellsOf(story: Story): readonly Spell[] {
  const open = new Map<string, { worker: number; partition: number; records: Handled[] }>();
  const spells: Spell[] = [];
  for (const record of story.handled) {
    const key = `${record.worker}/${record.partition}`;
    const spell = open.get(key);
    const last = spell?.records.at(-1);
    if (spell !== undefined && last !== undefined && last.offset + 1 === record.offset && !left(story, record, last.at)) {
      spell.records.push(record);
      continue;
    }
    const begun = { worker: record.worker, partition: record.partition, records: [record] };
    open.set(key, begun);
    spells.push(begun);
  }
  return spells.sort((a, b) => a.partition - b.partition || firstOf(a).at - firstOf(b).at);
}

function left({ told }: Story, { worker, partition, at }: Handled, since: number): boolean {
  return told.some(
    (each) =>
      each.worker === worker && each.kind !== "assigned" && each.at >= since && each.at <= at && each.partitions.includes(partition),
  );
}

export function firstOf({ records }: Spell): Handled {
  return records[0] as Handled;
}

export function lastOf({ records }: Spell): Handled {
  return records.at(-1) as Handled;
}

/** Each spell with every later one of its partition that handled some of its records again, and each with the one that came after it. */
export function movesOf(story: Story, spells: readonly Spell[]): readonly Move[] {
  const moves: Move[] = [];
  for (const [at, to] of spells.entries()) {
    const former = spells.slice(0, at).filter(({ partition }) => partition === to.partition);
    for (const from of former) {
      const twice = common(from, to);
      if (twice === 0 && from !== former.at(-1)) continue;
      const cause = story.killed.has(from.worker) ? "killed" : wasStopped(story, from) ? "stopped" : "handed over";
      const late = cause === "stopped" ? lateOf(story, from, to) : 0;
      moves.push({ partition: to.partition, from: from.worker, to: to.worker, cause, at: firstOf(to).at, twice, late });
    }
  }
  return moves;
}

/** Its worker was stopped while it had the partition. */
function wasStopped({ stopped }: Story, spell: Spell): boolean {
  const span = stopped.get(spell.worker);
  // What it had in its hands when it was stopped it printed a delay before, at most; once continued it may go on with it.
  return span !== undefined && firstOf(spell).at <= span.from && lastOf(spell).at >= span.from - STOP_SLACK_MS;
}
const STOP_SLACK_MS = 2_000;

function lateOf({ stopped }: Story, from: Spell, to: Spell): number {
  const continued = stopped.get(from.worker)?.until ?? Number.POSITIVE_INFINITY;
  const [first, last] = [firstOf(to).offset, lastOf(to).offset];
  return from.records.filter(({ at, offset }) => at >= continued && offset >= first && offset <= last).length;
}

function common(a: Spell, b: Spell): number {
  return Math.max(0, Math.min(lastOf(a).offset, lastOf(b).offset) - Math.max(firstOf(a).offset, firstOf(b).offset) + 1);
}

/** Of all spells, but for those of workers that stood still because they were stopped. */
export function pausesOf(story: Story, spells: readonly Spell[]): readonly Pause[] {
  const changes = story.told.map(({ at }) => at).sort((a, b) => a - b);
  return spells.flatMap(({ worker, partition, records }) =>
    records.slice(1).flatMap((record, i) => {
      const [from, until] = [(records[i] as Handled).at, record.at];
      const stopped = story.stopped.get(worker);
      if (stopped !== undefined && from < stopped.until && until > stopped.from) return [];
      const atChange = changes.some((at) => until >= at - CHANGE_BEFORE_MS && from <= at + CHANGE_AFTER_MS);
      return { worker, partition, from, until, ms: until - from - story.handlerDelayMs, atChange };
    }),
  );
}
