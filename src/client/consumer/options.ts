import { MillraceError } from "../../base/errors.ts";

const MiB = 1024 * 1024;

/** A place in a log. */
export interface OffsetPlace {
  readonly offset: number;
  /**
   * Of the record before it, as `ConsumedBatch.term` or `ConsumedRecord.term` said it, for who remembers more than the number: reading fails with
   * `LogTruncated` where the log has another record there, because it lost its end and was written anew. At least 1. Absent: nothing is compared.
   */
  readonly term?: number | undefined;
}

/** Where reading begins: at the first record, after the last committed one, at an offset, or at the first record with this time or a later one. */
export type From = "start" | "end" | OffsetPlace | { readonly timeMs: number };
/** Where it stops: at the last record committed when reading began, before an offset, or before the first record with this time or a later one. */
export type Until = "end" | { readonly offset: number } | { readonly timeMs: number };

export interface Assignment {
  readonly topic: string;
  readonly partition: number;
  /**
   * Of the topic that is meant, for who remembers more of it than its name: an offset (`ConsumedBatch.topicId` says it). Absent: the topic that
   * has the name when reading begins.
   */
  readonly topicId?: string | undefined;
  /** Default "start". */
  readonly from?: From | undefined;
  /** Absent: never. */
  readonly until?: Until | undefined;
}

export interface ConsumerOptions {
  /** Bytes received and not yet handed out, over all partitions; above it the brokers are held. Default 16 MiB. */
  readonly bufferBytesMax?: number;
  /** A compressed batch may become so large. Default 64 MiB. */
  readonly inflatedBytesMax?: number;
}

export type ConsumerSettings = Required<ConsumerOptions>;

/** @throws {MillraceError} INVALID_REQUEST naming the option */
export function consumerSettings(options: ConsumerOptions): ConsumerSettings {
  return {
    bufferBytesMax: whole("bufferBytesMax", options.bufferBytesMax ?? 16 * MiB),
    inflatedBytesMax: whole("inflatedBytesMax", options.inflatedBytesMax ?? 64 * MiB),
  };
}

function whole(option: string, value: number): number {
  if (Number.isSafeInteger(value) && value >= 1) return value;
  throw new MillraceError("INVALID_REQUEST", `Consumer option ${option} must be a whole number >= 1: got ${value}`, { field: option });
}

/** @throws {MillraceError} INVALID_REQUEST for a place no log can have */
export function checkAssignment(assignment: Assignment): void {
  for (const [name, place] of [
    ["from", assignment.from],
    ["until", assignment.until],
  ] as const) {
    if (place === undefined || typeof place === "string") continue;
    const { offset, timeMs, term }: { readonly offset?: number; readonly timeMs?: number; readonly term?: number | undefined } = place;
    // Terms begin at 1.
    const [part, value, least] =
      name === "from" && term !== undefined && !(Number.isSafeInteger(term) && term >= 1)
        ? (["term", term, 1] as const)
        : ([offset === undefined ? "timeMs" : "offset", offset ?? timeMs, 0] as const);
    if (value !== undefined && Number.isSafeInteger(value) && value >= least) continue;
    throw new MillraceError(
      "INVALID_REQUEST",
      `${name}.${part} of ${assignment.topic}/${assignment.partition} must be a whole number >= ${least}: got ${value}${part === "term" ? "; leave it out when it is not known" : ""}`,
      { field: name },
    );
  }
}
