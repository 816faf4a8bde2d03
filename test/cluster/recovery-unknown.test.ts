import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { GroupId, TopicId } from "../../src/base/ids.ts";
import type { Standing } from "../../src/cluster/recovery-plan.ts";
import { five, planOf, standing } from "./recovery-fixture.ts";

describe("Copies of partitions that the metadata does not know (scenario 62)", () => {
  const lost = () => {
    const { cluster, partition, on } = five();
    const groupId = 1000 as GroupId;
    const about = { groupId, topicId: "lost-id" as TopicId, topic: "lost", partition: 4 };
    const [one, two] = on as [number, number];
    const copy = (broker: number, more: Partial<Standing> = {}): Standing => ({ ...standing(partition(), broker), ...about, ...more });
    return { cluster, partition, groupId, one, two, copy };
  };

  it("are named by topic, id, replica, broker and end, best first, and change neither what is done nor its digest", () => {
    const { cluster, partition, groupId, one, two, copy } = lost();
    const all = partition().replicas.map(({ brokerId }) => standing(partition(), brokerId));
    const behind = copy(one, { lastIndex: 5, endOffset: 4, commit: 5 });
    const best = copy(two, { holes: 2 });
    const plan = planOf(cluster, [...all, behind, best]);
    assert.deepEqual(
      plan.unknown.map(({ copies, ...said }) => [
        said,
        copies.map(({ replicaId, brokerId, endOffset, holes }) => [replicaId, brokerId, endOffset, holes]),
      ]),
      [
        [
          { groupId, topicId: "lost-id", topic: "lost", partition: 4, remade: false },
          [
            [best.replicaId, two, 9, 2],
            [behind.replicaId, one, 4, 0],
          ],
        ],
      ],
    );
    const without = planOf(cluster, all);
    assert.deepEqual([without.unknown, without.digest, without.partitions], [[], plan.digest, plan.partitions]);
  });

  it("are told from a topic that has their name now, and from what an older broker says no name of", () => {
    const { cluster, copy, one } = lost();
    assert.equal(planOf(cluster, [copy(one, { topic: "t" })]).unknown[0]?.remade, true);
    const [unnamed] = planOf(cluster, [copy(one, { topic: "", topicId: "" as TopicId })]).unknown;
    assert.deepEqual([unnamed?.topic, unnamed?.copies.length, unnamed?.remade], ["", 1, false]);
  });

  it("are none that were made after what this broker has heard, unless the metadata itself is lost, and none that are being deleted", () => {
    const { cluster, partition, copy, one } = lost();
    const later = copy(one, { groupId: cluster.image.nextIds.group });
    assert.deepEqual(planOf(cluster, [later]).unknown, []);
    const metadata = standing(partition(), one, { groupId: 1 as GroupId });
    const both = planOf(cluster, [metadata, later]);
    assert.deepEqual([both.metadata?.survivor.brokerId, both.unknown.length], [one, 1]);
    const { groupId } = partition();
    const held = standing(partition(), one);
    cluster.done({ kind: "deleteTopic", name: "t", topicId: undefined });
    assert.deepEqual(planOf(cluster, [held]).unknown, [], `group ${groupId} has a tombstone`);
    // An old copy of a disk that confirmed it once: its broker deletes it as soon as it is registered.
    for (const { id, incarnation } of cluster.image.brokers.values()) {
      const topicIds = cluster.image.tombstonesFor(id).map(({ topicId }) => topicId);
      if (topicIds.length > 0) cluster.done({ kind: "confirmDeleted", brokerId: id, incarnation, topicIds });
    }
    assert.equal(cluster.image.tombstones.size, 0);
    assert.deepEqual(planOf(cluster, [held]).unknown, [], `group ${groupId} was deleted`);
    assert.equal(planOf(cluster, [metadata, held]).unknown.length, 1, "what is recovered may know nothing of it");
  });
});
