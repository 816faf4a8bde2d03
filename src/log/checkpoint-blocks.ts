import { BlockBuilder, type Memory } from "./block-builder.ts";
import { BlockFlag, padded } from "./model/block.ts";
import type { WalImage } from "./model/wal-image.ts";

/** A checkpoint of everything issued so far, in as many blocks as it needs, the first and the last of them marked. */
export function checkpointBlocks(image: WalImage, memory: Memory, blockMax: number): BlockBuilder[] {
  let part = new BlockBuilder(memory, BlockFlag.checkpoint | BlockFlag.checkpointFirst);
  const parts = [part];
  for (const record of image.checkpoint()) {
    if (part.bytes + record.length > blockMax) {
      part.seal();
      part = new BlockBuilder(memory, BlockFlag.checkpoint);
      parts.push(part);
    }
    part.encoded(record);
  }
  part.seal();
  part.flags |= BlockFlag.checkpointLast;
  return parts;
}

/** Bytes that they take in a file. */
export function sizeOf(blocks: readonly BlockBuilder[]): number {
  return blocks.reduce((sum, block) => sum + padded(block.bytes), 0);
}
