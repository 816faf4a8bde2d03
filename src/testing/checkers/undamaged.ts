import { Findings, type Verdict } from "./verdict.ts";

/** Events by which brokers say that a disk does not hold what it was promised to hold. */
const DAMAGE = ["log.hole_found", "log.wal_damaged", "log.wal_found_damaged"] as const;

/** Faults that do damage disks: a run that had one is not judged. */
const DAMAGING: ReadonlySet<string> = new Set(["bit-flip", "snapshot-flip", "log-flip", "read-failure"]);

/**
 * L13 from below: on disks that lose nothing but what was never promised to be on them, nobody ever finds damage. What is healed from other
 * replicas was told to be durable all the same, and the next power cut takes it on all of them.
 *
 * @param reports how often each event was reported @param starts of brokers, each of which looked at a disk @param faults that came
 */
export function undamaged(reports: ReadonlyMap<string, number>, starts: number, faults: readonly string[]): Verdict {
  const findings = new Findings();
  if (faults.some((kind) => DAMAGING.has(kind))) return { row: "L13", judged: 0, violations: [] };
  findings.judged += starts;
  for (const event of DAMAGE) {
    const times = reports.get(event) ?? 0;
    findings.judge(times === 0, () => `brokers found damage on disks that nobody damaged: ${event}, ${times} times`);
  }
  return { row: "L13", judged: findings.judged, violations: findings.violations };
}
