import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { ErrorCode } from "../../../src/base/errors.ts";
import { shardOf } from "../../../src/consumer-groups/shard.ts";
import type { MessageInput } from "../../../src/protocol/codec/index.ts";
import type { SeekGroupRequest } from "../../../src/protocol/public.ts";
import * as rpc from "../stubs.ts";
import { GroupCluster } from "./group-cluster.ts";

/** Whose coordinator is another shard's than that of `of`. */
const elsewhere = (name: string, of: string): string =>
  Array.from({ length: 1_000 }, (_, n) => `${name}${n}`).find((each) => shardOf(each) !== shardOf(of)) ?? assert.fail("there is one");

describe("A seek", () => {
  let groups: GroupCluster;
  before(async () => {
    groups = await GroupCluster.start({
      seed: 541,
      configure: (config) => ({ ...config, groups: { ...config.groups, offsetsPerGroupMax: 6 } }),
    });
    await groups.cluster.createTopic("t", 3);
    await groups.cluster.createTopic("u", 2);
    for (let partition = 0; partition < 3; partition++) await groups.fill("t", partition, 10);
    for (let partition = 0; partition < 2; partition++) await groups.fill("u", partition, 10);
    await groups.commit(1, "first", undefined, { "t:0": 4, "t:2": 6, "u:0": 8 });
  });
  after(() => groups.cluster.close());

  const seek = async (via: number, groupId: string, more: MessageInput<typeof SeekGroupRequest>) => {
    const { results } = await groups.cluster.call(via, rpc.SeekGroup, { groupId, ...more });
    return results.map(({ topic, partition, before: was, after: is }) => `${topic}:${partition} ${was ?? "-"} ${is}`).sort();
  };
  const refused = (groupId: string, code: ErrorCode, more: MessageInput<typeof SeekGroupRequest>) =>
    groups.cluster.refused(1, rpc.SeekGroup, { groupId, ...more }, code);

  it("makes a new group go on from where another one is, whoever coordinates that, and says before what it would do", async () => {
    const copy = elsewhere("copy", "first");
    const all = ["t:0 - 4", "t:2 - 6", "u:0 - 8"];
    assert.deepEqual(await seek(1, copy, { group: "first", dryRun: true }), all);
    assert.deepEqual(await groups.committed(1, copy), []);
    for (const via of [1, 2, 3]) assert.deepEqual((await seek(via, elsewhere(`copy-${via}-`, "first"), { group: "first" })).length, 3);
    assert.deepEqual(await seek(2, copy, { group: "first" }), all);
    assert.deepEqual(await groups.committed(3, copy), ["t:0=4", "t:2=6", "u:0=8"]);
  });

  it("to another group takes its terms along; of a place that is said otherwise none is known", async () => {
    const { cluster } = groups;
    await cluster.call(1, rpc.CommitOffsets, {
      groupId: "of-a-term",
      memberEpoch: -1,
      offsets: [{ topic: "t", partition: 0, offset: 5, term: 3 }],
    });
    const copy = elsewhere("terms", "of-a-term");
    const term = async () => (await cluster.call(1, rpc.FetchOffsets, { groupId: copy })).offsets.map((each) => each.term);
    await seek(2, copy, { group: "of-a-term" });
    assert.deepEqual(await term(), [3]);
    await seek(2, copy, { offset: 5, topics: [{ topic: "t", partitions: [0] }] });
    assert.deepEqual(await term(), [undefined]);
  });

  it("to another group moves only what both know; topics that are named, only of those", async () => {
    await groups.commit(1, "second", undefined, { "t:0": 1, "t:1": 1 });
    assert.deepEqual(await seek(2, "second", { group: "first" }), ["t:0 1 4", "t:2 - 6"]);
    assert.deepEqual(await groups.committed(3, "second"), ["t:0=4", "t:1=1", "t:2=6"]);
    assert.deepEqual(await seek(3, "second", { group: "first", topics: [{ topic: "u" }] }), ["u:0 - 8"]);
    assert.deepEqual(await seek(1, "second", { group: "first", topics: [{ topic: "t", partitions: [2] }] }), ["t:2 6 6"]);
    await groups.join(1, "reads-u", "m", ["u"]);
    await refused("reads-u", "GROUP_NOT_EMPTY", { group: "first" });
    assert.deepEqual(await seek(1, "reads-u", { group: "first", force: true }), ["u:0 - 8"], "it reads u, and nothing is committed of it");
  });

  it("to another group is refused where there is none, or it has nothing of that, and changes nothing", async () => {
    await groups.join(1, "fresh", "m", ["t"]);
    await groups.commit(1, "of-u", undefined, { "u:1": 3 });
    const was = await groups.committed(1, "of-u");
    await refused("of-u", "UNKNOWN_GROUP", { group: "nobody" });
    await refused("of-u", "INVALID_NAME", { group: "__x" });
    await refused("of-u", "INVALID_REQUEST", { group: "of-u" });
    await refused("of-u", "NO_COMMITTED_OFFSETS", { group: "fresh" });
    await refused("of-u", "NO_COMMITTED_OFFSETS", { group: "first", topics: [{ topic: "u", partitions: [1] }] });
    await refused("of-u", "UNKNOWN_TOPIC", { group: "first", topics: [{ topic: "none" }] });
    await groups.commit(1, "of-t", undefined, { "t:1": 3 });
    await refused("of-t", "NO_COMMITTED_OFFSETS", { group: "of-u" });
    assert.deepEqual(await groups.committed(2, "of-u"), was);
    assert.deepEqual(await groups.committed(2, "of-t"), ["t:1=3"]);
  });

  it("to where another group is, is refused when the log does not hold that any more", async () => {
    await groups.cluster.createTopic("trimmed", 1);
    await groups.fill("trimmed", 0, 10);
    await groups.commit(1, "slow", undefined, { "trimmed:0": 2 });
    await groups.commit(1, "fast", undefined, { "trimmed:0": 9 });
    await groups.cluster.call(1, rpc.TrimTopic, { name: "trimmed", partitions: [{ partition: 0, beforeOffset: 5 }] });
    await groups.cluster.pass(1_000);
    await refused("fast", "OFFSET_OUT_OF_RANGE", { group: "slow" });
    assert.deepEqual(await groups.committed(1, "fast"), ["trimmed:0=9"]);
  });

  it("moves each partition to an offset of its own, all or none", async () => {
    const at = (topic: string, partition: number, offset: number) => ({ topic, partition, offset });
    const positions = [at("t", 1, 3), at("u", 0, 0), at("t", 0, 10)];
    assert.deepEqual(await seek(2, "placed", { positions: { positions }, dryRun: true }), ["t:0 - 10", "t:1 - 3", "u:0 - 0"]);
    assert.deepEqual(await groups.committed(1, "placed"), []);
    await seek(3, "placed", { positions: { positions } });
    const placed = ["t:0=10", "t:1=3", "u:0=0"];
    assert.deepEqual(await groups.committed(1, "placed"), placed);
    const bad: [ErrorCode, MessageInput<typeof SeekGroupRequest>][] = [
      ["INVALID_REQUEST", { positions: { positions: [] } }],
      ["INVALID_REQUEST", { positions: { positions: [at("t", 0, 1), at("t", 0, 2)] } }],
      ["INVALID_REQUEST", { positions: { positions: [at("t", 0, 1), at("t", 1, -1)] } }],
      ["INVALID_REQUEST", { positions: { positions: [at("t", 0, 1)] }, topics: [{ topic: "t" }] }],
      ["OFFSET_OUT_OF_RANGE", { positions: { positions: [at("t", 0, 1), at("t", 1, 11)] } }],
      ["UNKNOWN_PARTITION", { positions: { positions: [at("t", 0, 1), at("t", 3, 1)] } }],
      ["UNKNOWN_TOPIC", { positions: { positions: [at("t", 0, 1), at("none", 0, 1)] } }],
      ["UNKNOWN_TOPIC", { positions: { positions: [at("__groups", 0, 1)] } }],
      ["TOO_MANY_REQUESTS", { positions: { positions: Array.from({ length: 7 }, (_, partition) => at("t", partition, 0)) } }],
    ];
    for (const [code, more] of bad) await refused("placed", code, more);
    assert.deepEqual(await groups.committed(2, "placed"), placed);
  });
});
