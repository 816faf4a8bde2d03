import type { DiskDevice } from "../sim/disk/device.ts";
import type { Situations } from "./situations.ts";

const RING_FILE = /^wal\//;
/** A file of the ring is made of zeros, gets its head, and from the next head on it is used again. */
const HEADS_BEFORE_REUSE = 2;

/** Names the reuse of files of the write-ahead log by what is written at their beginning. */
export function watchRing(device: DiskDevice, situations: Situations): void {
  const heads = new Map<string, number>();
  device.wrote = (path, position) => {
    if (position !== 0 || !RING_FILE.test(path)) return;
    const count = (heads.get(path) ?? 0) + 1;
    heads.set(path, count);
    if (count > HEADS_BEFORE_REUSE) situations.saw("WAL reuse");
  };
}
