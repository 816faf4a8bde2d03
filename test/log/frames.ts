import { crc32c } from "../../src/base/crc32c.ts";
import { type GroupId, type LogIndex, NO_PRODUCER, type Offset, type ProducerId, type ReplicaId, type Term } from "../../src/base/ids.ts";
import type { GroupLog, StartPoint } from "../../src/log/types.ts";
import { makeFrame } from "../../src/records/frame.ts";
import { Codec, type Frame, type FrameDraft, type FramePlace, FrameType, PayloadFormat } from "../../src/records/frame-types.ts";

export const group = (n: number): GroupId => n as GroupId;
export const replica = (n: number): ReplicaId => n as ReplicaId;
export const index = (n: number): LogIndex => n as LogIndex;
export const term = (n: number): Term => n as Term;
export const offset = (n: number): Offset => n as Offset;

export const EMPTY: StartPoint = { index: index(0), term: term(0), offset: offset(0) };

/** A batch whose payload tells it from all others. */
export function draft(seed: number, bytes = 100, more: Partial<FrameDraft> = {}): FrameDraft {
  const payload = new Uint8Array(bytes);
  for (let i = 0, x = (seed * 2654435761) >>> 0; i < bytes; i += 1) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    payload[i] = x >>> 24;
  }
  return {
    type: FrameType.data,
    format: PayloadFormat.records,
    codec: Codec.none,
    recordCount: 1 + (seed % 3),
    firstTimestamp: 1000 + seed,
    maxTimestamp: 1000 + seed,
    producerId: NO_PRODUCER,
    producerEpoch: 0,
    baseSequence: -1,
    payloadCrc: crc32c(payload),
    payload,
    ...more,
  };
}

export function noop(): FrameDraft {
  return { ...draft(0, 0), type: FrameType.noop, recordCount: 0, firstTimestamp: 0, maxTimestamp: 0 };
}

export function fromProducer(id: number, baseSequence: number, seed = baseSequence, bytes = 100): FrameDraft {
  return draft(seed, bytes, { producerId: id as ProducerId, baseSequence });
}

/** Where the next frame of `log` goes. */
export function placeAfter(log: GroupLog, at: Term, appendTime = log.lastAppendTime + 1): FramePlace {
  return { groupId: log.groupId, index: index(log.lastIndex + 1), term: at, baseOffset: log.endOffset, appendTime };
}

/** Appends drafts one after the other, as a leader does; the callback is that of the last one. */
export function append(log: GroupLog, at: Term, drafts: readonly FrameDraft[], durable: () => void = () => {}): Frame[] {
  const frames: Frame[] = [];
  for (const [i, one] of drafts.entries()) {
    const write = { state: undefined, truncateFrom: undefined, frames: [{ draft: one, place: placeAfter(log, at) }] };
    frames.push(...log.write(write, i === drafts.length - 1 ? durable : () => {}));
  }
  return frames;
}

/** Whole frames as a follower gets them, following `after`. */
export function framesAfter(
  after: { groupId: GroupId; index: number; offset: number; appendTime: number },
  at: readonly Term[],
  seed = 0,
): Frame[] {
  let next = after.offset;
  return at.map((one, i) => {
    const batch = draft(seed + i, 300);
    const place = {
      groupId: after.groupId,
      index: index(after.index + 1 + i),
      term: one,
      baseOffset: offset(next),
      appendTime: after.appendTime + i,
    };
    next += batch.recordCount;
    return makeFrame(batch, place);
  });
}

export const text = (value: string): Uint8Array => new TextEncoder().encode(value);
