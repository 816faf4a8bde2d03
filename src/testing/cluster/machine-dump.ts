import { type LogIndex, METADATA_GROUP } from "../../base/ids.ts";
import { decodeFacts } from "../../cluster/facts.ts";
import { MetadataImage } from "../../cluster/image.ts";
import type { GroupLog, LogStore } from "../../log/types.ts";
import { type Frame, FrameType, PayloadFormat } from "../../records/frame-types.ts";
import type { MachineDump } from "../checkers/history.ts";

/** States compared: the newest ones, because replicas end at different indexes. */
const STATES_MAX = 40;

/** The metadata image as a start would make it from these files, with its hash at each of the newest indexes. */
export async function dumpMachine(store: LogStore, log: GroupLog, commit: number): Promise<MachineDump> {
  const { good } = await store.snapshots(METADATA_GROUP).newest(log.start.index, log.lastIndex);
  const snapshot = good?.header.start.index;
  const image = good === undefined ? new MetadataImage() : MetadataImage.restore(good.state);
  const states: { index: number; hash: string }[] = [];
  if (good === undefined && log.start.index > 0) return { start: log.start.index, snapshot, states };
  const last = Math.max(commit, snapshot ?? 0) as LogIndex;
  for (let index = (snapshot ?? 0) + 1; index <= last; ) {
    const read = await log.read(index as LogIndex, 256 * 1024, last);
    if (read.kind !== "frames" || read.frames.length === 0) break;
    for (const frame of read.frames) {
      for (const fact of factsOf(frame)) image.replay(fact, frame.index);
      if (last - frame.index < STATES_MAX) states.push({ index: frame.index, hash: image.hash() });
    }
    index += read.frames.length;
  }
  if (snapshot === last) states.push({ index: snapshot, hash: image.hash() });
  return { start: log.start.index, snapshot, states };
}

function factsOf(frame: Frame): ReturnType<typeof decodeFacts> {
  return frame.type === FrameType.data && frame.format === PayloadFormat.facts ? decodeFacts(frame.payload) : [];
}
