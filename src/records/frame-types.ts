import type { GroupId, LogIndex, Offset, ProducerId, Term } from "../base/ids.ts";

/** What a frame carries (one byte on disk). Numbers are for ever; 5 and 6 are reserved for transaction markers and tiering. */
export const FrameType = { data: 1, noop: 2, config: 3, trim: 4 } as const;
export type FrameType = (typeof FrameType)[keyof typeof FrameType];

/** How a data frame's payload is read: `records` = a `millrace.v1.RecordSet` as the producer sent it, `facts` = facts of a machine group. */
export const PayloadFormat = { records: 1, facts: 2 } as const;
export type PayloadFormat = (typeof PayloadFormat)[keyof typeof PayloadFormat];

/** The producer's codec. 3 zstd, 4 lz4, 5 snappy are reserved and refused by name. */
export const Codec = { none: 1, gzip: 2, zstd: 3, lz4: 4, snappy: 5 } as const;
export type Codec = (typeof Codec)[keyof typeof Codec];

/** A frame before Raft gave it a place: what the edge made of one batch. */
export interface FrameDraft {
  readonly type: FrameType;
  readonly format: PayloadFormat;
  readonly codec: Codec;
  /** 0 unless `type` is data. */
  readonly recordCount: number;
  /** Milliseconds since 1970; 0 when there is none. */
  readonly firstTimestamp: number;
  readonly maxTimestamp: number;
  readonly producerId: ProducerId;
  readonly producerEpoch: number;
  /** i32, wraps to 0; -1 without a producer. */
  readonly baseSequence: number;
  /** CRC-32C of `payload`, computed once at the edge. */
  readonly payloadCrc: number;
  readonly payload: Uint8Array;
  /** Its records count as written at the append time, whatever they say themselves (`message.timestamp.type=append`). */
  readonly appendTimed?: true;
}

/** What the leader adds when it appends. */
export interface FramePlace {
  readonly groupId: GroupId;
  readonly index: LogIndex;
  readonly term: Term;
  /** Offset of the first record; frames without records repeat the next offset. */
  readonly baseOffset: Offset;
  /** Leader's wall clock, never below the previous frame's. */
  readonly appendTime: number;
}

/**
 * A frame as it lies in a buffer: decoded header plus views. `bytes` = header and payload, contiguous; whoever holds the frame
 * keeps the whole backing buffer alive, so budgets count `bytes.buffer.byteLength` shares (design §4).
 */
export interface Frame extends FrameDraft, FramePlace {
  readonly bytes: Uint8Array;
}

/** Offset after this frame's last record. */
export function nextOffsetOf(frame: Pick<Frame, "baseOffset" | "recordCount">): Offset {
  return (frame.baseOffset + frame.recordCount) as Offset;
}
