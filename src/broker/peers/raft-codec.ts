import { MillraceError } from "../../base/errors.ts";
import { type GroupId, type LogIndex, type ReplicaId, type Term, toGroupId, toLogIndex, toReplicaId, toTerm } from "../../base/ids.ts";
import { unreachable } from "../../base/invariant.ts";
import { GroupConfig } from "../../protocol/routing.ts";
import type { Configuration, Entry, Impairment, Message } from "../../raft/types.ts";
import { BadFrame, decodeFrames, verifyPayload } from "../../records/frame.ts";
import { type Frame, FrameType } from "../../records/frame-types.ts";
import { configurationOf } from "../members.ts";
import type { ReplicaPayload } from "../replica-outputs.ts";

/**
 * Raft messages between brokers. Every message is one fixed record of ten little-endian float64 (every number is a safe integer,
 * so a float64 is exact), so that the heartbeats of all groups of a pair are one flat array:
 *
 * ```text
 *  0 group   1 from replica   2 to replica   3 kind + 16·flags   4 term   5…9 fields of the kind
 * ```
 *
 * An append is followed by its frames, which describe themselves.
 */
export const RECORD_BYTES = 80;

const kinds = {
  preVote: 1,
  vote: 2,
  preVoteReply: 3,
  voteReply: 4,
  append: 5,
  appendReply: 6,
  heartbeat: 7,
  heartbeatReply: 8,
  timeoutNow: 9,
  extend: 10,
  askTerm: 11,
  tellTerm: 12,
  wake: 13,
} as const;

/** Flags of an append reply and a heartbeat reply; every other kind has one, of value 1. */
const REFUSED = 1;
const QUARANTINED = 2;
const HOLE = 4;
/** Of a heartbeat reply. A broker that does not know it passes over it. */
const REMINDED = 8;
/** Of a heartbeat reply. */
const RESTING = 16;

export interface AddressedMessage {
  readonly groupId: GroupId;
  readonly from: ReplicaId;
  readonly to: ReplicaId;
  readonly message: Message<ReplicaPayload>;
}

/** A peer sent bytes that are no Raft message: the connection is dropped, nothing of it is used. */
export class BadPeerMessage extends Error {
  override readonly name = "BadPeerMessage";
}

/** Writes one record at `at`; an append's frames are not included. */
export function encodeRecord(target: DataView, at: number, { groupId, from, to, message }: AddressedMessage): void {
  const put = (flags: number, a = 0, b = 0, c = 0, d = 0, e = 0): void => {
    target.setFloat64(at, groupId, true);
    target.setFloat64(at + 8, from, true);
    target.setFloat64(at + 16, to, true);
    target.setFloat64(at + 24, kinds[message.kind] + 16 * flags, true);
    target.setFloat64(at + 32, message.term, true);
    target.setFloat64(at + 40, a, true);
    target.setFloat64(at + 48, b, true);
    target.setFloat64(at + 56, c, true);
    target.setFloat64(at + 64, d, true);
    target.setFloat64(at + 72, e, true);
  };
  switch (message.kind) {
    case "preVote":
    case "vote":
      return put(message.transfer ? 1 : 0, message.lastIndex, message.lastTerm, message.attempt);
    case "preVoteReply":
    case "voteReply":
      return put(message.granted ? 1 : 0, message.attempt);
    case "append":
      return put(0, message.prevIndex, message.prevTerm, message.commit);
    case "appendReply": {
      const { refused } = message;
      const flags = impairedFlag(message.impaired);
      if (refused === undefined) return put(flags, message.durable);
      return put(flags + REFUSED, message.durable, refused.prevIndex, refused.hintIndex, refused.hintTerm);
    }
    case "heartbeat":
      return put(message.rest === true ? 1 : 0, message.commit, message.round, message.remembered?.index, message.remembered?.term);
    case "heartbeatReply":
      return put(
        impairedFlag(message.impaired) + (message.reminded === true ? REMINDED : 0) + (message.resting === true ? RESTING : 0),
        message.durable,
        message.round,
      );
    case "timeoutNow":
    case "wake":
      return put(0);
    case "extend":
      return put(0, message.matched, message.upTo, message.nextTerm);
    case "askTerm":
    case "tellTerm":
      return put(0, message.session);
    default:
      return unreachable(message);
  }
}

function impairedFlag(impaired: Impairment | undefined): number {
  if (impaired === undefined) return 0;
  return impaired === "hole" ? HOLE : QUARANTINED;
}

function impairedOf(flags: number): { readonly impaired?: Impairment } {
  if ((flags & QUARANTINED) !== 0) return { impaired: "quarantined" };
  return (flags & HOLE) !== 0 ? { impaired: "hole" } : {};
}

/**
 * Reads one record; an append comes back without entries.
 * @throws {BadPeerMessage}
 */
export function decodeRecord(source: DataView, at: number): AddressedMessage {
  const number = (place: number): number => {
    const n = source.getFloat64(at + 8 * place, true);
    if (!Number.isSafeInteger(n) || n < 0) throw new BadPeerMessage(`field ${place} of a Raft record is no whole number: ${n}`);
    return n;
  };
  const kindAndFlags = number(3);
  const flags = Math.floor(kindAndFlags / 16);
  const groupId = toGroupId(positive(number(0)));
  const from = toReplicaId(positive(number(1)));
  const to = toReplicaId(positive(number(2)));
  const term = toTerm(number(4));
  const message = decodeMessage(kindAndFlags % 16, flags, term, number);
  return { groupId, from, to, message };
}

