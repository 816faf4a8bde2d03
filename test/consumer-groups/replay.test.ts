import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { LogIndex } from "../../src/base/ids.ts";
import { InvariantViolated } from "../../src/base/invariant.ts";
import { type Fact, RemovedBecause } from "../../src/consumer-groups/facts.ts";
import { GroupsImage } from "../../src/consumer-groups/image.ts";
import { PartitionMap } from "../../src/consumer-groups/partition-map.ts";
import { topicUuid } from "./groups-fixture.ts";

const topicId = topicUuid(1);
const joined = (memberId: string, epoch: number, more: { instanceId?: string; replaces?: string } = {}): Fact => ({
  kind: "memberJoined",
  memberId,
  instanceId: more.instanceId,
  rack: "",
  clientAddress: "",
  topics: ["t"],
  topicPattern: "",
  assignor: "",
  rebalanceTimeoutMs: 1,
  epoch,
  replaces: more.replaces,
});
const target = (epoch: number, ...owners: number[]): Fact => ({
  kind: "targetAssigned",
  epoch,
  assignor: "uniform",
  members: ["a", "b"],
  topics: [{ topicId, name: "t", owners }],
});
const granted = (epoch: number, partition: number, owner: number): Fact => ({
  kind: "granted",
  epoch,
  members: ["a", "b"],
  topics: [{ topicId, partitions: [partition], owners: [owner] }],
});
const revoked = (epoch: number, partition: number): Fact => ({
  kind: "revocationBegun",
  epoch,
  topics: [{ topicId, partitions: [partition] }],
});
const released = (partition: number): Fact => ({ kind: "released", topics: [{ topicId, partitions: [partition] }] });

/** Both are members, and a holds partition 0, which is for b by now. */
const begun: readonly Fact[] = [joined("a", 1), joined("b", 2), target(3, 1, 0), granted(3, 0, 1), target(4, 2, 0)];

function replay(...facts: readonly Fact[]): GroupsImage {
  const image = GroupsImage.empty();
  image.replay({ groupId: "g", facts }, 1 as LogIndex);
  return image;
}

describe("replay of facts about groups", () => {
  it("takes what a decision can make", () => {
    const image = replay(...begun, revoked(4, 0), released(0), granted(5, 0, 2));
    assert.deepEqual(image.group("g")?.held.get(topicId, 0), { member: "b", since: 5, revoking: 0 });
    assert.equal(image.group("g")?.epoch, 5);
  });

  const never: Readonly<Record<string, readonly Fact[]>> = {
    "a partition granted while another holds it": [granted(5, 0, 2)],
    "a partition granted while its owner has not given it back": [revoked(4, 0), granted(5, 0, 2)],
    "a partition granted to whom it is not for": [revoked(4, 0), released(0), granted(5, 0, 1)],
    "a partition given back that was not asked for": [released(0)],
    "a partition asked for twice": [revoked(4, 0), revoked(5, 0)],
    "a partition asked for that nobody holds": [revoked(4, 1)],
    "a revocation at an epoch that is over": [revoked(3, 0)],
    "a grant at an epoch that is over": [revoked(4, 0), released(0), granted(3, 0, 2)],
    "a grant to somebody who is not in its list": [revoked(4, 0), released(0), granted(5, 0, 3)],
    "a target that is not newer": [target(4, 1, 0)],
    "a target for somebody who is gone": [{ kind: "memberRemoved", memberId: "a", because: RemovedBecause.left, atMs: 1 }, target(5, 1, 0)],
    "somebody joining at an epoch that is over": [joined("c", 4)],
    "one instance that is two members": [joined("c", 5, { instanceId: "x" }), joined("d", 6, { instanceId: "x" })],
    "somebody replacing another instance": [joined("c", 5, { instanceId: "x" }), joined("d", 6, { instanceId: "y", replaces: "c" })],
    "somebody without an instance going for a while": [{ kind: "memberAway", memberId: "a" }],
    "somebody gone who was not there": [{ kind: "memberRemoved", memberId: "c", because: RemovedBecause.left, atMs: 1 }],
    "a group deleted that has members": [{ kind: "groupDeleted" }],
  };
  for (const [what, facts] of Object.entries(never))
    it(`stops at ${what}`, () => {
      assert.throws(() => replay(...begun, ...facts), InvariantViolated);
    });

  it("stops at a group that begins with anything but a member or an offset, and at facts that go back in the log", () => {
    for (const fact of [released(0), granted(1, 0, 1), target(1, 0), { kind: "groupDeleted" } as const])
      assert.throws(() => replay(fact), InvariantViolated);
    const image = replay(joined("a", 1));
    assert.throws(() => image.replay({ groupId: "h", facts: [joined("a", 1)] }, 0 as LogIndex), InvariantViolated);
  });
});

describe("a map by partition", () => {
  it("and its clone do not see each other's writes", () => {
    const map = new PartitionMap<number>();
    map.set(topicId, 3, 30);
    const clone = map.clone();
    map.set(topicId, 3, 31);
    map.delete(topicId, 3);
    assert.equal(clone.get(topicId, 3), 30);
    clone.set(topicId, 1, 10);
    const other = clone.clone();
    clone.set(topicId, 1, 11);
    assert.deepEqual([other.get(topicId, 1), clone.get(topicId, 1), map.get(topicId, 1)], [10, 11, undefined]);
    assert.deepEqual([map.size, clone.size, map.topics()], [0, 2, []]);
  });
});
