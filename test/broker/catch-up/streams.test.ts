import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { BrokerId, GroupId, LogIndex, Offset, ReplicaId, Term } from "../../../src/base/ids.ts";
import { CatchUp, type Streamed } from "../../../src/broker/catch-up/catch-up.ts";
import type { CallDone } from "../../../src/broker/peers/peer-calls.ts";
import type { Frame } from "../../../src/records/frame-types.ts";
import { World } from "../../../src/testing/sim/world.ts";
import { draft } from "../../log/frames.ts";

const TO = 12 as ReplicaId;

/** A leader's replica with 20 frames, one in each piece, and a follower whose answers are given by hand. */
class Leader {
  readonly world = new World(3);
  readonly #catchUp: CatchUp;
  /** First index of each piece that was sent, and its answer. */
  readonly sent: { readonly index: number; readonly done: CallDone }[] = [];
  /** What the core was told. */
  readonly told: (number | undefined)[] = [];
  match = 4;

  constructor() {
    const { clock } = this.world.machine("b1").boot();
    const links = {
      call: (_broker: BrokerId, _method: string, body: readonly Uint8Array[], _ms: number, done: CallDone) => {
        this.sent.push({ index: Number(body[1]?.[0]), done });
        return () => {};
      },
    };
    this.#catchUp = new CatchUp(clock, links, { bytesPerSecond: 0, atOnceMax: 4 }, { suffers: false });
  }

  extend(from: number, upTo = 20): Promise<void> {
    const replica: Streamed = {
      groupId: 7 as GroupId,
      leads: true,
      core: { progress: () => ({ mode: "extend", match: this.match as LogIndex }) },
      log: { read: async (index) => ({ kind: "frames", frames: [frameAt(index)] }) },
      extended: (_to, match) => this.told.push(match),
    };
    return this.#catchUp.extend(replica, TO, 2 as BrokerId, from as LogIndex, upTo as LogIndex);
  }

  /** The follower answers the piece that was sent last. */
  async answer(taken: boolean): Promise<void> {
    this.sent.at(-1)?.done({ body: taken ? Uint8Array.of(0) : new Uint8Array() });
    await this.pass();
  }
  pass(): Promise<unknown> {
    return this.world.scheduler.run(this.world.now + 10);
  }
  get pieces(): readonly number[] {
    return this.sent.map(({ index }) => index);
  }
}

/** A frame that says where it is in its first byte. */
function frameAt(index: number): Frame {
  const place = { groupId: 7 as GroupId, index: index as LogIndex, term: 1 as Term, baseOffset: index as Offset, appendTime: 0 };
  return { ...draft(index), ...place, bytes: Uint8Array.of(index) };
}

describe("Streams of committed frames to one follower", () => {
  it("follow one another: the next one begins when the last piece of the former was answered, and only its end is told", async () => {
    const leader = new Leader();
    const first = leader.extend(5);
    await leader.pass();
    const second = leader.extend(5);
    await leader.pass();
    assert.deepEqual(leader.pieces, [5], "nothing beside the piece that is on its way");
    // It was refused: the follower had not heard yet that frames come.
    await leader.answer(false);
    await first;
    assert.deepEqual(leader.told, [], "the end of the former is not that of the next one");
    assert.deepEqual(leader.pieces, [5, 5]);
    for (let index = 5; index <= 20; index += 1) await leader.answer(true);
    await second;
    assert.deepEqual(leader.told, [20]);
    assert.deepEqual(leader.pieces, [5, ...Array.from({ length: 16 }, (_, i) => 5 + i)], "each frame once");
  });

  it("go on behind what a piece of the former brought", async () => {
    const leader = new Leader();
    void leader.extend(5);
    await leader.pass();
    const second = leader.extend(5, 8);
    leader.match = 5;
    await leader.answer(true);
    assert.deepEqual(leader.pieces, [5, 6]);
    leader.match = 8;
    const third = leader.extend(5, 8);
    await leader.answer(false);
    await Promise.all([second, third]);
    assert.deepEqual([leader.pieces, leader.told], [[5, 6], [8]]);
  });

  it("do not wait for one that has ended", async () => {
    const leader = new Leader();
    const first = leader.extend(20);
    await leader.pass();
    await leader.answer(false);
    await first;
    const second = leader.extend(20);
    await leader.pass();
    await leader.answer(true);
    await second;
    assert.deepEqual(
      [leader.told, leader.pieces],
      [
        [undefined, 20],
        [20, 20],
      ],
    );
  });
});
