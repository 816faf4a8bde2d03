import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type ErrorCode, errors, MillraceError } from "../../../src/base/errors.ts";
import { shardOf } from "../../../src/consumer-groups/shard.ts";
import type { MessageInput } from "../../../src/protocol/codec/index.ts";
import type { CommitOffsetsRequest } from "../../../src/protocol/public.ts";
import { errorOf } from "../../../src/protocol/rpc-status.ts";
import * as rpc from "../stubs.ts";
import { type Beat, GroupCluster } from "./group-cluster.ts";

type Offsets = NonNullable<MessageInput<typeof CommitOffsetsRequest>["offsets"]>;

/** Member `a` holds both partitions of `t`, `b` those of `u`; `i` is instance `one`. All in group `g`. */
interface World {
  readonly groups: GroupCluster;
  readonly epochs: Readonly<Record<"a" | "b" | "i", number>>;
}

/** A group with the same coordinator as `g`. */
const NEIGHBOUR = Array.from({ length: 1_000 }, (_, n) => `g${n}`).find((name) => shardOf(name) === shardOf("g")) ?? "";

const x = (count: number): string => "x".repeat(count);
const beat = (heartbeat: Beat) => (w: World, via: number) =>
  w.groups.cluster.call(via, rpc.Heartbeat, { heartbeat: { groupId: "g", memberId: "a", ...heartbeat } });
const joining: Beat = { memberEpoch: 0, topics: ["t"] };

