import type { Story } from "./history.ts";
import { firstOf, lastOf, type Move, movesOf, type Pause, pausesOf, type Spell, spellsOf } from "./spells.ts";

/** One promise, how often it was put to the test, and what broke it. Put to no test it is not kept. */
export interface Verdict {
  readonly promise: string;
  readonly facts: number;
  readonly wrong: readonly string[];
}

export interface Limits {
  /** Records that may be handled twice when a partition moves because its owner was killed or stopped. */
  readonly twiceMax: number;
  /** Besides, of each partition, those that a worker begins when it goes on after it was stopped, before it hears that it has lost them. */
  readonly lateMax: number;
  /** Of partitions that stay, beyond the delay of the handler; absent: not judged. */
  readonly pauseMsMax: number | undefined;
  /** Of partitions whose leader was killed, around that; absent: not judged. */
  readonly failoverMsMax: number | undefined;
  /** Milliseconds between two times in which the machine itself stood still. */
  readonly stalled: (from: number, until: number) => number;
}

export interface Judged {
  readonly verdicts: readonly Verdict[];
  readonly moves: readonly Move[];
  /** Of partitions that stayed with their owner; without those of `failover`. */
  readonly pauses: readonly Pause[];
  /** Of partitions whose leader was killed, around that. */
  readonly failover: readonly Pause[];
  /** Handled more than once, by partition. */
  readonly twice: readonly number[];
}

/** A new leader is found, and everybody told, within this. */
const FAILOVER_MS = 10_000;

/** Whether the promises of a group held in one run. */
export function judge(story: Story, limits: Limits): Judged {
  const spells = spellsOf(story);
  const moves = movesOf(story, spells);
  const all = pausesOf(story, spells);
  const failover = all.filter((pause) => isFailover(story, pause));
  const pauses = all.filter((pause) => !isFailover(story, pause));
  const own = (pause: Pause): number => pause.ms - limits.stalled(pause.from, pause.until);
  const { seen, missing, unknown, changed, twice } = coverage(story);
  const verdicts: Verdict[] = [
    { promise: "each record is handled", facts: seen, wrong: missing },
    { promise: "nothing is handled that was not poured there", facts: story.handled.length, wrong: [...unknown, ...changed] },
    {
      promise: "a worker goes from a record to the next one while it has the partition",
      facts: spells.length,
      wrong: jumps(story, spells),
    },
    { promise: "twice are records of partitions that moved only", facts: twice.length, wrong: unmoved(twice, moves) },
    {
      promise: `of a partition that moved because its owner was killed or stopped at most ${limits.twiceMax} records are handled twice`,
      facts: moves.filter(({ cause }) => cause !== "handed over").length,
      wrong: moves.filter((move) => move.cause !== "handed over" && move.twice - move.late > limits.twiceMax).map(moveText),
    },
    {
      promise: `of what it has lost a worker that was stopped and goes on begins at most ${limits.lateMax} records of a partition`,
      facts: moves.filter(({ cause }) => cause === "stopped").length,
      wrong: moves.filter(({ late }) => late > limits.lateMax).map(moveText),
    },
    {
      promise: "of a partition that was handed over none is",
      facts: moves.filter(({ cause }) => cause === "handed over").length,
      wrong: moves.filter((move) => move.cause === "handed over" && move.twice > 0).map(moveText),
    },
  ];
  const { pauseMsMax, failoverMsMax } = limits;
  if (pauseMsMax !== undefined) {
    const over = (pause: Pause): boolean => own(pause) > pauseMsMax;
    const atChanges = pauses.filter(({ atChange }) => atChange);
    verdicts.push(
      {
        promise: `while members come and go a partition that stays pauses for ${pauseMsMax} ms at most`,
        facts: atChanges.length,
        wrong: atChanges.filter(over).map(pauseText),
      },
      {
        promise: `and at all other times`,
        facts: pauses.length - atChanges.length,
        wrong: pauses.filter((pause) => !pause.atChange && over(pause)).map(pauseText),
      },
    );
  }
  if (failoverMsMax !== undefined)
    verdicts.push({
      promise: `a partition whose leader is killed pauses for ${failoverMsMax} ms at most`,
      facts: failover.length,
      wrong: failover.filter((pause) => own(pause) > failoverMsMax).map(pauseText),
    });
  return { verdicts, moves, pauses, failover, twice };
}

