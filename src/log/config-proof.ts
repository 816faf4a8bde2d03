import { type Disk, DiskError } from "../base/ports/disk.ts";
import { verifyPayload } from "../records/frame.ts";
import { FrameType } from "../records/frame-types.ts";
import { FileWindow } from "./file-window.ts";
import { copyOf } from "./model/bytes.ts";
import type { GroupImage } from "./model/image.ts";
import { FOOTER_BYTES } from "./model/segment-files.ts";
import { groupFolder, segmentStem } from "./model/segment-name.ts";
import { withFile } from "./segment-loader.ts";
import { readStartPoint } from "./segment-survey.ts";

/**
 * The configuration as of the synced index, as the newest segment says it: its newest configuration frame, else what its start point
 * says. A damaged write-ahead log may have lost the block with that frame and kept the record that says it was synced; a replica that
 * believed the configuration before would ask voters that are long gone to end its quarantine.
 *
 * @returns undefined when not all of that segment is whole: then what the write-ahead log says stays
 */
export async function configAsOfMark(disk: Disk, image: GroupImage): Promise<Uint8Array | undefined> {
  const { groupId, replicaId, synced } = image;
  if (synced === undefined) return undefined;
  const path = `${groupFolder(groupId, replicaId)}/${segmentStem(synced)}.log`;
  const framesEnd = synced.sealed ? synced.position - FOOTER_BYTES : synced.position;
  try {
    return await withFile(disk, path, "read", async (file) => {
      const window = new FileWindow(file, await file.size());
      const head = await readStartPoint(window, { groupId, replicaId, name: synced });
      if ("wrong" in head) return undefined;
      let { config } = head.point;
      let index: number = head.point.start.index;
      for (let position = head.bytes; position < framesEnd; index += 1) {
        const frame = await window.frame(position);
        const next = typeof frame !== "string" && frame.groupId === groupId && frame.index === index + 1 && verifyPayload(frame);
        if (!next) return undefined;
        if (frame.type === FrameType.config) config = copyOf(frame.payload);
        position += frame.bytes.length;
      }
      return index === synced.index ? config : undefined;
    });
  } catch (error) {
    if (error instanceof DiskError && (error.code === "ENOENT" || error.code === "EIO")) return undefined;
    throw error;
  }
}
