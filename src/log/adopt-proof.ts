import type { LogIndex } from "../base/ids.ts";
import { invariant } from "../base/invariant.ts";
import type { GroupImage } from "./model/image.ts";
import type { ReplayedGroup } from "./model/replay.ts";
import type { Proof } from "./segment-proof.ts";
import type { Wal } from "./wal.ts";

/** Says in the write-ahead log again what the segments of a group prove, before the group is built. Resolves when that is durable. */
export async function adoptProof(wal: Wal, image: GroupImage, replayed: ReplayedGroup, proof: Proof): Promise<void> {
  const { groupId, replicaId, start, syncedIndex, lastIndex } = image;
  const { frames, owner } = replayed;
  const { mark, terms, config, trim } = proof;
  if (proof.contradicts) {
    // What cut these off stood in the blocks that are gone.
    const from = (syncedIndex + 1) as LogIndex;
    const cut = frames.truncate(from);
    for (const held of cut) held.gone = true;
    owner.cuts.push(new Set(cut));
    const { offset, appendTime } = image.synced ?? { offset: start.offset, appendTime: 0 };
    wal.op({ kind: "truncate", groupId, from, offset, appendTime }, owner);
    await wal.barrier();
  }
  if (proof.contradicts || mark.index >= lastIndex) frames.reset(mark.index, mark.offset);
  else frames.dropThrough(mark.index);
  // A trim among them is not committed anew: it must stand before the record that passes over it.
  if (trim !== undefined && trim > image.startOffset) {
    const op = { kind: "trim", groupId, replicaId, startOffset: trim, start } as const;
    wal.system({ kind: "op", op, owner, durable: () => {} });
  }
  const op = { kind: "synced", groupId, replicaId, mark, terms, config } as const;
  await new Promise<void>((durable) => wal.system({ kind: "op", op, owner, durable }));
}

/** Says in the write-ahead log again which configuration is in force as of the last mark. Resolves when that is durable. */
export async function adoptConfig(wal: Wal, image: GroupImage, { owner }: ReplayedGroup, config: Uint8Array): Promise<void> {
  const { groupId, replicaId, synced } = image;
  invariant(synced !== undefined, () => `group ${groupId} has nothing in segments`);
  const op = { kind: "synced", groupId, replicaId, mark: synced, terms: [], config } as const;
  await new Promise<void>((durable) => wal.system({ kind: "op", op, owner, durable }));
}