interface Coverage {
  readonly seen: number;
  readonly missing: readonly string[];
  readonly unknown: readonly string[];
  readonly changed: readonly string[];
  readonly twice: readonly number[];
}

function coverage({ ends, handled }: Story): Coverage {
  const times = ends.map((end) => new Uint16Array(end));
  const unknown: string[] = [];
  const changed: string[] = [];
  for (const { worker, partition, offset, intact } of handled) {
    const ofPartition = times[partition];
    if (ofPartition === undefined || offset >= ofPartition.length)
      unknown.push(`worker ${worker} handled ${partition}/${offset}, which was never poured`);
    else {
      ofPartition[offset] = (ofPartition[offset] as number) + 1;
      if (!intact) changed.push(`worker ${worker} handled ${partition}/${offset} with another value`);
    }
  }
  const missing = times.flatMap((counts, partition) =>
    Array.from(counts.entries()).flatMap(([offset, count]) => (count === 0 ? `${partition}/${offset} was not handled` : [])),
  );
  const twice = times.map((counts) => counts.reduce((sum, count) => sum + Math.max(0, count - 1), 0));
  return { seen: ends.reduce((sum, end) => sum + end, 0) - missing.length, missing, unknown, changed, twice };
}

/** A spell of a worker that follows on another one of its own, with nobody's word that the partition had left it. */
function jumps({ told }: Story, spells: readonly Spell[]): readonly string[] {
  return spells.flatMap((spell, at) => {
    const former = spells.slice(0, at).findLast(({ worker, partition }) => worker === spell.worker && partition === spell.partition);
    if (former === undefined) return [];
    const { offset, at: until } = firstOf(spell);
    const { offset: before, at: since } = lastOf(former);
    const assigned = told.some(
      (each) =>
        each.kind === "assigned" &&
        each.worker === spell.worker &&
        each.partitions.includes(spell.partition) &&
        each.at >= since &&
        // Its word is read later than it was said.
        each.at <= until + READ_LATE_MS,
    );
    return assigned
      ? []
      : `worker ${spell.worker} went from ${spell.partition}/${before} to ${spell.partition}/${offset}, and the partition did not leave it`;
  });
}
const READ_LATE_MS = 1_000;

/** A partition may come back to the worker that lost it: to be told so is to be moved, see `jumps`. */
function unmoved(twice: readonly number[], moves: readonly Move[]): readonly string[] {
  return twice.flatMap((count, partition) => {
    const ofPartition = moves.filter((move) => move.partition === partition);
    return count > 0 && ofPartition.length === 0 ? `${count} of partition ${partition}, which did not move` : [];
  });
}

/** Its leader was killed shortly before, or meanwhile. */
function isFailover({ brokerKilled }: Story, { partition, from, until }: Pause): boolean {
  if (brokerKilled === undefined || !brokerKilled.led.includes(partition)) return false;
  return until >= brokerKilled.at && from <= brokerKilled.at + FAILOVER_MS;
}

function moveText({ partition, from, to, cause, twice, late }: Move): string {
  return `partition ${partition}, from worker ${from} (${cause}) to ${to}: ${twice}${late > 0 ? `, ${late} of them late` : ""}`;
}

export function pauseText({ partition, worker, ms, from }: Pause): string {
  return `partition ${partition}, worker ${worker}: ${ms} ms at ${new Date(from).toISOString().slice(11, 23)}`;
}
