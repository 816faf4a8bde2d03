import { MillraceError } from "../../base/errors.ts";
import { LogService } from "../../protocol/methods.ts";
import { ListOffsetsRequest, ListOffsetsResponse, type PartitionOffsets } from "../../protocol/public.ts";
import { errorOf } from "../../protocol/rpc-status.ts";
import { backoffMs } from "../backoff.ts";
import type { ClientCore } from "../core.ts";
import { ofDeletedTopic } from "../errors.ts";
import type { AssignedPartition } from "./assigned-partition.ts";
import type { From, Until } from "./options.ts";

/** Time allowed to look places up, over all attempts. */
const LOCATE_MS = 60_000;
const CALL_MS = 10_000;
/** The same for one attempt to look added partitions up. */
const LOCATE_ADDED_MS = 10_000;

/**
 * Asks where partitions begin and end, or where a time is; partitions without a leader are asked for again.
 *
 * @throws {MillraceError} what a broker refused with, or the last failure once `timeoutMs` is over
 */
export async function listOffsets(
  core: ClientCore,
  { topic, topicId }: { readonly topic: string; readonly topicId: string | undefined },
  partitions: readonly number[],
  timeMs: number | undefined,
  timeoutMs = LOCATE_MS,
): Promise<ReadonlyMap<number, PartitionOffsets>> {
  const { clock, random } = core.ports;
  const deadline = clock.monotonic() + timeoutMs;
  const found = new Map<number, PartitionOffsets>();
  let missing = partitions;
  for (let failures = 1; ; failures++) {
    const request = ListOffsetsRequest.encode({ topic, topicId, partitions: missing, timeMs });
    const left = Math.max(1, deadline - clock.monotonic());
    const reply = await core.calls.unary(LogService.ListOffsets.path, request, { timeoutMs: Math.min(left, CALL_MS), repeatable: true });
    let last: MillraceError | undefined;
    for (const offsets of ListOffsetsResponse.decode(reply).partitions) {
      const error =
        offsets.error === undefined ? undefined : (errorOf(offsets.error) ?? new MillraceError("CONNECTION_LOST", offsets.error.message));
      if (error === undefined) found.set(offsets.partition, offsets);
      else if (error.retriable) last = error;
      else throw error;
    }
    if (partitions.length === 0) return found;
    missing = partitions.filter((partition) => !found.has(partition));
    if (missing.length === 0) return found;
    const pause = backoffMs(failures, random, last?.retryAfterMs);
    if (clock.monotonic() + pause >= deadline)
      throw last ?? new MillraceError("UNKNOWN_PARTITION", `${topic} has no partition ${missing.join(", ")}`);
    await new Promise<void>((resolve) => clock.after(pause, resolve));
  }
}

/**
 * Looks up which topic it is that `parts` (of one, by name and id) belong to, and where they begin and end. All of it is fixed here, so that
 * a stream that breaks goes on in the same topic to the same end.
 *
 * @throws {MillraceError} TopicDeleted; what a broker refused with, or the last failure once `timeoutMs` is over
 */
async function locate(core: ClientCore, topic: string, parts: readonly AssignedPartition[], timeoutMs = LOCATE_MS): Promise<void> {
  const topicId = parts[0]?.topicId ?? (await core.metadata.loadAnew(topic, timeoutMs)).topicId;
  for (const part of parts) part.topicId = topicId;
  try {
    await locateIn(core, { topic, topicId }, parts, timeoutMs);
  } catch (error) {
    throw error instanceof MillraceError ? ofDeletedTopic(error, topic, topicId) : error;
  }
}

/**
 * As `locate`, of those that are still wanted: what a look-up fails of may be of a partition that was taken away meanwhile, and says nothing of
 * the others. Nothing of it is thrown when all were.
 *
 * @throws {MillraceError} as `locate`
 */
export async function locateWanted(
  core: ClientCore,
  topic: string,
  parts: readonly AssignedPartition[],
  timeoutMs?: number,
): Promise<void> {
  for (let wanted = parts; wanted.length > 0; ) {
    try {
      return await locate(core, topic, wanted, timeoutMs);
    } catch (error) {
      const left = wanted.filter((part) => !part.gone);
      if (left.length === wanted.length) throw error;
      wanted = left;
    }
  }
}

async function locateIn(
  core: ClientCore,
  topic: { readonly topic: string; readonly topicId: string },
  parts: readonly AssignedPartition[],
  timeoutMs: number,
): Promise<void> {
  const ends = parts.some((part) => typeof part.from === "string" || part.until === "end");
  const numbers = parts.map((part) => part.partition);
  const plain = ends ? await listOffsets(core, topic, numbers, undefined, timeoutMs) : new Map<number, PartitionOffsets>();
  const byTime = new Map<number, ReadonlyMap<number, PartitionOffsets>>();
  for (const place of parts.flatMap((part) => [part.from, part.until])) {
    if (typeof place === "object" && "timeMs" in place && !byTime.has(place.timeMs)) {
      byTime.set(place.timeMs, await listOffsets(core, topic, numbers, place.timeMs, timeoutMs));
    }
  }
  for (const part of parts) {
    const placeOf = (place: From | Until): { readonly offset: number; readonly term: number | undefined } => {
      if (typeof place === "object" && "offset" in place) return { offset: place.offset, term: "term" in place ? place.term : undefined };
      if (place === "start") return { offset: plain.get(part.partition)?.logStartOffset ?? 0, term: undefined };
      const at = typeof place === "object" ? byTime.get(place.timeMs)?.get(part.partition) : plain.get(part.partition);
      // No record of that time yet: behind the last one.
      return { offset: at?.offset ?? at?.highWatermark ?? 0, term: termOf(at) };
    };
    const { offset, term } = placeOf(part.from);
    part.locate(offset, term, part.until === undefined ? undefined : placeOf(part.until).offset);
  }
}

/** Of the leader that told a place, which says of which history of the log it is (ADR 0023); undefined: not said. */
export function termOf(at: Pick<PartitionOffsets, "term"> | undefined): number | undefined {
  return at === undefined || at.term <= 0 ? undefined : at.term;
}

/** Who wants to read partitions that were added. */
export interface AddedOwner {
  /** Nobody wants them any more. */
  over(): boolean;
  located(): void;
  failed(error: MillraceError): void;
}

/**
 * As `locateWanted`, for partitions that nobody asked for by number: they must not end the reading of the others, so they are looked up for as
 * long as it takes, unless they can never be read.
 */
export function locateAdded(core: ClientCore, topic: string, parts: readonly AssignedPartition[], owner: AddedOwner, failures = 1): void {
  const { clock, random, telemetry } = core.ports;
  locateWanted(core, topic, parts, LOCATE_ADDED_MS).then(
    () => owner.located(),
    (thrown: unknown) => {
      const error = lookUpError(thrown);
      if (!error.retriable) return owner.failed(error);
      telemetry.log("debug", "consumer.not_located", { topic, partitions: parts.length, code: error.code, failures });
      clock.after(backoffMs(failures, random, error.retryAfterMs), () => {
        if (owner.over()) return;
        // Each by itself: one that cannot be found does not keep the others.
        for (const part of parts) if (!part.gone) locateAdded(core, topic, [part], owner, failures + 1);
      });
    },
  );
}

/** What a look-up failed of, as consumers say it. */
export function lookUpError(thrown: unknown): MillraceError {
  return thrown instanceof MillraceError ? thrown : new MillraceError("INTERNAL", String(thrown));
}
