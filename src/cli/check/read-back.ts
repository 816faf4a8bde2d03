import { MillraceError } from "../../base/errors.ts";
import type { RpcChannel } from "../../base/ports/rpc-client.ts";
import { asMillraceError } from "../../client/errors.ts";
import { LogService } from "../../protocol/methods.ts";
import { FetchRequest, FetchResponse } from "../../protocol/public.ts";
import { records } from "../../records/log-record.ts";
import type { Written } from "./canary.ts";

/** What one broker gave back of what was written. */
export interface Reading {
  /** Records that came back as they were written. */
  readonly read: number;
  /** Acknowledged records that are not there. */
  readonly missing: number;
  /** Offsets that hold another record. */
  readonly changed: number;
  /** Of each fetch, milliseconds. */
  readonly latenciesMs: readonly number[];
  /** Why it could not be read to the end; then nothing is missing or changed that was not seen to be. */
  readonly failure: MillraceError | undefined;
}

/** Between two attempts while a partition changes its leader, milliseconds. */
const AGAIN_MS = 100;

/** Reads what was written through one broker, whoever leads: any broker answers any request (design §1). */
export async function readBack(
  channel: RpcChannel,
  topic: { readonly topic: string; readonly topicId: string },
  written: readonly Written[],
  timeoutMs: number,
): Promise<Reading> {
  const deadline = performance.now() + timeoutMs;
  const latenciesMs: number[] = [];
  const counts = { read: 0, missing: 0, changed: 0 };
  try {
    for (const [partition, expected] of byPartition(written)) {
      const last = Math.max(...expected.keys());
      let offset = Math.min(...expected.keys());
      while (offset <= last) {
        const reply = await fetchOnce(channel, { ...topic, partition, offset }, deadline, latenciesMs);
        if (reply === undefined) break;
        compare(reply, offset, expected, counts);
        if (reply.nextOffset <= offset) break;
        offset = reply.nextOffset;
      }
      // A log that ends, or was trimmed, before them: what is left over is missing.
      counts.missing += expected.size;
    }
    return { ...counts, latenciesMs, failure: undefined };
  } catch (error) {
    if (error instanceof MillraceError) return { ...counts, latenciesMs, failure: error };
    throw error;
  }
}

function byPartition(written: readonly Written[]): Map<number, Map<number, Written>> {
  const all = new Map<number, Map<number, Written>>();
  for (const record of written) {
    const expected = all.get(record.partition) ?? new Map<number, Written>();
    expected.set(record.offset, record);
    all.set(record.partition, expected);
  }
  return all;
}

/** Takes out of `expected` what was found. */
function compare(reply: FetchResponse, from: number, expected: Map<number, Written>, counts: { read: number; changed: number }): void {
  for (const batch of reply.batches) {
    // Ours are not compressed; those of others, in a topic that others write to, are not looked at.
    if (batch.records === undefined) continue;
    let offset = batch.baseOffset;
    for (const record of records(batch.records)) {
      const wanted = expected.get(offset);
      if (wanted !== undefined && offset >= from) {
        if (sameText(record.key, wanted.key) && sameText(record.value, wanted.value)) counts.read++;
        else counts.changed++;
        expected.delete(offset);
      }
      offset++;
    }
  }
}

function sameText(bytes: Uint8Array | undefined, text: string): boolean {
  return bytes !== undefined && Buffer.from(text).equals(bytes);
}

/** @returns undefined when the log does not hold the offset */
async function fetchOnce(
  channel: RpcChannel,
  place: { readonly topic: string; readonly topicId: string; readonly partition: number; readonly offset: number },
  deadline: number,
  latenciesMs: number[],
): Promise<FetchResponse | undefined> {
  for (;;) {
    const from = performance.now();
    try {
      const reply = await channel.unary(LogService.Fetch.path, FetchRequest.encode(place), { timeoutMs: Math.max(1, deadline - from) });
      latenciesMs.push(performance.now() - from);
      return FetchResponse.decode(reply);
    } catch (thrown) {
      const error = asMillraceError(thrown, channel.address);
      if (error.code === "OFFSET_OUT_OF_RANGE") return undefined;
      const again = error.retriable && error.code !== "BROKERS_UNREACHABLE" && performance.now() + AGAIN_MS < deadline;
      if (!again) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}
