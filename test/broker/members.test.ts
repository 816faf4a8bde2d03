import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type BrokerId, type ReplicaId, toReplicaId } from "../../src/base/ids.ts";
import { configurationOf, Members } from "../../src/broker/members.ts";
import { GroupConfig } from "../../src/protocol/routing.ts";
import type { Configuration } from "../../src/raft/types.ts";
import { FrameType } from "../../src/records/frame-types.ts";

const about: GroupConfig = { members: [], topicId: "id", topic: "orders", partition: 3, recovery: 0, fenced: [] };
const stored = (members: readonly (readonly [replica: number, broker: number, role?: number])[]): GroupConfig => ({
  ...about,
  members: members.map(([replicaId, brokerId, role = 0]) => ({ replicaId, brokerId, role })),
});
const nobody = (): undefined => undefined;

describe("Members of a group", () => {
  it("stored before roles existed are all voters", () => {
    assert.deepEqual(
      configurationOf(
        GroupConfig.decode(
          GroupConfig.encode(
            stored([
              [7, 1],
              [8, 2],
            ]),
          ),
        ),
      ),
      { voters: [7, 8], learners: [] },
    );
  });

  it("in a configuration frame are those the core has in force, each with its broker, joint or not", () => {
    const ids = fc.uniqueArray(fc.integer({ min: 1, max: 9 }).map(toReplicaId), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(ids, fc.option(ids, { nil: undefined }), ids, (voters, old, rest) => {
        const joint = old?.some((id) => !voters.includes(id)) ? old : undefined;
        const learners = rest.filter((id) => !voters.includes(id) && joint?.includes(id) !== true);
        const configuration: Configuration = { voters, learners, ...(joint === undefined ? {} : { old: joint }) };
        const members = new Members(stored(Array.from({ length: 9 }, (_, at) => [at + 1, at + 101])), nobody);
        const draft = members.draft(configuration);
        assert.equal(draft.type, FrameType.config);
        const read = GroupConfig.decode(draft.payload);
        const again = configurationOf(read);
        assert.deepEqual([again.voters, again.learners], [voters, learners]);
        assert.deepEqual([...(again.old ?? [])].sort(), [...(joint ?? [])].sort());
        assert.ok(read.members.every(({ replicaId, brokerId }) => brokerId === replicaId + 100));
        assert.deepEqual([read.topicId, read.topic, read.partition], ["id", "orders", 3]);
      }),
      { numRuns: 200 },
    );
  });

  it("are known with their brokers once a frame, or the metadata, said so; whoever is not in force is still known", () => {
    const asked: number[] = [];
    const members = new Members(
      stored([
        [1, 11],
        [2, 12],
      ]),
      (replica: ReplicaId) => {
        asked.push(replica);
        return replica === 9 ? (19 as BrokerId) : undefined;
      },
    );
    members.learn({ members: [{ replicaId: 3, brokerId: 13 }] });
    members.inForce({ voters: [2, 3].map(toReplicaId), learners: [] });
    assert.deepEqual(members.all, [
      { replicaId: 2, brokerId: 12 },
      { replicaId: 3, brokerId: 13 },
    ]);
    assert.equal(members.brokerOf(toReplicaId(1)), 11);
    assert.deepEqual(asked, []);
    assert.equal(members.brokerOf(toReplicaId(9)), 19);
    assert.equal(members.brokerOf(toReplicaId(8)), undefined);
  });

  it("hear and reach nobody whom a recovery has given up, whoever knows its broker, and say so in every later configuration (scenario 62)", () => {
    const members = new Members(
      stored([
        [1, 101],
        [2, 102],
      ]),
      () => 107 as BrokerId,
    );
    members.learn({ members: [], recovery: 4, fenced: [2, 7] });
    members.learn({ ...stored([[2, 102]]), recovery: 3 });
    assert.deepEqual(
      [1, 2, 7, 8].map((id) => members.brokerOf(toReplicaId(id))),
      [101, undefined, undefined, 107],
    );
    const read = GroupConfig.decode(members.draft({ voters: [toReplicaId(1)], learners: [] }).payload);
    assert.deepEqual([read.recovery, read.fenced], [4, [2, 7]]);
    const next = new Members(read, nobody);
    assert.deepEqual([next.recovery, next.brokerOf(toReplicaId(2))], [4, undefined]);
  });
});