/** A call that is refused as a whole, and what its error says. */
const refused: readonly (readonly [what: string, code: ErrorCode, says: RegExp, call: (w: World, via: number) => Promise<unknown>])[] = [
  ["a member nobody knows", "UNKNOWN_MEMBER", /join again/, beat({ memberId: "nobody", memberEpoch: 3 })],
  ["a group nobody knows", "UNKNOWN_MEMBER", /join again/, beat({ groupId: "none", memberEpoch: 3 })],
  ["an epoch of a former life", "MEMBER_FENCED", /give up all partitions and join again/, beat({ memberEpoch: 1 })],
  ["an epoch that is not reached yet", "MEMBER_FENCED", /join again/, beat({ memberEpoch: 9_999 })],
  ["an instance id in use", "INSTANCE_ID_IN_USE", /member i has it/, beat({ ...joining, memberId: "j", instanceId: "one" })],
  [
    "an instance that another process has taken",
    "INSTANCE_FENCED",
    /another process/,
    (w, via) => beat({ memberEpoch: w.epochs.a, instanceId: "one" })(w, via),
  ],
  ["no heartbeat", "INVALID_REQUEST", /heartbeat/, (w, via) => w.groups.cluster.call(via, rpc.Heartbeat, {})],
  ["an epoch that means nothing", "INVALID_REQUEST", /member_epoch/, beat({ memberEpoch: -7 })],
  ["a dynamic member that leaves for a while", "INVALID_REQUEST", /instance_id/, beat({ memberEpoch: -2 })],
  [
    "partitions without the id of their topic",
    "INVALID_REQUEST",
    /topic_id/,
    (w, via) => beat({ memberEpoch: w.epochs.a, owned: [{ topic: "t" }] })(w, via),
  ],
  ["no topics", "INVALID_REQUEST", /topics/, beat({ memberEpoch: 0 })],
  [
    "a pattern that is none",
    "INVALID_REQUEST",
    /topic_pattern: a \( is not closed at position 3/,
    beat({ memberEpoch: 0, topicPattern: "t.(" }),
  ],
  ["a pattern that looks ahead", "INVALID_REQUEST", /topic_pattern.*at position 1.*RE2/, beat({ memberEpoch: 0, topicPattern: "t(?=x)" })],
  ["a pattern that is too long (case 49)", "INVALID_REQUEST", /topic_pattern: it has 501/, beat({ memberEpoch: 0, topicPattern: x(501) })],
  [
    "a pattern of too many parts (case 49)",
    "INVALID_REQUEST",
    /topic_pattern: with its repetitions/,
    beat({ memberEpoch: 0, topicPattern: "((a?){99}){99}" }),
  ],
  [
    "another pattern that is none, of a member",
    "INVALID_REQUEST",
    /topic_pattern/,
    (w, via) => beat({ memberEpoch: w.epochs.a, topicsChanged: true, topicPattern: "[" })(w, via),
  ],
  ["an internal topic", "INVALID_NAME", /internal/, beat({ ...joining, topics: ["__groups"] })],
  ["an assignor nobody has", "INVALID_REQUEST", /uniform and range/, beat({ ...joining, assignor: "magic" })],
  ["a rebalance timeout below 0", "INVALID_REQUEST", /rebalance_timeout_ms/, beat({ ...joining, rebalanceTimeoutMs: -1 })],
  ...["", ".", "..", "__groups", "a b", "a/b", "a\0b", "\u{1f600}", x(250), "__proto__"].map(
    (groupId) =>
      [`the group name ${JSON.stringify(groupId.slice(0, 20))}`, "INVALID_NAME", /name of a group/, beat({ ...joining, groupId })] as const,
  ),
  ...["", "a b", x(256)].map(
    (memberId) =>
      [`the member id ${JSON.stringify(memberId.slice(0, 20))}`, "INVALID_REQUEST", /member_id/, beat({ ...joining, memberId })] as const,
  ),
  ["too many members", "TOO_MANY_REQUESTS", /members/, beat({ ...joining, memberId: "d" })],
  ["too many topics", "TOO_MANY_REQUESTS", /topics/, beat({ ...joining, topics: Array.from({ length: 1_001 }, (_, n) => `t${n}`) })],
  [
    "100,000 partitions in one commit (case 49)",
    "TOO_MANY_REQUESTS",
    /at most 1000/,
    (w, via) =>
      commit(
        w,
        via,
        Array.from({ length: 100_000 }, (_, partition) => ({ topic: "t", partition, offset: 1 })),
      ),
  ],
  [
    "100,000 partitions in one fetch (case 49)",
    "TOO_MANY_REQUESTS",
    /20000/,
    (w, via) =>
      w.groups.cluster.call(via, rpc.FetchOffsets, {
        groupId: "g",
        topics: [{ topic: "t", partitions: Array.from({ length: 100_000 }, () => 0) }],
      }),
  ],
  ["more groups than there may be (case 51)", "TOO_MANY_REQUESTS", /this coordinator has 1/, beat({ ...joining, groupId: NEIGHBOUR })],
  [
    "a commit from outside while there are members",
    "GROUP_NOT_EMPTY",
    /3 members/,
    (w, via) => w.groups.commit(via, "g", undefined, { "t:0": 1 }),
  ],
  [
    "a commit of a member nobody knows",
    "UNKNOWN_MEMBER",
    /join again/,
    (w, via) => w.groups.commit(via, "g", { memberId: "nobody", memberEpoch: 1 }, { "t:0": 1 }),
  ],
  [
    "a commit of a former life",
    "MEMBER_FENCED",
    /join again/,
    (w, via) => w.groups.commit(via, "g", { memberId: "a", memberEpoch: 1 }, { "t:0": 1 }),
  ],
  [
    "a commit without a member and with an epoch",
    "INVALID_REQUEST",
    /member_id/,
    (w, via) => w.groups.commit(via, "g", { memberId: "", memberEpoch: 1 }, { "t:0": 1 }),
  ],
  [
    "offsets of a topic nobody has",
    "UNKNOWN_TOPIC",
    /none/,
    (w, via) => w.groups.cluster.call(via, rpc.FetchOffsets, { groupId: "g", topics: [{ topic: "none" }] }),
  ],
  [
    "offsets of a partition that is not there",
    "UNKNOWN_PARTITION",
    /it has 2/,
    (w, via) => w.groups.cluster.call(via, rpc.FetchOffsets, { groupId: "g", topics: [{ topic: "t", partitions: [2] }] }),
  ],
  [
    "the deletion of a group with members",
    "GROUP_NOT_EMPTY",
    /3 members/,
    (w, via) => w.groups.cluster.call(via, rpc.DeleteGroup, { groupId: "g" }),
  ],
  [
    "the deletion of a group nobody knows",
    "UNKNOWN_GROUP",
    /none/,
    (w, via) => w.groups.cluster.call(via, rpc.DeleteGroup, { groupId: "none" }),
  ],
  [
    "the description of a group nobody knows",
    "UNKNOWN_GROUP",
    /none/,
    (w, via) => w.groups.cluster.call(via, rpc.DescribeGroup, { groupId: "none" }),
  ],
  [
    "a deletion of offsets of a group nobody knows",
    "UNKNOWN_GROUP",
    /none/,
    (w, via) => w.groups.cluster.call(via, rpc.DeleteOffsets, { groupId: "none" }),
  ],
  ["a seek while there are members", "GROUP_NOT_EMPTY", /without force/, (w, via) => seek(w, via, { offset: 1 })],
  ["a seek beyond the log", "OFFSET_OUT_OF_RANGE", /it has 0 to 3/, (w, via) => seek(w, via, { offset: 4, dryRun: true })],
  ["a seek to below the log", "INVALID_REQUEST", /offset/, (w, via) => seek(w, via, { offset: -1, dryRun: true })],
  ["a seek to before time", "INVALID_REQUEST", /time_ms/, (w, via) => seek(w, via, { timeMs: -1, dryRun: true })],
  ["a seek to nowhere", "INVALID_REQUEST", /say where to/, (w, via) => seek(w, via, {})],
  [
    "a seek of one partition twice",
    "INVALID_REQUEST",
    /twice/,
    (w, via) => seek(w, via, { start: true, topics: [{ topic: "t", partitions: [0, 0] }] }),
  ],
  [
    "a seek of a group nobody knows, to all that it reads",
    "UNKNOWN_GROUP",
    /none/,
    (w, via) => w.groups.cluster.call(via, rpc.SeekGroup, { groupId: "none", start: true }),
  ],
];

const commit = (w: World, via: number, offsets: Offsets) =>
  w.groups.cluster.call(via, rpc.CommitOffsets, { groupId: "g", memberId: "a", memberEpoch: w.epochs.a, offsets });
const seek = (w: World, via: number, to: Parameters<typeof rpc.SeekGroup.encode>[0]) =>
  w.groups.cluster.call(via, rpc.SeekGroup, { groupId: "g", topics: [{ topic: "t", partitions: [0] }], ...to });

/** An offset that member `a` cannot commit. */
const uncommitted: readonly (readonly [what: string, code: ErrorCode, says: RegExp, offset: Offsets[number]])[] = [
  ["beyond the end (case 49)", "OFFSET_OUT_OF_RANGE", /high watermark is 3/, { topic: "t", partition: 0, offset: 4 }],
  ["below what is committed", "COMMIT_BEHIND", /SeekGroup goes back/, { topic: "t", partition: 1, offset: 0 }],
  ["of a partition it does not hold", "PARTITION_NOT_OWNED", /not in the hands of member a/, { topic: "u", partition: 0, offset: 0 }],
  ["of a topic that was deleted", "UNKNOWN_TOPIC", /gone/, { topic: "gone", partition: 0, offset: 0 }],
  [
    "of a former topic of the name",
    "UNKNOWN_TOPIC",
    /t/,
    { topic: "t", topicId: "00000000-0000-4000-8000-000000000001", partition: 0, offset: 0 },
  ],
  ["of an internal topic", "UNKNOWN_TOPIC", /__groups/, { topic: "__groups", partition: 0, offset: 0 }],
  ["of a partition that is not there", "UNKNOWN_PARTITION", /it has 2/, { topic: "t", partition: 2, offset: 0 }],
  ["below 0", "INVALID_REQUEST", /below 0/, { topic: "t", partition: 0, offset: -1 }],
  ["of a term below none", "INVALID_REQUEST", /term/, { topic: "t", partition: 0, offset: 0, term: -2 }],
  ["of the term 0, which no record is of", "INVALID_REQUEST", /term: .*leave it out/, { topic: "t", partition: 0, offset: 0, term: 0 }],
  [
    "with too much beside it (case 49)",
    "OFFSET_METADATA_TOO_LARGE",
    /4096 bytes/,
    { topic: "t", partition: 0, offset: 0, metadata: x(1024 * 1024) },
  ],
];

describe("Bad input of groups is a typed error with the action to take, at every broker, and changes nothing", () => {
  let w: World;
  let before_: string;
  const group = async (): Promise<string> => {
    const { partitions, members, groupEpoch } = await w.groups.cluster.call(1, rpc.DescribeGroup, { groupId: "g" });
    return JSON.stringify([partitions.map(({ oldestAgeMs: _, ...rest }) => rest), members, groupEpoch]);
  };
  before(async () => {
    const groups = await GroupCluster.start({
      seed: 521,
      configure: (config) => ({ ...config, groups: { ...config.groups, membersPerGroupMax: 3, groupsMax: 1 } }),
    });
    await groups.cluster.createTopic("t", 2);
    await groups.cluster.createTopic("u", 2);
    await groups.cluster.createTopic("gone", 1);
    for (const partition of [0, 1]) await groups.fill("t", partition, 3);
    await groups.cluster.call(1, rpc.DeleteTopic, { name: "gone" });
    await groups.join(1, "g", "a", ["t"]);
    const b = await groups.join(1, "g", "b", ["u"]);
    const i = await groups.join(1, "g", "i", ["u"], { instanceId: "one" });
    // It joins again: what it sent before is of a former life.
    const a = await groups.join(1, "g", "a", ["t"]);
    w = { groups, epochs: { a: a.memberEpoch, b: b.memberEpoch, i: i.memberEpoch } };
    assert.deepEqual((await groups.commit(1, "g", a, { "t:1": 2 })).errors, []);
    before_ = await group();
  });
  after(() => w.groups.cluster.close());

  it("when a call is refused", async () => {
    for (const [n, [what, code, says, call]] of refused.entries())
      for (const via of [(n % 3) + 1]) {
        const error: unknown = await call(w, via).then(
          () => assert.fail(`${what} was taken`),
          (failure: unknown) => failure,
        );
        assert.ok(error instanceof MillraceError, `${what}: ${String(error)}`);
        assert.equal(error.code, code, `${what}: ${error.message}`);
        assert.match(error.message, says, what);
        assert.deepEqual([error.outcomeKnown, error.status], [true, errors[code].status]);
      }
    assert.equal(await group(), before_);
  });

  it("when an offset of a commit is", async () => {
    const codes = new Set<ErrorCode>();
    for (const via of [1, 2, 3])
      for (const [what, code, says, offset] of uncommitted) {
        const { errors: said } = await commit(w, via, [offset]);
        const status = said[0]?.error;
        const error = status === undefined ? undefined : errorOf(status);
        assert.equal(error?.code, code, `${what}: ${error?.message}`);
        assert.match(error?.message ?? "", says, what);
        codes.add(code);
      }
    assert.equal(await group(), before_);
    // A topic is named once for each partition: the second is refused, the first is not.
    const twice = await commit(w, 1, [
      { topic: "t", partition: 0, offset: 1 },
      { topic: "t", partition: 0, offset: 2 },
    ]);
    assert.deepEqual(
      twice.errors.map(({ error }) => error && errorOf(error)?.code),
      ["INVALID_REQUEST"],
    );
  });

  it("when a commit was made before its partition was granted: STALE_MEMBER_EPOCH", async () => {
    const { groups } = w;
    const member = await groups.beat(1, { groupId: "g", memberId: "b", memberEpoch: w.epochs.b, owned: [] });
    await groups.beat(1, { groupId: "g", memberId: "i", memberEpoch: -1 });
    const later = await groups.beat(1, { groupId: "g", memberId: "b", memberEpoch: member.memberEpoch, owned: member.assignment });
    assert.ok(later.memberEpoch > member.memberEpoch, "what i had is granted to b");
    const codes = new Set<string | undefined>();
    for (const partition of [0, 1]) {
      const { errors: said } = await groups.cluster.call(2, rpc.CommitOffsets, {
        groupId: "g",
        memberId: "b",
        memberEpoch: member.memberEpoch,
        offsets: [{ topic: "u", partition, offset: 0 }],
      });
      codes.add(said[0]?.error === undefined ? undefined : errorOf(said[0].error)?.code);
    }
    assert.deepEqual([...codes].sort(), ["STALE_MEMBER_EPOCH", undefined]);
  });
});
