import type { GroupId, LogIndex, Offset, ReplicaId, Term } from "../../base/ids.ts";
import { ByteReader, ByteWriter, copyOf, Malformed } from "./bytes.ts";
import { readTerms, type TermStart, writeTerms } from "./terms.ts";

/** Record kinds inside blocks (design §4). Numbers are for ever. */
export const RecordKind = {
  frame: 1,
  state: 2,
  truncate: 3,
  synced: 4,
  open: 5,
  install: 6,
  drop: 7,
  checkpoint: 8,
  dropped: 9,
  trim: 10,
  doubt: 11,
  /** `synced`, with a configuration behind it. */
  syncedConfig: 12,
} as const;

/** u32 length of the body, u8 kind, 3 zero bytes; then the body. */
export const RECORD_HEADER_BYTES = 8;

export interface LogStart {
  /** Of the last entry before the log: the first frame present has `index + 1`. */
  readonly index: LogIndex;
  readonly term: Term;
  /** Offset of the first record at or after the start. */
  readonly offset: Offset;
}

/** How far a group's segments are durable: everything up to `index` lies in them, and they end at `position` of the newest. */
export interface SyncedMark {
  readonly index: LogIndex;
  readonly term: Term;
  /** Offset after the frame at `index`. */
  readonly offset: Offset;
  readonly appendTime: number;
  /** Names the newest segment. */
  readonly baseIndex: LogIndex;
  readonly baseOffset: Offset;
  /** Bytes of it that are durable, footer included when `sealed`. */
  readonly position: number;
  readonly sealed: boolean;
}

export type WalOp =
  | { readonly kind: "state"; readonly groupId: GroupId; readonly term: Term; readonly votedFor: ReplicaId | undefined }
  /** Entries from `from` on are gone; what is left ends at `offset`, appended at `appendTime`. */
  | { readonly kind: "truncate"; readonly groupId: GroupId; readonly from: LogIndex; readonly offset: Offset; readonly appendTime: number }
  /** Of frames which came past the write-ahead log (`extend`): `terms` that begin in them, and the newest `config` among them. */
  | {
      readonly kind: "synced";
      readonly groupId: GroupId;
      readonly replicaId: ReplicaId;
      readonly mark: SyncedMark;
      readonly terms: readonly TermStart[];
      readonly config?: Uint8Array | undefined;
    }
  | {
      readonly kind: "open";
      readonly groupId: GroupId;
      readonly replicaId: ReplicaId;
      readonly start: LogStart;
      readonly config: Uint8Array;
    }
  /**
   * The log of an open replica begins elsewhere from here on, empty: all it held is forgotten, term and vote stay. `mark` names its
   * first segment, which holds no frames yet.
   */
  | {
      readonly kind: "install";
      readonly groupId: GroupId;
      readonly replicaId: ReplicaId;
      readonly start: LogStart;
      readonly config: Uint8Array;
      readonly mark: SyncedMark;
    }
  | { readonly kind: "drop"; readonly groupId: GroupId; readonly replicaId: ReplicaId }
  /** The replica may have forgotten what it promised (design §4, *quarantine*); or: the cluster vouched for it again. */
  | { readonly kind: "doubt"; readonly groupId: GroupId; readonly replicaId: ReplicaId; readonly doubted: boolean }
  /** Offsets below `startOffset` are not readable; segments that end at or below `start` may be gone. Neither ever falls. */
  | {
      readonly kind: "trim";
      readonly groupId: GroupId;
      readonly replicaId: ReplicaId;
      readonly startOffset: Offset;
      readonly start: LogStart;
    }
  /** One group of a checkpoint: the body of `GroupImage.encode`. */
  | { readonly kind: "checkpoint"; readonly image: Uint8Array }
  /** Part of a checkpoint: replica ids that were dropped and may never come back. */
  | { readonly kind: "dropped"; readonly replicaIds: readonly ReplicaId[] };

