import type { GroupId, ReplicaId } from "../base/ids.ts";
import type { Disk } from "../base/ports/disk.ts";
import type { DiskScheduler } from "./disk-scheduler.ts";
import type { InstallPoint } from "./model/install.ts";
import type { SyncedMark } from "./model/records.ts";
import { encodeStartPoint } from "./model/segment-files.ts";
import { groupFolder, type SegmentName } from "./model/segment-name.ts";
import { Segment } from "./segment.ts";

/**
 * Writes the first segment of a log that begins at `point`, without frames; file and directory are durable when this resolves.
 *
 * It gets its final name at once. The name says where the segment begins, which is behind the end of everything that was ever
 * promised for this replica, so no segment in use can bear it; and until the `install` record is durable a start removes it like any
 * segment above the synced mark (ADR 0008).
 */
export async function writeFirstSegment(
  disk: Disk,
  scheduler: DiskScheduler,
  groupId: GroupId,
  replicaId: ReplicaId,
  point: InstallPoint,
): Promise<Segment> {
  const { start, terms, config, producers } = point;
  const name = { baseIndex: (start.index + 1) as SegmentName["baseIndex"], baseOffset: start.offset };
  const head = encodeStartPoint({ groupId, replicaId, start, terms, config, producers });
  const segment = new Segment(groupId, replicaId, name, start.term, head.length);
  const file = await disk.open(segment.path, { mode: "create" });
  try {
    await scheduler.run("write", () => file.write(0, [head]));
    await scheduler.run("sync", async () => {
      await file.sync();
      await disk.syncDirectory(groupFolder(groupId, replicaId));
    });
  } finally {
    await file.close();
  }
  return segment;
}

/** What the `install` record says of a first segment. */
export function markOf(segment: Segment, point: InstallPoint): SyncedMark {
  return { ...point.start, appendTime: point.appendTime, ...segment.name, position: segment.position, sealed: false };
}
