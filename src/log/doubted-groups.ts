import type { GroupId } from "../base/ids.ts";
import type { Disk } from "../base/ports/disk.ts";
import type { Telemetry } from "../base/ports/telemetry.ts";
import { adoptConfig, adoptProof } from "./adopt-proof.ts";
import { configAsOfMark } from "./config-proof.ts";
import type { DiskDoubts } from "./disk-doubts.ts";
import type { Failure } from "./failure.ts";
import type { GroupImage } from "./model/image.ts";
import type { ReplayedGroup } from "./model/replay.ts";
import type { WalImage } from "./model/wal-image.ts";
import { proveAbove } from "./segment-proof.ts";
import type { Wal } from "./wal.ts";

export interface DoubtedParts {
  readonly disk: Disk;
  readonly telemetry: Telemetry;
  readonly wal: Wal;
  readonly image: WalImage;
  readonly replayed: ReadonlyMap<GroupId, ReplayedGroup>;
  readonly doubts: DiskDoubts;
  readonly failure: Failure;
}

/** What a start has to say in the write-ahead log of groups that may have forgotten something, before any of them is built. Resolves when that is durable. */
export async function settleDoubted({ disk, telemetry, wal, image, replayed, doubts, failure }: DoubtedParts): Promise<void> {
  // A start that was cut off between making a replica and doubting it: the record follows now.
  for (const { groupId, replicaId, doubted } of image.groups.values())
    if (!doubted && doubts.doubtsFound(replicaId)) wal.op({ kind: "doubt", groupId, replicaId, doubted: true }, undefined);
  await failure.guard(wal.barrier());
  const doubted = [...image.groups.values()].filter((group) => group.doubted);
  for (const group of doubted) await prove(group);
  for (const group of doubted) raiseTerm(wal, group);
  await failure.guard(wal.barrier());

  /**
   * Committed frames above the last `synced` record that is left are said to be synced again, so that they stay; and who votes, where the
   * frame that said so was in a block that is gone.
   */
  async function prove(group: GroupImage): Promise<void> {
    const found = replayed.get(group.groupId);
    if (found === undefined) return;
    const proof = await proveAbove(disk, group);
    if (proof !== undefined) {
      telemetry.log("warn", "log.frames_proved", { group: group.groupId, first: group.syncedIndex + 1, last: proof.mark.index });
      await failure.guard(adoptProof(wal, group, found, proof));
    }
    const config = await configAsOfMark(disk, group);
    if (config === undefined || Buffer.compare(config, group.configs.base) === 0) return;
    telemetry.log("warn", "log.configuration_proved", { group: group.groupId, index: group.syncedIndex });
    await failure.guard(adoptConfig(wal, group, found, config));
  }
}

/** What is left has entries of a term of which the record is gone: it is said again, and for whom it voted then nobody knows. */
function raiseTerm(wal: Wal, image: GroupImage): void {
  const last = image.termAt(image.lastIndex);
  if (last !== undefined && last > image.term)
    wal.op({ kind: "state", groupId: image.groupId, term: last, votedFor: undefined }, undefined);
}
