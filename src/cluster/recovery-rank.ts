import type { ReplicaId } from "../base/ids.ts";
import type { Standing } from "./recovery-plan.ts";

/** By its own configuration: one that was only copying may lack most of the log, whatever the metadata says of its place. */
export function hasVoted({ replicaId, voters, oldVoters }: Pick<Standing, "replicaId" | "voters" | "oldVoters">): boolean {
  return [...voters, ...oldVoters].some((voter) => voter.replicaId === replicaId);
}

/** Its log ends later than the other one's, as an election compares them. With the same last term it holds all of the other one's. */
export function endsAfter(one: Pick<Standing, "lastTerm" | "lastIndex">, other: Pick<Standing, "lastTerm" | "lastIndex">): boolean {
  return one.lastTerm === other.lastTerm ? one.lastIndex > other.lastIndex : one.lastTerm > other.lastTerm;
}

/**
 * Who is to be gone on from, best first. The recorded ISR proves something of those that are placed; of one that the metadata has forgotten
 * only its log says what it holds. It goes before one that is placed when it is in better standing, or holds more.
 */
export function bestFirst(placed: readonly Standing[], forgotten: readonly Standing[], isr: readonly ReplicaId[]): readonly Standing[] {
  const left = [...placed].sort((a, b) => better(a, b, isr));
  const right = [...forgotten].sort((a, b) => better(a, b, isr));
  const ranked: Standing[] = [];
  for (;;) {
    const [one, other] = [left[0], right[0]];
    if (one === undefined || other === undefined) return [...ranked, ...left, ...right];
    ranked.push(goesBefore(other, one, isr) ? other : one);
    (goesBefore(other, one, isr) ? right : left).shift();
  }
}

/** Best first. A quarantined replica's place in the ISR proves nothing: it may have forgotten what it stood for. */
export function better(a: Standing, b: Standing, isr: readonly ReplicaId[]): number {
  const rank = (one: Standing): readonly number[] => {
    const inSync = isr.includes(one.replicaId) && !one.quarantined;
    return [
      isSound(one),
      inSync && one.holes === 0,
      inSync,
      one.lastTerm,
      one.lastIndex,
      !one.quarantined,
      one.holes === 0,
      -one.brokerId,
    ].map(Number);
  };
  const [of, against] = [rank(a), rank(b)];
  const differs = of.findIndex((value, at) => value !== against[at]);
  return differs < 0 ? 0 : (against[differs] as number) - (of[differs] as number);
}

function goesBefore(forgotten: Standing, placed: Standing, isr: readonly ReplicaId[]): boolean {
  if (isSound(forgotten) !== isSound(placed)) return isSound(forgotten);
  const damaged = forgotten.holes > 0 && placed.holes === 0;
  if (damaged && isSound(placed) && isr.includes(placed.replicaId)) return false;
  return endsAfter(forgotten, placed) || (!endsAfter(placed, forgotten) && forgotten.holes === 0 && placed.holes > 0);
}

function isSound(one: Standing): boolean {
  return !one.quarantined && hasVoted(one);
}
