import type { BlockEvent } from "./block-builder.ts";
import { type BlockRef, HeldFrame } from "./model/held.ts";
import type { Life } from "./model/ring.ts";
import type { WalImage } from "./model/wal-image.ts";

/** A block with this event is issued into `life`. The image follows the blocks in that order, so a checkpoint says what those before it say. */
export function issued(event: BlockEvent, image: WalImage, life: Life): void {
  if (event instanceof HeldFrame) {
    image.frame(event.owner.groupId, event);
    event.owner.pins.add(life, event.index);
    return;
  }
  if (event.kind === "moved") {
    if (isNeeded(event.held)) event.held.owner.pins.add(life, event.held.index);
    return;
  }
  if (event.kind === "left") {
    event.owner.pins.moved(event.life, event.above);
    return;
  }
  const { op, owner } = event;
  image.apply(op);
  if (owner === undefined) return;
  if (op.kind === "synced") owner.pins.synced(op.mark.index);
  else if (op.kind === "truncate") {
    owner.pins.truncate(op.from);
    owner.cuts.shift();
  } else if (op.kind === "install") owner.pins.begin(op.start.index);
  else if (op.kind === "drop") owner.pins.drop();
}

/** The block is on disk. @param ref where it lies */
export function landed(event: BlockEvent, ref: BlockRef): void {
  if (event instanceof HeldFrame) {
    event.durable = true;
    if (!event.gone) event.owner.listener?.durable(event);
  } else if (event.kind === "moved" && isNeeded(event.held)) {
    // Only now: until it lies here, whoever reads it finds it where it lay.
    event.held.block = ref;
    event.held.at = event.at;
  }
}

/** A start needs it in some block. */
export function isNeeded(held: HeldFrame): boolean {
  return !held.owner.dropped && (!held.gone || held.owner.isCut(held));
}
