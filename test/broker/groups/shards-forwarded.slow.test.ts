import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { crc32c } from "../../../src/base/crc32c.ts";
import { MillraceError } from "../../../src/base/errors.ts";
import { SNAPSHOT_METHOD } from "../../../src/broker/machine/snapshot-transfer.ts";
import { emptyDraft } from "../../../src/broker/members.ts";
import { encodeForwardedAppend } from "../../../src/broker/routing/forwarded.ts";
import { APPEND_METHOD, FETCH_METHOD, OFFSETS_METHOD, TRIM_METHOD } from "../../../src/broker/routing/log-backend.ts";
import { GROUPS_TOPIC } from "../../../src/cluster/internal-topics.ts";
import { ForwardedFetch, ForwardedOffsets, ForwardedTrim, SnapshotRequest } from "../../../src/protocol/routing.ts";
import { FrameType } from "../../../src/records/frame-types.ts";
import { recordSet } from "../harness.ts";
import { Puppet } from "../scenarios/puppet.ts";
import * as stubs from "../stubs.ts";
import { ShardRun } from "./shard-run.ts";

describe("the shards of consumer groups, between brokers of two versions", () => {
  it("are not to be used by calls either that a broker of before hands on, and their snapshots are told from the metadata's", async () => {
    const run = await ShardRun.start({ seed: 509 });
    const { cluster } = run;
    const groupId = run.groups(1).groupOf(0) ?? assert.fail();
    const leader = run.leader(0) as number;
    const old = (leader % 3) + 1;
    const { clusterId } = await cluster.call(leader, stubs.DescribeCluster, {});
    const replica = run.shard(old, 0)?.replica.id ?? assert.fail();
    cluster.kill(old);
    const puppet = await Puppet.start(cluster, old, leader, clusterId, { group: groupId, replica });
    const payload = recordSet(["a"]);
    const draft = { ...emptyDraft, type: FrameType.data, recordCount: 1, payloadCrc: crc32c(payload), payload };
    const calls: readonly (readonly [string, readonly Uint8Array[]])[] = [
      [APPEND_METHOD, encodeForwardedAppend(groupId, { draft, acks: "QUORUM" })],
      [FETCH_METHOD, [ForwardedFetch.encode({ groupId, request: { topic: GROUPS_TOPIC } })]],
      [OFFSETS_METHOD, [ForwardedOffsets.encode({ groupId })]],
      [TRIM_METHOD, [ForwardedTrim.encode({ groupId, beforeOffset: -1 })]],
    ];
    const before = cluster.replica(leader, groupId)?.log.endOffset;
    for (const [method, body] of calls) {
      const refused = await puppet.call(leader, method, body);
      assert.equal(refused instanceof MillraceError && refused.code, "INTERNAL_TOPIC", `${method}: ${String(refused)}`);
    }
    assert.equal(cluster.replica(leader, groupId)?.log.endOffset, before);
    // None was taken of that shard yet; of the metadata there is one, and who asks for no group means that.
    const snapshot = async (of: number): Promise<number> => {
      const answer = await puppet.call(leader, SNAPSHOT_METHOD, [SnapshotRequest.encode({ groupId: of })]);
      return answer instanceof MillraceError ? -1 : answer.byteLength;
    };
    assert.ok((await snapshot(0)) > 0);
    assert.deepEqual([await snapshot(groupId), await snapshot(12_345)], [0, 0]);
    cluster.close();
  });
});
