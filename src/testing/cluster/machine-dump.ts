import type { GroupId, LogIndex } from "../../base/ids.ts";
import { decodeFacts } from "../../cluster/facts.ts";
import { MetadataImage } from "../../cluster/image.ts";
import { GroupsImage } from "../../consumer-groups/image.ts";
import { groupFacts } from "../../consumer-groups/machine.ts";
import type { GroupLog, LogStore } from "../../log/types.ts";
import { type Frame, FrameType, PayloadFormat } from "../../records/frame-types.ts";
import type { MachineDump } from "../checkers/history.ts";

/** States compared: the newest ones, because replicas end at different indexes. */
const STATES_MAX = 40;

/** As much of a machine's image as replaying it takes. */
interface Replayed {
  replay(payload: Uint8Array, index: LogIndex): void;
  hash(): string;
}

/** The image of a machine group, of an empty log or of a snapshot. */
export type MakeReplayed = (snapshot: Uint8Array | undefined) => Replayed;

export const metadataMachine: MakeReplayed = (snapshot) => {
  const image = snapshot === undefined ? new MetadataImage() : MetadataImage.restore(snapshot);
  return {
    replay: (payload, index) => {
      for (const fact of decodeFacts(payload)) image.replay(fact, index);
    },
    hash: () => image.hash(),
  };
};

/** A partition of `__groups`. */
export const groupsMachine: MakeReplayed = (snapshot) => {
  const image = snapshot === undefined ? GroupsImage.empty() : GroupsImage.restore(snapshot);
  return {
    replay: (payload, index) => {
      for (const facts of groupFacts.decode(payload)) image.replay(facts, index);
    },
    hash: () => image.hash(),
  };
};

/** The machine's image as a start would make it from these files, with its hash at each of the newest indexes. */
export async function dumpMachine(
  store: LogStore,
  groupId: GroupId,
  log: GroupLog,
  commit: number,
  make: MakeReplayed,
): Promise<MachineDump> {
  const { good } = await store.snapshots(groupId).newest(log.start.index, log.lastIndex);
  const snapshot = good?.header.start.index;
  const states: { index: number; hash: string }[] = [];
  if (good === undefined && log.start.index > 0) return { start: log.start.index, snapshot, states };
  const image = make(good?.state);
  const last = Math.max(commit, snapshot ?? 0) as LogIndex;
  for (let index = (snapshot ?? 0) + 1; index <= last; ) {
    const read = await log.read(index as LogIndex, 256 * 1024, last);
    if (read.kind !== "frames" || read.frames.length === 0) break;
    for (const frame of read.frames) {
      if (isFacts(frame)) image.replay(frame.payload, frame.index);
      if (last - frame.index < STATES_MAX) states.push({ index: frame.index, hash: image.hash() });
    }
    index += read.frames.length;
  }
  if (snapshot === last) states.push({ index: snapshot, hash: image.hash() });
  return { start: log.start.index, snapshot, states };
}

function isFacts({ type, format }: Frame): boolean {
  return type === FrameType.data && format === PayloadFormat.facts;
}
