import type { GroupLogImpl } from "./group-log.ts";
import type { HeldFrame } from "./model/held.ts";
import type { Slabs } from "./slabs.ts";
import type { WalReader } from "./wal-reader.ts";

/** Bytes of one read. */
const PIECE_BYTES = 1024 * 1024;

/** Brings the newest recovered frames back to memory, up to `bytesMax`: what is not committed yet, a leader must be able to send. */
export async function warm(logs: readonly GroupLogImpl[], slabs: Slabs, walReader: WalReader, bytesMax: number): Promise<void> {
  let left = bytesMax;
  const newest = logs
    .flatMap((log) => log.frames.between(0, log.lastIndex))
    .sort((a, b) => b.block.sequence - a.block.sequence || b.at - a.at);
  for (let at = 0; at < newest.length && left > 0; ) {
    const piece: HeldFrame[] = [];
    let bytes = 0;
    for (; at < newest.length && bytes < PIECE_BYTES; at += 1) {
      const held = newest[at] as HeldFrame;
      piece.push(held);
      bytes += held.length;
    }
    left -= bytes;
    slabs.warm(piece, await walReader.readMany(piece.toReversed()).then((frames) => frames.toReversed()));
  }
}
