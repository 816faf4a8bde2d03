import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { BrokerId, GroupId, LogIndex, Offset, ReplicaId, Term } from "../../../src/base/ids.ts";
import { InvariantViolated } from "../../../src/base/invariant.ts";
import type { Offer } from "../../../src/broker/catch-up/reset-offer.ts";
import { type ResetHost, type Resettable, takeReset } from "../../../src/broker/catch-up/take-reset.ts";
import { Producers } from "../../../src/log/model/producers.ts";

const index = (n: number): LogIndex => n as LogIndex;
const at = (n: number, term: number) => ({ index: index(n), term: term as Term, offset: n as Offset });

/** A follower in term 5 of replica 11 on broker 1, with 20 entries of term 3, 15 of them committed. */
function follower(more: Partial<{ commit: number; takingBulk: boolean; full: boolean; fetched: Promise<void> }> = {}) {
  const begun: LogIndex[] = [];
  /** Starts for which a snapshot would be fetched. */
  const asked: LogIndex[] = [];
  const core: Resettable["core"] = {
    term: 5 as Term,
    leader: 11 as ReplicaId,
    commit: index(more.commit ?? 15),
    lastIndex: index(20),
    termAt: (i) => (i <= 20 ? (3 as Term) : undefined),
  };
  const replica: Resettable = { id: 12 as ReplicaId, core, takingBulk: more.takingBulk ?? false };
  const host: ResetHost<Resettable> = {
    get: (groupId) => (groupId === 7 ? replica : undefined),
    brokerOf: (_groupId, id) => (id - 10) as BrokerId,
    full: more.full ?? false,
    resetting: new Map(),
    prepareReset: async (_replica, _source, point) => {
      asked.push(point.start.index);
      await more.fetched;
      return point;
    },
    beginAnew: (_replica, point) => {
      begun.push(point.start.index);
      return Promise.resolve("installed");
    },
  };
  return { host, begun, asked };
}

function offer(start: Offer["point"]["start"], more: Partial<Offer> = {}): Offer {
  const point = { start, terms: [], config: new Uint8Array(0), producers: new Producers(), appendTime: 0 };
  return { groupId: 7 as GroupId, from: 11 as ReplicaId, to: 12 as ReplicaId, term: 5 as Term, point, ...more };
}

const leader = 1 as BrokerId;

describe("an offer to begin elsewhere", () => {
  it("is taken from the leader of the present term when the log ends before it", async () => {
    const { host, begun } = follower();
    assert.deepEqual(await takeReset(host, leader, offer(at(30, 4))), at(30, 4));
    assert.deepEqual(begun, [30]);
  });

  it("is refused from anybody else: another term, another leader, another broker, for another replica (scenario 48)", async () => {
    const { host, begun } = follower();
    for (const wrong of [
      { term: 4 as Term },
      { term: 6 as Term },
      { from: 13 as ReplicaId },
      { to: 99 as ReplicaId },
      { groupId: 8 as GroupId },
    ])
      assert.equal(await takeReset(host, leader, offer(at(30, 4), wrong)), undefined, JSON.stringify(wrong));
    assert.equal(await takeReset(host, 3 as BrokerId, offer(at(30, 4))), undefined);
    assert.deepEqual(begun, []);
  });

  it("is refused while bulk frames are being written", async () => {
    const { host } = follower({ takingBulk: true });
    assert.equal(await takeReset(host, leader, offer(at(30, 4))), undefined);
  });

  it("is refused when the log leads through it or has it committed (scenarios 45, 47), and taken when an entry there conflicts", async () => {
    const { host, begun } = follower();
    assert.equal(await takeReset(host, leader, offer(at(10, 3))), undefined);
    assert.equal(await takeReset(host, leader, offer(at(18, 3))), undefined);
    assert.deepEqual(begun, []);
    assert.deepEqual(await takeReset(host, leader, offer(at(18, 4))), at(18, 4));
  });

  it("waits for an earlier one that is still being taken, and is then nobody's: one snapshot is fetched at a time", async () => {
    let arrived = (): void => {};
    const fetched = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    const { host, begun, asked } = follower({ fetched });
    const first = takeReset(host, leader, offer(at(30, 4)));
    const second = takeReset(host, leader, offer(at(40, 4)));
    arrived();
    assert.deepEqual([await first, await second], [at(30, 4), undefined]);
    assert.deepEqual([asked, begun], [[30], [30]]);
    assert.deepEqual(await takeReset(host, leader, offer(at(50, 4))), at(50, 4), "a later one is taken again");
  });

  it("is refused while the disk is full: the replica votes and answers meanwhile", async () => {
    const { host, begun, asked } = follower({ full: true });
    assert.equal(await takeReset(host, leader, offer(at(30, 4))), undefined);
    assert.deepEqual([asked, begun], [[], []]);
  });

  it("stops the broker when it contradicts what is committed (scenario 46)", async () => {
    const { host } = follower();
    await assert.rejects(takeReset(host, leader, offer(at(10, 4))), InvariantViolated);
  });
});
