import { MillraceError } from "../../base/errors.ts";
import type { BrokerId, GroupId, LogIndex, Offset } from "../../base/ids.ts";
import { RangeRead } from "../../protocol/routing.ts";
import { type Frame, nextOffsetOf } from "../../records/frame-types.ts";
import type { IncomingCall } from "../peers/peer-calls.ts";
import type { PeerLinks } from "../peers/peer-links.ts";
import { BadPeerMessage, verifiedFrames } from "../peers/raft-codec.ts";
import type { Replica } from "../replica.ts";
import type { TrimmedElsewhere } from "./obey-trim.ts";

/** Names the method of the bulk connection that gives committed frames to a replica with a hole (design §4, *Damage*). */
export const RANGE_METHOD = "replica.range";

/** Frames of one answer. */
const CHUNK_BYTES = 1024 * 1024;
const ANSWER_MS = 5_000;

/**
 * Answers from any replica that has the range committed, a follower too. A hole of its own is not repaired for this: two replicas with
 * the same hole would wait for each other.
 */
export async function serveRange(call: IncomingCall, get: (groupId: GroupId) => Replica | undefined): Promise<void> {
  const { groupId, from, to, trimmed } = RangeRead.decode(call.body);
  const replica = get(groupId as GroupId);
  const upTo = Math.min(to, replica?.core.commit ?? 0) as LogIndex;
  if (replica === undefined || from > upTo)
    return call.fail(new MillraceError("NOT_READY", `Frame ${from} of group ${groupId} is not known to be committed here`));
  const read = await replica.log.read(from as LogIndex, CHUNK_BYTES, upTo, false);
  const begins = (index: number): void => {
    const where = { start_index: String(index), log_start_offset: String(replica.log.startOffset) };
    call.fail(new MillraceError("OFFSET_OUT_OF_RANGE", `Group ${groupId} begins here after frame ${index}`, where));
  };
  if (read.kind === "below-start") return begins(read.start.index);
  const first = read.frames[0];
  if (trimmed && first !== undefined) {
    if (nextOffsetOf(first) <= replica.log.startOffset) return begins(from);
    return call.fail(new MillraceError("NOT_READY", `No trim passes over frame ${from} of group ${groupId} here`));
  }
  call.reply(read.frames.map((frame) => frame.bytes));
}

/**
 * Asks one broker. @param trimmed whether a trim passes over `from` there, instead of frames; one of before answers with frames all the same
 * @returns where its log begins, when that is behind them; undefined when it does not have them, or did not answer */
export function askRange(
  links: Pick<PeerLinks, "call">,
  broker: BrokerId,
  groupId: GroupId,
  from: LogIndex,
  to: LogIndex,
  trimmed = false,
): Promise<readonly Frame[] | TrimmedElsewhere | undefined> {
  return new Promise((resolve) => {
    links.call(broker, RANGE_METHOD, [RangeRead.encode({ groupId, from, to, trimmed })], ANSWER_MS, (outcome) => {
      if ("error" in outcome) return resolve(elsewhere(outcome.error));
      try {
        // Where each belongs is checked by whoever puts it there; that it is what was sent, here.
        resolve(verifiedFrames(outcome.body));
      } catch (error) {
        if (!(error instanceof BadPeerMessage)) throw error;
        resolve(undefined);
      }
    });
  });
}

function elsewhere({ code, metadata }: MillraceError): TrimmedElsewhere | undefined {
  const index = Number(metadata["start_index"]);
  const offset = Number(metadata["log_start_offset"]);
  // A broker of an earlier version does not say where.
  if (code !== "OFFSET_OUT_OF_RANGE" || !Number.isSafeInteger(index) || !Number.isSafeInteger(offset)) return undefined;
  return { index: index as LogIndex, offset: offset as Offset };
}
