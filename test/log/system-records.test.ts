import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BlockBuilder } from "../../src/log/block-builder.ts";
import { FrameOwner } from "../../src/log/model/held.ts";
import type { SyncedMark } from "../../src/log/model/records.ts";
import { Life } from "../../src/log/model/ring.ts";
import { Scratch } from "../../src/log/slabs.ts";
import { SystemQueue, type SystemRecord } from "../../src/log/system-records.ts";
import { draft, EMPTY, group, index, offset, replica, term } from "./frames.ts";

const ids = { groupId: group(1), replicaId: replica(1) };

function synced(
  owner: FrameOwner,
  at: number,
  durable: () => void = () => {},
  terms: readonly { term: number; firstIndex: number }[] = [],
): SystemRecord {
  const mark: SyncedMark = {
    index: index(at),
    term: term(1),
    offset: offset(at),
    appendTime: 1,
    baseIndex: index(1),
    baseOffset: offset(0),
    position: 100,
    sealed: false,
  };
  const starts = terms.map((one) => ({ term: term(one.term), firstIndex: index(one.firstIndex) }));
  return { kind: "op", op: { kind: "synced", ...ids, mark, terms: starts }, owner, durable };
}

function trim(owner: FrameOwner, durable: () => void = () => {}): SystemRecord {
  return { kind: "op", op: { kind: "trim", ...ids, startOffset: offset(5), start: EMPTY }, owner, durable };
}

/** What a block with all of them says, in order. */
function said(queue: SystemQueue): string[] {
  const block = new BlockBuilder(new Scratch());
  queue.fill(block, () => true);
  for (const callback of block.callbacks) callback();
  return block.events.map((event) =>
    "kind" in event && event.kind === "op" ? `${event.op.kind}${"mark" in event.op ? event.op.mark.index : ""}` : "other",
  );
}

// FS19
describe("system records that wait", () => {
  it("are of each group's marks the newest alone, behind the trim that it passes over; whoever waits for an older one is told", () => {
    const [queue, owner, other] = [new SystemQueue(), new FrameOwner(group(1)), new FrameOwner(group(2))];
    const told: number[] = [];
    queue.push(synced(owner, 10, () => told.push(10)));
    queue.push(synced(other, 7, () => told.push(7)));
    queue.push(trim(owner));
    queue.push(synced(owner, 20, () => told.push(20)));
    queue.push(synced(owner, 30, () => told.push(30)));
    assert.equal(queue.length, 3);
    assert.deepEqual(said(queue), ["synced7", "trim", "synced30"]);
    assert.deepEqual(told, [7, 10, 20, 30]);
    queue.push(synced(owner, 40));
    assert.deepEqual(said(queue), ["synced40"]);
  });

  it("keep what a mark says of frames that came past the log", () => {
    const [queue, owner] = [new SystemQueue(), new FrameOwner(group(1))];
    queue.push(synced(owner, 10, () => {}, [{ term: 2, firstIndex: 4 }]));
    queue.push(synced(owner, 20));
    assert.deepEqual(said(queue), ["synced10", "synced20"]);
  });

  it("are not appended again behind the truncation that cuts them, in one block", () => {
    const [queue, owner] = [new SystemQueue(), new FrameOwner(group(1))];
    const place = { groupId: group(1), index: index(3), term: term(1), baseOffset: offset(3), appendTime: 1 };
    const held = new BlockBuilder(new Scratch()).frame(owner, { draft: draft(1), place });
    const frame = held.frame ?? assert.fail();
    queue.push({ kind: "again", held, frame, durable() {} });
    queue.push(trim(new FrameOwner(group(2))));
    const filled = (): BlockBuilder => {
      const block = new BlockBuilder(new Scratch());
      block.op({ kind: "trim", ...ids, startOffset: offset(5), start: EMPTY }, owner);
      return block;
    };
    held.gone = true;
    assert.equal(
      queue.fill(filled(), () => true),
      0,
      "what stands in the block would come before it",
    );
    assert.equal(queue.length, 2);
    held.gone = false;
    assert.equal(
      queue.fill(filled(), () => true),
      2,
    );
  });

  it("let a file go from the record on that leaves no group anything in it", () => {
    const [queue, one, other, life, later] = [
      new SystemQueue(),
      new FrameOwner(group(1)),
      new FrameOwner(group(2)),
      new Life(0, 1),
      new Life(1, 9),
    ];
    for (const at of [1, 2, 3]) one.pins.add(life, at);
    for (const at of [1, 2, 3]) other.pins.add(life, at);
    other.pins.add(later, 4);
    queue.push(synced(one, 2));
    assert.equal(queue.release(life), undefined);
    queue.push({ kind: "moved", owner: one, life, above: 2, durable() {} });
    assert.equal(queue.release(life), undefined, "the other group keeps it");
    queue.push(trim(other));
    queue.push(synced(other, 3));
    queue.push(synced(other, 4));
    assert.equal(queue.release(life), 4);
    assert.equal(queue.release(later), 4);
  });

  it("let no file go by what was appended again out of another one", () => {
    const [queue, owner, life, later] = [new SystemQueue(), new FrameOwner(group(1)), new Life(0, 1), new Life(1, 9)];
    owner.pins.add(life, 1);
    owner.pins.add(later, 2);
    queue.push({ kind: "moved", owner, life: later, above: 0, durable() {} });
    assert.equal(queue.release(life), undefined, "what keeps it was not appended again");
    assert.equal(queue.release(later), 1);
    queue.push({ kind: "moved", owner, life, above: 0, durable() {} });
    assert.equal(queue.release(life), 2);
  });
});
