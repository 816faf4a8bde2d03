import type { LogIndex } from "../base/ids.ts";
import { invariant } from "../base/invariant.ts";
import type { GroupLog, GroupWrite } from "../log/types.ts";
import { GroupConfig } from "../protocol/routing.ts";
import type { RaftWrite } from "../raft/types.ts";
import { type Frame, type FrameDraft, FrameType } from "../records/frame-types.ts";
import { emptyDraft, type Members } from "./members.ts";
import type { ReplicaPayload } from "./replica-outputs.ts";

/** One piece of a read for an append whose frames left memory. */
const COLD_READ_BYTES = 1024 * 1024;

/**
 * What a write of the core puts at the end of the log: the leader's frames byte for byte, or drafts with the place that each is given. Where
 * replicas are, as configurations among them say, is learned on the way.
 *
 * @param wall milliseconds of the leader's clock: append times never fall
 */
export function framesOf(write: RaftWrite<ReplicaPayload>, log: GroupLog, members: Members, wall: number): GroupWrite["frames"] {
  let baseOffset = log.endOffset;
  const appendTime = Math.max(log.lastAppendTime, wall);
  if (write.truncateFrom !== undefined) baseOffset = log.offsetAfter((write.truncateFrom - 1) as LogIndex);
  return write.entries.map((entry) => {
    const { configuration } = entry;
    const payload = entry.payload ?? (configuration === undefined ? emptyDraft : members.draft(configuration));
    if ("bytes" in payload) {
      // Follower: the frame is the leader's, byte for byte; its place must be the one Raft gave it.
      invariant(payload.index === entry.index && payload.term === entry.term, "an appended frame must stand where Raft puts it");
      invariant(
        payload.baseOffset === baseOffset,
        () => `frame ${payload.index} must start at offset ${baseOffset}: got ${payload.baseOffset}`,
      );
      baseOffset = (baseOffset + payload.recordCount) as typeof baseOffset;
      learnFrom(payload, members);
      return payload;
    }
    const place = { groupId: log.groupId, index: entry.index, term: entry.term, baseOffset, appendTime };
    baseOffset = (baseOffset + payload.recordCount) as typeof baseOffset;
    return { draft: stamped(payload, appendTime), place };
  });
}

/** A configuration frame says where replicas are. */
export function learnFrom(frame: Frame, members: Members): void {
  if (frame.type === FrameType.config) members.learn(GroupConfig.decode(frame.payload));
}

/** @returns undefined when one of them left memory */
export function framesInMemory(log: Pick<GroupLog, "frame">, first: LogIndex, last: LogIndex): readonly Frame[] | undefined {
  const frames: Frame[] = [];
  for (let index = first; index <= last; index++) {
    const frame = log.frame(index as LogIndex);
    if (frame === undefined) return undefined;
    frames.push(frame);
  }
  return frames;
}

/**
 * Frames that are neither in memory nor committed (many were recovered after a restart of all replicas) can only come from the WAL.
 *
 * @returns undefined when they cannot be read: the log has said why, and the follower is probed again until it succeeds
 */
export async function readFrames(log: Pick<GroupLog, "read">, first: LogIndex, last: LogIndex): Promise<readonly Frame[] | undefined> {
  const frames: Frame[] = [];
  for (let next: number = first; next <= last; ) {
    const result = await Promise.resolve(log.read(next as LogIndex, COLD_READ_BYTES, last)).catch(() => undefined);
    if (result === undefined || result.kind === "below-start" || result.frames.length === 0) return undefined;
    frames.push(...result.frames);
    next += result.frames.length;
  }
  return frames;
}

/** Records without a time of their own have the append time, known only now: a search by time must find their frame. */
function stamped(draft: FrameDraft, appendTime: number): FrameDraft {
  if (draft.appendTimed === true) return { ...draft, firstTimestamp: appendTime, maxTimestamp: appendTime };
  if (draft.recordCount === 0 || draft.firstTimestamp !== 0 || draft.maxTimestamp >= appendTime) return draft;
  return { ...draft, maxTimestamp: appendTime };
}
