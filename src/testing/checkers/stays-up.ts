import type { TermSeen } from "./history.ts";
import type { Checker, Findings } from "./verdict.ts";

const MINUTE_MS = 60_000;
/** Terms that a group may have in a minute without a reason, and for each thing by which a leader may have been lost. */
const TERMS_MAX = { anyhow: 10, each: 2 };

/**
 * V2: a broker ends only where somebody ends it or its disk has failed; what it holds when nothing is asked of it does not grow; and it does not
 * elect for ever: a group has so many terms in a minute at most, and no new one while nobody troubles it. Whatever else is thrown ends a run
 * by itself.
 */
export const staysUp: Checker = {
  row: "V2",
  promise: "brokers stay up, hold no more than they need and come to agree on their leaders",
  check({ brokerLives = [], held = [], terms = [], troubles = [], quietSince }, findings) {
    for (const { broker, life, end, error } of brokerLives)
      findings.judge(end !== "by itself", () => `broker ${broker} ended by itself in its life ${life}: ${error ?? "nobody knows why"}`);
    for (const { broker, what, count, most } of held)
      findings.judge(count <= most, () => `broker ${broker} holds ${count} ${what} while nothing is asked of it, at most ${most} are due`);
    const byGroup = new Map<string, TermSeen[]>();
    for (const seen of terms) {
      const list = byGroup.get(seen.group) ?? [];
      byGroup.set(seen.group, list);
      list.push(seen);
    }
    for (const [group, seen] of byGroup) judgeTerms(group, seen, troubles, quietSince, findings);
  },
};

/** @param seen ascending by time, as `troubles` are */
function judgeTerms(
  group: string,
  seen: readonly TermSeen[],
  troubles: readonly number[],
  quietSince: number | undefined,
  findings: Findings,
): void {
  let [first, past, come] = [0, 0, 0];
  let quiet: TermSeen | undefined;
  for (const { at, term } of seen) {
    for (let one = seen[first]; one !== undefined && one.at <= at - MINUTE_MS; one = seen[first]) first++;
    const before = seen[first];
    if (before === undefined) continue;
    while ((troubles[past] ?? at) < before.at) past++;
    while ((troubles[come] ?? Number.POSITIVE_INFINITY) <= at) come++;
    const most = TERMS_MAX.anyhow + TERMS_MAX.each * (come - past);
    findings.judge(
      term - before.term <= most,
      () =>
        `${group} went from term ${before.term} to ${term} between ${before.at} and ${at} ms, at most ${most} are due after what happened`,
    );
    if (quietSince === undefined || at < quietSince) continue;
    const calm = quiet;
    if (calm !== undefined)
      findings.judge(
        term === calm.term,
        () => `${group} went from term ${calm.term} to ${term} between ${calm.at} and ${at} ms, while nobody troubled it`,
      );
    // Each new term is said once.
    quiet = calm?.term === term ? calm : { group, at, term };
  }
}