function positive(n: number): number {
  if (n < 1) throw new BadPeerMessage("an id in a Raft record is 0");
  return n;
}

function decodeMessage(kind: number, flags: number, term: Term, number: (place: number) => number): Message<ReplicaPayload> {
  const flag = (flags & 1) !== 0;
  const index = (place: number): LogIndex => toLogIndex(number(place));
  switch (kind) {
    case kinds.preVote:
    case kinds.vote:
      return {
        kind: kind === kinds.vote ? "vote" : "preVote",
        term,
        lastIndex: index(5),
        lastTerm: toTerm(number(6)),
        attempt: number(7),
        transfer: flag,
      };
    case kinds.preVoteReply:
    case kinds.voteReply:
      return { kind: kind === kinds.voteReply ? "voteReply" : "preVoteReply", term, granted: flag, attempt: number(5) };
    case kinds.append:
      return { kind: "append", term, prevIndex: index(5), prevTerm: toTerm(number(6)), commit: index(7), entries: [] };
    case kinds.appendReply:
      if ((flags & REFUSED) === 0) return { kind: "appendReply", term, durable: index(5), ...impairedOf(flags) };
      return {
        kind: "appendReply",
        term,
        durable: index(5),
        ...impairedOf(flags),
        refused: { prevIndex: index(6), hintIndex: index(7), hintTerm: toTerm(number(8)) },
      };
    case kinds.heartbeat: {
      const remembered = number(7) === 0 ? {} : { remembered: { index: index(7), term: toTerm(number(8)) } };
      return { kind: "heartbeat", term, commit: index(5), round: number(6), ...remembered, ...(flag ? { rest: true } : {}) };
    }
    case kinds.heartbeatReply: {
      const reminded = (flags & REMINDED) === 0 ? {} : { reminded: true as const };
      const resting = (flags & RESTING) === 0 ? {} : { resting: true as const };
      return { kind: "heartbeatReply", term, durable: index(5), round: number(6), ...reminded, ...resting, ...impairedOf(flags) };
    }
    case kinds.timeoutNow:
      return { kind: "timeoutNow", term };
    case kinds.wake:
      return { kind: "wake", term };
    case kinds.extend:
      return { kind: "extend", term, matched: index(5), upTo: index(6), nextTerm: toTerm(number(7)) };
    case kinds.askTerm:
    case kinds.tellTerm:
      return { kind: kind === kinds.askTerm ? "askTerm" : "tellTerm", term, session: number(5) };
    default:
      throw new BadPeerMessage(`unknown kind of Raft record: ${kind}`);
  }
}

/** The pieces of an append message: its record, then the frames as they lie in memory. */
export function encodeAppend(addressed: AddressedMessage, frames: readonly Frame[]): Uint8Array[] {
  const record = new Uint8Array(RECORD_BYTES);
  encodeRecord(new DataView(record.buffer), 0, addressed);
  return [record, ...frames.map((frame) => frame.bytes)];
}

/**
 * Reads an append and verifies every frame (design §4: the payload CRC is verified once by each process that takes the bytes off
 * a network, before its WAL).
 * @throws {BadPeerMessage} and nothing of the message is used
 */
export function decodeAppend(body: Uint8Array): AddressedMessage {
  if (body.byteLength < RECORD_BYTES) throw new BadPeerMessage(`an append of ${body.byteLength} bytes`);
  const addressed = decodeRecord(new DataView(body.buffer, body.byteOffset, RECORD_BYTES), 0);
  if (addressed.message.kind !== "append") throw new BadPeerMessage(`${addressed.message.kind} on the log connection`);
  const frames = verifiedFrames(body.subarray(RECORD_BYTES));
  const entries: Entry<ReplicaPayload>[] = frames.map(entryOf);
  for (const [i, frame] of frames.entries()) {
    if (frame.groupId !== addressed.groupId)
      throw new BadPeerMessage(`a frame of group ${frame.groupId} in an append of ${addressed.groupId}`);
    if (frame.index !== addressed.message.prevIndex + 1 + i) throw new BadPeerMessage(`frame ${frame.index} out of order in an append`);
  }
  return { ...addressed, message: { ...addressed.message, entries } };
}

/** What the core is told of a frame. @throws {BadPeerMessage} a configuration frame whose payload is none */
export function entryOf(frame: Frame): Entry<ReplicaPayload> {
  const entry = { index: frame.index, term: frame.term, type: frame.type, bytes: frame.bytes.byteLength, payload: frame };
  return frame.type === FrameType.config ? { ...entry, configuration: configurationIn(frame) } : entry;
}

function configurationIn(frame: Frame): Configuration {
  try {
    return configurationOf(GroupConfig.decode(frame.payload));
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    throw new BadPeerMessage(`frame ${frame.index} of group ${frame.groupId} holds no configuration: ${error.message}`);
  }
}

/** Frames off a network, each payload verified. @throws {BadPeerMessage} */
export function verifiedFrames(bytes: Uint8Array): Frame[] {
  let frames: Frame[];
  try {
    frames = decodeFrames(bytes);
  } catch (error) {
    if (error instanceof BadFrame) throw new BadPeerMessage(`off the network: ${error.message}`);
    throw error;
  }
  const bad = frames.find((frame) => !verifyPayload(frame));
  if (bad !== undefined) throw new BadPeerMessage(`the payload of frame ${bad.index} of group ${bad.groupId} changed on its way`);
  return frames;
}