/** Appends a record, its header included. */
export function writeOp(out: ByteWriter, op: WalOp): void {
  const at = out.length;
  out.u32(0).u32(op.kind === "synced" && op.config !== undefined ? RecordKind.syncedConfig : RecordKind[op.kind]);
  switch (op.kind) {
    case "state":
      out
        .i53(op.groupId)
        .i53(op.term)
        .i53(op.votedFor ?? 0);
      break;
    case "truncate":
      out.i53(op.groupId).i53(op.from).i53(op.offset).i53(op.appendTime);
      break;
    case "synced":
      out.i53(op.groupId).i53(op.replicaId);
      writeSynced(out, op.mark);
      writeTerms(out, op.terms);
      if (op.config !== undefined) out.bytes(op.config);
      break;
    case "open":
      out.i53(op.groupId).i53(op.replicaId);
      writeStart(out, op.start);
      out.bytes(op.config);
      break;
    case "install":
      out.i53(op.groupId).i53(op.replicaId);
      writeStart(out, op.start);
      out.bytes(op.config);
      writeSynced(out, op.mark);
      break;
    case "drop":
      out.i53(op.groupId).i53(op.replicaId);
      break;
    case "doubt":
      out
        .i53(op.groupId)
        .i53(op.replicaId)
        .u8(op.doubted ? 1 : 0);
      break;
    case "trim":
      out.i53(op.groupId).i53(op.replicaId).i53(op.startOffset);
      writeStart(out, op.start);
      break;
    case "checkpoint":
      out.raw(op.image);
      break;
    case "dropped":
      out.u32(op.replicaIds.length);
      for (const id of op.replicaIds) out.i53(id);
      break;
  }
  out.setU32(at, out.length - at - RECORD_HEADER_BYTES);
}

/** A record on its own. */
export function encodeOp(op: WalOp): Uint8Array {
  const out = new ByteWriter();
  writeOp(out, op);
  return out.done();
}

/** Reads the body of a record that is not a frame. @throws {Malformed} */
export function readOp(kind: number, body: Uint8Array): WalOp {
  const from = new ByteReader(body);
  const op = readBody(kind, from);
  from.end();
  return op;
}

function readBody(kind: number, from: ByteReader): WalOp {
  switch (kind) {
    case RecordKind.state: {
      const groupId = from.i53() as GroupId;
      const term = from.i53() as Term;
      const voted = from.i53();
      return { kind: "state", groupId, term, votedFor: voted === 0 ? undefined : (voted as ReplicaId) };
    }
    case RecordKind.truncate:
      return {
        kind: "truncate",
        groupId: from.i53() as GroupId,
        from: from.i53() as LogIndex,
        offset: from.i53() as Offset,
        appendTime: from.i53(),
      };
    case RecordKind.synced:
    case RecordKind.syncedConfig:
      return {
        kind: "synced",
        groupId: from.i53() as GroupId,
        replicaId: from.i53() as ReplicaId,
        mark: readSynced(from),
        terms: readTerms(from),
        ...(kind === RecordKind.syncedConfig ? { config: from.bytes() } : {}),
      };
    case RecordKind.open:
      return {
        kind: "open",
        groupId: from.i53() as GroupId,
        replicaId: from.i53() as ReplicaId,
        start: readStart(from),
        config: from.bytes(),
      };
    case RecordKind.install:
      return {
        kind: "install",
        groupId: from.i53() as GroupId,
        replicaId: from.i53() as ReplicaId,
        start: readStart(from),
        config: from.bytes(),
        mark: readSynced(from),
      };
    case RecordKind.drop:
      return { kind: "drop", groupId: from.i53() as GroupId, replicaId: from.i53() as ReplicaId };
    case RecordKind.doubt:
      return { kind: "doubt", groupId: from.i53() as GroupId, replicaId: from.i53() as ReplicaId, doubted: from.u8() === 1 };
    case RecordKind.trim:
      return {
        kind: "trim",
        groupId: from.i53() as GroupId,
        replicaId: from.i53() as ReplicaId,
        startOffset: from.i53() as Offset,
        start: readStart(from),
      };
    case RecordKind.checkpoint:
      return { kind: "checkpoint", image: copyOf(from.raw(from.left)) };
    case RecordKind.dropped: {
      const count = from.u32();
      const replicaIds: ReplicaId[] = [];
      for (let i = 0; i < count; i += 1) replicaIds.push(from.i53() as ReplicaId);
      return { kind: "dropped", replicaIds };
    }
    default:
      throw new Malformed(`record kind ${kind} is not known to this version`);
  }
}

export function writeStart(out: ByteWriter, start: LogStart): void {
  out.i53(start.index).i53(start.term).i53(start.offset);
}

export function readStart(from: ByteReader): LogStart {
  return { index: from.i53() as LogIndex, term: from.i53() as Term, offset: from.i53() as Offset };
}

export function writeSynced(out: ByteWriter, mark: SyncedMark): void {
  out.i53(mark.index).i53(mark.term).i53(mark.offset).i53(mark.appendTime);
  out.i53(mark.baseIndex).i53(mark.baseOffset).i53(mark.position);
  out.u8(mark.sealed ? 1 : 0);
}

export function readSynced(from: ByteReader): SyncedMark {
  return {
    index: from.i53() as LogIndex,
    term: from.i53() as Term,
    offset: from.i53() as Offset,
    appendTime: from.i53(),
    baseIndex: from.i53() as LogIndex,
    baseOffset: from.i53() as Offset,
    position: from.i53(),
    sealed: from.u8() === 1,
  };
}
