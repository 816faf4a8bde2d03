import type { GroupId, ReplicaId } from "../../base/ids.ts";
import { Malformed } from "./bytes.ts";
import { type FrameFacts, GroupImage } from "./image.ts";
import { encodeOp, type WalOp } from "./records.ts";

/** Dropped replica ids per record of a checkpoint. */
const DROPPED_PER_RECORD = 1000;

/** Every group as of some block of the write-ahead log: what a checkpoint holds. */
export class WalImage {
  readonly groups: Map<GroupId, GroupImage> = new Map<GroupId, GroupImage>();
  /** Replica ids that may never come back (design §4). */
  readonly dropped: Set<ReplicaId> = new Set<ReplicaId>();

  /** @returns false for a frame that is held already. @throws {Malformed} */
  frame(groupId: GroupId, frame: FrameFacts): boolean {
    return this.#group(groupId).frame(frame);
  }

  /** @throws {Malformed} */
  apply(op: WalOp): void {
    switch (op.kind) {
      case "state":
      case "truncate":
        this.#group(op.groupId).apply(op);
        break;
      case "synced":
      case "trim":
      case "doubt": {
        const group = this.#group(op.groupId);
        if (group.replicaId !== op.replicaId) throw new Malformed(`group ${op.groupId} is replica ${group.replicaId}, not ${op.replicaId}`);
        group.apply(op);
        break;
      }
      case "open":
        if (this.groups.has(op.groupId)) throw new Malformed(`group ${op.groupId} is opened twice`);
        if (this.dropped.has(op.replicaId)) throw new Malformed(`replica ${op.replicaId} of group ${op.groupId} was dropped before`);
        this.groups.set(op.groupId, new GroupImage(op.groupId, op.replicaId, op.start, op.config));
        break;
      case "install": {
        const group = this.#group(op.groupId);
        if (group.replicaId !== op.replicaId) throw new Malformed(`group ${op.groupId} is replica ${group.replicaId}, not ${op.replicaId}`);
        this.groups.set(op.groupId, group.installed(op));
        break;
      }
      case "drop":
        if (this.#group(op.groupId).replicaId !== op.replicaId) throw new Malformed(`drops replica ${op.replicaId} that is not there`);
        this.groups.delete(op.groupId);
        this.dropped.add(op.replicaId);
        break;
      case "checkpoint": {
        const image = GroupImage.decode(op.image);
        this.groups.set(image.groupId, image);
        break;
      }
      case "dropped":
        for (const id of op.replicaIds) this.dropped.add(id);
        break;
    }
  }

  /** The records of a checkpoint, in an order that depends on the state alone. */
  *checkpoint(): Generator<Uint8Array> {
    const dropped = [...this.dropped].sort((a, b) => a - b);
    for (let at = 0; at < dropped.length; at += DROPPED_PER_RECORD)
      yield encodeOp({ kind: "dropped", replicaIds: dropped.slice(at, at + DROPPED_PER_RECORD) });
    for (const id of [...this.groups.keys()].sort((a, b) => a - b))
      yield encodeOp({ kind: "checkpoint", image: (this.groups.get(id) as GroupImage).encode() });
  }

  #group(groupId: GroupId): GroupImage {
    const group = this.groups.get(groupId);
    if (group === undefined) throw new Malformed(`group ${groupId} is not open`);
    return group;
  }
}
