import { counted } from "../../base/plural.ts";
import { ExitCode } from "../exit-code.ts";
import { table } from "../table.ts";
import type { Writing } from "./canary.ts";
import type { Reading } from "./read-back.ts";

export interface CheckReport {
  readonly topic: string;
  readonly partitions: number;
  /** Records that were to be written. */
  readonly records: number;
  readonly writing: Writing;
  readonly brokers: readonly (Reading & { readonly brokerId: number; readonly address: string })[];
}

/** 1: what was acknowledged is not there as it was written. 3: not everything could be written, or read through every broker. */
export function verdictOf({ writing, brokers }: CheckReport): { readonly exitCode: ExitCode; readonly line: string } {
  const wrong = brokers.filter(({ missing, changed }) => missing + changed > 0);
  if (wrong.length > 0) {
    const where = wrong.map(({ brokerId, missing, changed }) => `broker ${brokerId}: ${missing} missing, ${changed} changed`).join("; ");
    return { exitCode: ExitCode.failure, line: `acknowledged records did not come back as they were written: ${where}` };
  }
  if (writing.failure !== undefined) {
    return { exitCode: ExitCode.absent, line: `a record could not be written: ${writing.failure.code}: ${writing.failure.message}` };
  }
  const failed = brokers.find(({ failure }) => failure !== undefined);
  if (failed?.failure !== undefined) {
    const { code, message } = failed.failure;
    return { exitCode: ExitCode.absent, line: `broker ${failed.brokerId} could not be read through: ${code}: ${message}` };
  }
  return { exitCode: ExitCode.ok, line: "all records came back from every broker" };
}

export function reportJson(report: CheckReport): string {
  const { topic, partitions, records, writing, brokers } = report;
  return `${JSON.stringify({
    ok: verdictOf(report).exitCode === ExitCode.ok,
    topic,
    partitions,
    records,
    written: writing.written.length,
    writeMs: spread(writing.latenciesMs),
    brokers: brokers.map(({ brokerId, address, read, missing, changed, latenciesMs, failure }) => ({
      broker: brokerId,
      address,
      read,
      missing,
      changed,
      fetchMs: spread(latenciesMs),
      error: failure === undefined ? null : failure.code,
    })),
    verdict: verdictOf(report).line,
  })}\n`;
}

export function reportText(report: CheckReport): string {
  const { topic, partitions, records, writing, brokers } = report;
  const rows = brokers.map((broker) => {
    const { p50, max } = spread(broker.latenciesMs);
    const result = broker.failure?.code ?? (broker.missing + broker.changed > 0 ? "WRONG" : "ok");
    return [broker.brokerId, broker.address, broker.read, broker.missing, broker.changed, milliseconds(p50), milliseconds(max), result];
  });
  const { p50, p99, max } = spread(writing.latenciesMs);
  const head = `${topic}: ${writing.written.length} of ${counted(records, "record")} written to ${counted(partitions, "partition")} at acks=all: p50 ${milliseconds(p50)}, p99 ${milliseconds(p99)}, max ${milliseconds(max)}\n`;
  return head + table(["BROKER", "ADDRESS", "READ", "MISSING", "CHANGED", "FETCH P50", "MAX", "RESULT"], rows);
}

/** Nearest-rank percentiles; null without a value. */
export function spread(values: readonly number[]): {
  readonly p50: number | null;
  readonly p99: number | null;
  readonly max: number | null;
} {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): number | null => {
    const value = sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)];
    return value === undefined ? null : Math.round(value * 100) / 100;
  };
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}

function milliseconds(value: number | null): string {
  return value === null ? "-" : `${value} ms`;
}
