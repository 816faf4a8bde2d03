import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { MillraceError } from "../../src/base/errors.ts";
import { RpcFailure } from "../../src/base/ports/rpc-client.ts";
import { GROUPS_PARTITIONS } from "../../src/consumer-groups/shard.ts";
import { publicMethods } from "../../src/protocol/methods.ts";
import { Acks, BrokerState, ConfigSource } from "../../src/protocol/public.ts";
import { errorOf } from "../../src/protocol/rpc-status.ts";
import { Session } from "./groups/group-cluster.ts";
import { Cluster, recordSet, valuesOf, WALL_START_MS } from "./harness.ts";
import * as rpc from "./stubs.ts";

/** Where a row is called, and who leads what meanwhile. */
interface Placement {
  readonly cluster: Cluster;
  /** The broker that is called. */
  readonly via: number;
  /** Of both partitions of topic "t". */
  readonly leader: number;
  readonly controller: number;
}

const TOPIC = "t";
const RETENTION = "retention.ms";

/** What each partition of "t" must hold, kept by the rows that write. */
const written: readonly [string[], string[]] = [[], []];
const producerIds = new Set<number>();
let names = 0;

const fresh = (what: string): string => `${what}-${++names}`;
const address = (n: number): string => `b${n}:7400`;

async function expectNotLeader(place: Placement, call: Promise<unknown>): Promise<void> {
  const error = await place.cluster.settle(call).then(
    () => undefined,
    (failure: unknown) => failure,
  );
  if (place.via === place.leader) return assert.equal(error, undefined);
  assert.ok(error instanceof MillraceError && error.code === "NOT_LEADER", String(error));
  assert.equal(error.metadata["leader_id"], String(place.leader));
}

/** Every RPC of this version, and what its answer must say wherever it is asked. */
const rows: Readonly<Record<string, (place: Placement) => Promise<void>>> = {
  async InitProducer({ cluster, via }) {
    const { producerId, producerEpoch } = await cluster.call(via, rpc.InitProducer, {});
    assert.ok(producerId >= 2 ** 20 && !producerIds.has(producerId), "a new id every time");
    assert.equal(producerEpoch, 0);
    producerIds.add(producerId);
  },

  async Produce({ cluster, via, leader }) {
    for (const [acks, durable] of [
      [Acks.none, 0],
      [Acks.leader, 1],
      [Acks.quorum, 2],
      [Acks.all, 3],
      [Acks.unspecified, 3],
    ] as const) {
      const values = [fresh("p"), fresh("p")];
      const answer = await cluster.call(via, rpc.Produce, { topic: TOPIC, partition: 1, records: recordSet(values), acks });
      assert.equal(answer.baseOffset, written[1].length);
      assert.equal(answer.recordCount, 2);
      assert.equal(answer.leaderId, leader);
      assert.equal(answer.leaderAddress, address(leader));
      assert.equal(answer.duplicate, false);
      assert.ok(answer.durableBrokerIds.length >= durable, `${answer.durableBrokerIds} for acks ${acks}`);
      if (acks !== Acks.none) assert.ok(acks === Acks.quorum || answer.durableBrokerIds.includes(leader));
      if (acks === Acks.quorum || durable === 3) assert.ok(answer.highWatermark >= answer.baseOffset + 2);
      assert.ok(answer.term >= 1 && answer.appendTimeMs >= WALL_START_MS);
      written[1].push(...values);
    }
  },

  async "Produce, a retry"({ cluster, via }) {
    const { producerId } = await cluster.call(via, rpc.InitProducer, {});
    for (const baseSequence of [0, 1]) {
      const value = fresh("once");
      const request = { topic: TOPIC, partition: 0, records: recordSet([value]), producerId, baseSequence };
      const first = await cluster.call(via, rpc.Produce, request);
      const again = await cluster.call((via % 3) + 1, rpc.Produce, request);
      assert.deepEqual([first.duplicate, again.duplicate], [false, true]);
      assert.equal(again.baseOffset, first.baseOffset);
      assert.equal(again.appendTimeMs, first.appendTimeMs);
      written[0].push(value);
    }
  },

  async "Produce, direct"(place) {
    const value = fresh("direct");
    const request = { topic: TOPIC, partition: 0, records: recordSet([value]), direct: true };
    await expectNotLeader(place, place.cluster.ask(place.via, rpc.Produce, request));
    if (place.via === place.leader) written[0].push(value);
  },

  async ProduceStream({ cluster, via, leader }) {
    const stream = cluster.produceStream(via);
    const sent: { readonly correlationId: number; readonly partition: 0 | 1; readonly values: string[]; readonly offset: number }[] = [];
    for (let id = 1; id <= 8; id++) {
      const partition = id % 2 === 0 ? 0 : 1;
      const values = [fresh("s"), fresh("s"), fresh("s")].slice(0, 1 + (id % 3));
      sent.push({ correlationId: id, partition, values, offset: written[partition].length });
      written[partition].push(...values);
    }
    // All at once, in two messages: nothing waits for an answer.
    for (const half of [sent.slice(0, 5), sent.slice(5)]) {
      const batches = half.map(({ correlationId, partition, values }) => ({
        correlationId,
        request: { topic: TOPIC, partition, records: recordSet(values) },
      }));
      stream.send({ batches });
    }
    const results = await stream.answered(sent.length);
    assert.ok(stream.creditBytes > 0, "the first message says how much may be unanswered");
    for (const { correlationId, values, offset } of sent) {
      const result = results.find((each) => each.correlationId === correlationId);
      assert.equal(result?.error, undefined);
      assert.equal(result?.response?.baseOffset, offset);
      assert.equal(result?.response?.recordCount, values.length);
      assert.equal(result?.response?.leaderId, leader);
    }
    for (const partition of [0, 1] as const) {
      const order = results.map(({ correlationId }) => correlationId).filter((id) => id % 2 === (partition === 0 ? 0 : 1));
      assert.deepEqual(
        order,
        [...order].sort((a, b) => a - b),
        "answers of one partition come in order",
      );
    }
    stream.end();
    await stream.over();
    assert.equal(stream.error, undefined);
  },

  async "ProduceStream, cancelled"({ cluster, via }) {
    const stream = cluster.produceStream(via);
    const value = fresh("cancelled");
    stream.send({ batches: [{ correlationId: 1, request: { topic: TOPIC, partition: 0, records: recordSet([value]) } }] });
    stream.cancel();
    await stream.over();
    assert.ok(stream.error instanceof RpcFailure && stream.error.status === "CANCELLED");
    await cluster.pass(200);
    const { partitions } = await cluster.call(via, rpc.ListOffsets, { topic: TOPIC, partitions: [0] });
    const grown = (partitions[0]?.highWatermark ?? 0) - written[0].length;
    assert.ok(grown === 0 || grown === 1, "whole or not at all");
    if (grown === 1) written[0].push(value);
  },

  async Fetch({ cluster, via, leader }) {
    for (const partition of [0, 1] as const) {
      const values = written[partition];
      assert.deepEqual(await cluster.values(TOPIC, partition, via), values);
      const middle = Math.floor(values.length / 2);
      const rest = await cluster.call(via, rpc.Fetch, { topic: TOPIC, partition, offset: middle });
      assert.deepEqual([rest.highWatermark, rest.logStartOffset], [values.length, 0]);
      assert.deepEqual([rest.leaderId, rest.leaderAddress], [leader, address(leader)]);
      assert.equal(rest.batches[0]?.baseOffset, middle, "the first record is the one asked for");
      assert.ok(rest.nextOffset > middle);
      assert.deepEqual(valuesOf(rest.batches), values.slice(middle, rest.nextOffset));
    }
  },

  async "Fetch, a long poll"({ cluster, via }) {
    const offset = written[0].length;
    const poll = cluster.ask(via, rpc.Fetch, { topic: TOPIC, offset, maxWaitMs: 8_000, minBytes: 1 });
    await cluster.pass(300);
    const value = fresh("late");
    await cluster.call((via % 3) + 1, rpc.Produce, { topic: TOPIC, records: recordSet([value]) });
    written[0].push(value);
    assert.deepEqual(valuesOf((await cluster.settle(poll)).batches), [value]);
  },

  async "Fetch, a deadline"({ cluster, via }) {
    const offset = written[0].length;
    const begun = cluster.world.now;
    const outcome = await cluster
      .call(via, rpc.Fetch, { topic: TOPIC, offset, maxWaitMs: 8_000 }, { timeoutMs: 400 })
      .catch((error) => error);
    if (outcome instanceof Error) {
      assert.ok(
        (outcome instanceof MillraceError || outcome instanceof RpcFailure) && outcome.status === "DEADLINE_EXCEEDED",
        `${outcome}`,
      );
    } else assert.deepEqual(outcome.batches, []);
    assert.ok(cluster.world.now - begun < 1_000);
  },

  async "Fetch, cancelled"({ cluster, via }) {
    const abort = new AbortController();
    const poll = cluster.ask(via, rpc.Fetch, { topic: TOPIC, offset: written[0].length, maxWaitMs: 8_000 }, { signal: abort.signal });
    const ended = poll.then(
      () => assert.fail("nothing was written"),
      (error: unknown) => error,
    );
    await cluster.pass(20);
    abort.abort();
    const error = await cluster.settle(ended);
    assert.ok(error instanceof RpcFailure && error.status === "CANCELLED", String(error));
  },

  async "Fetch, direct"(place) {
    await expectNotLeader(place, place.cluster.ask(place.via, rpc.Fetch, { topic: TOPIC, direct: true }));
  },

  async "Subscribe, until the end"({ cluster, via }) {
    const from = Math.floor(written[1].length / 2);
    const subscription = cluster.subscribe(via, {
      topic: TOPIC,
      partitions: [
        { partition: 0, offset: 0, untilEnd: true },
        { partition: 1, offset: from, untilOffset: written[1].length - 1 },
      ],
    });
    await subscription.over();
    assert.equal(subscription.error, undefined);
    assert.deepEqual(subscription.of(0), written[0]);
    assert.deepEqual(subscription.of(1), written[1].slice(from, -1));
    assert.deepEqual([...subscription.ended].sort(), [0, 1]);
  },

  async "Subscribe, live"({ cluster, via }) {
    const subscription = cluster.subscribe(via, {
      topic: TOPIC,
      partitions: [
        { partition: 0, end: true },
        { partition: 1, timeMs: WALL_START_MS },
      ],
    });
    await subscription.has(1, written[1].length);
    assert.deepEqual(subscription.of(1), written[1]);
    // Its start was asked for when it began: give that question its time.
    await cluster.pass(100);
    for (let round = 1; round <= 3; round++) {
      const value = fresh("live");
      await cluster.call((via % 3) + 1, rpc.Produce, { topic: TOPIC, records: recordSet([value]) });
      written[0].push(value);
      assert.deepEqual(await subscription.has(0, round), written[0].slice(-round));
    }
    subscription.cancel();
    await subscription.over();
    assert.ok(subscription.error instanceof RpcFailure && subscription.error.status === "CANCELLED");
  },

  async ListOffsets({ cluster, via, leader }) {
    const all = await cluster.call(via, rpc.ListOffsets, { topic: TOPIC });
    assert.deepEqual(
      all.partitions.map(({ partition, logStartOffset, highWatermark, leaderId }) => [partition, logStartOffset, highWatermark, leaderId]),
      [0, 1].map((partition) => [partition, 0, written[partition as 0 | 1].length, leader]),
    );
    const first = await cluster.call(via, rpc.ListOffsets, { topic: TOPIC, partitions: [1], timeMs: WALL_START_MS });
    assert.equal(first.partitions[0]?.offset, 0);
    const never = await cluster.call(via, rpc.ListOffsets, { topic: TOPIC, partitions: [1], timeMs: WALL_START_MS + 2 ** 40 });
    assert.equal(never.partitions[0]?.offset, undefined);
  },

  async "ListOffsets, direct"({ cluster, via, leader }) {
    const { partitions } = await cluster.call(via, rpc.ListOffsets, { topic: TOPIC, partitions: [0], direct: true });
    const error = partitions[0]?.error;
    if (via === leader) assert.equal(partitions[0]?.highWatermark, written[0].length);
    else assert.equal(error === undefined ? undefined : errorOf(error)?.code, "NOT_LEADER");
  },

  async "CreateTopic, DescribeTopics, ListTopics, AlterTopic, DeleteTopic"({ cluster, via }) {
    const name = fresh("topic");
    const dry = await cluster.call(via, rpc.CreateTopic, { name, partitions: 3, validateOnly: true });
    assert.equal(dry.topic, undefined);
    await cluster.refused(via, rpc.DescribeTopics, { names: [name] }, "UNKNOWN_TOPIC");
    const made = await cluster.call(via, rpc.CreateTopic, { name, partitions: 3, replicas: 3, configs: new Map([[RETENTION, "120000"]]) });
    assert.equal(made.topic?.name, name);
    assert.equal(made.topic?.partitions.length, 3);
    await cluster.refused((via % 3) + 1, rpc.CreateTopic, { name }, "TOPIC_EXISTS");
    for (const n of [via, (via % 3) + 1]) {
      // A broker that has not heard of it yet asks before it says "not found".
      const { topics } = await cluster.call(n, rpc.DescribeTopics, { names: [name], minMetadataVersion: made.metadataVersion });
      assert.equal(topics[0]?.topicId, made.topic?.topicId);
      for (const [i, partition] of (topics[0]?.partitions ?? []).entries()) {
        assert.equal(partition.partition, i);
        assert.deepEqual(partition.replicas.map(({ brokerId }) => brokerId).sort(), [1, 2, 3]);
        assert.deepEqual([...partition.isrBrokerIds].sort(), [1, 2, 3]);
      }
      const retention = topics[0]?.configs.find(({ key }) => key === RETENTION);
      assert.deepEqual([retention?.value, retention?.source], ["120000", ConfigSource.topic]);
      const listed = await cluster.call(n, rpc.ListTopics, {});
      const entry = listed.topics.find((topic) => topic.name === name);
      assert.deepEqual([entry?.topicId, entry?.partitions, entry?.replicas], [made.topic?.topicId, 3, 3]);
    }
    const set = new Map([["acks.min", "QUORUM"]]);
    const tried = await cluster.call(via, rpc.AlterTopic, { name, set, validateOnly: true });
    assert.ok(tried.metadataVersion >= made.metadataVersion);
    const altered = await cluster.call(via, rpc.AlterTopic, { name, set, delete: [RETENTION] });
    const configs = new Map(altered.configs.map(({ key, value, source }) => [key, `${value} ${source}`]));
    assert.equal(configs.get("acks.min"), `QUORUM ${ConfigSource.topic}`);
    assert.ok(configs.get(RETENTION)?.endsWith(` ${ConfigSource.default}`));
    await cluster.refused(via, rpc.DeleteTopic, { name, topicId: "00000000-0000-4000-8000-000000000000" }, "UNKNOWN_TOPIC");
    const gone = await cluster.call(via, rpc.DeleteTopic, { name, topicId: made.topic?.topicId ?? "" });
    assert.ok(gone.metadataVersion > altered.metadataVersion);
    for (const n of cluster.alive) {
      await cluster.refused(n, rpc.DescribeTopics, { names: [name], minMetadataVersion: gone.metadataVersion }, "UNKNOWN_TOPIC");
      const { topics } = await cluster.call(n, rpc.ListTopics, {});
      assert.ok(!topics.some((topic) => topic.name === name));
    }
  },

  async TrimTopic({ cluster, via }) {
    const name = fresh("trimmed");
    await cluster.call(via, rpc.CreateTopic, { name, partitions: 1 });
    for (let n = 0; n < 3; n += 1) await cluster.call(via, rpc.Produce, { topic: name, records: recordSet([`value ${n}`]) });
    const trim = { name, partitions: [{ partition: 0, beforeOffset: 2 }] };
    const [first] = (await cluster.call(via, rpc.TrimTopic, trim)).partitions;
    assert.deepEqual([first?.logStartOffset, first?.highWatermark, first?.moved], [2, 3, true]);
    const [again] = (await cluster.call((via % 3) + 1, rpc.TrimTopic, trim)).partitions;
    assert.deepEqual([again?.logStartOffset, again?.moved], [2, false]);
    await cluster.refused(via, rpc.Fetch, { topic: name, offset: 1 }, "OFFSET_OUT_OF_RANGE");
    assert.equal((await cluster.call(via, rpc.Fetch, { topic: name, offset: 2 })).batches[0]?.baseOffset, 2);
    await cluster.call(via, rpc.DeleteTopic, { name });
  },

  async AddPartitions({ cluster, via }) {
    const name = fresh("grown");
    const made = await cluster.call(via, rpc.CreateTopic, { name, partitions: 2 });
    const dry = await cluster.call(via, rpc.AddPartitions, { name, partitions: 5, validateOnly: true });
    assert.equal(dry.topic?.partitions.length, 2);
    const grown = await cluster.call(via, rpc.AddPartitions, { name, partitions: 5, minMetadataVersion: made.metadataVersion });
    assert.equal(grown.topic?.topicId, made.topic?.topicId);
    assert.deepEqual(
      grown.topic?.partitions.slice(0, 2).map(({ groupId }) => groupId),
      made.topic?.partitions.map(({ groupId }) => groupId),
      "those that were there stay as they are",
    );
    const again = await cluster.call((via % 3) + 1, rpc.AddPartitions, { name, partitions: 5 });
    assert.equal(again.topic?.partitions.length, 5, "the same total again is no failure");
    await cluster.refused(via, rpc.AddPartitions, { name, partitions: 4 }, "INVALID_REQUEST");
    for (const n of cluster.alive) {
      const { leaderId } = await cluster.call(n, rpc.Produce, { topic: name, partition: 4, records: recordSet([`by ${n}`]) });
      assert.ok(leaderId >= 1);
    }
    assert.equal((await cluster.values(name, 4, via)).length, cluster.alive.length);
    await cluster.call(via, rpc.DeleteTopic, { name });
  },

  async "ListClusterConfigs, AlterClusterConfigs"({ cluster, via }) {
    const key = "segment.ms";
    const valueAt = async (n: number): Promise<string> => {
      const entry = (await cluster.call(n, rpc.ListClusterConfigs, {})).configs.find((each) => each.key === key);
      return `${entry?.value} ${entry?.source}`;
    };
    const before = await valueAt(via);
    assert.ok(before.endsWith(` ${ConfigSource.broker}`), `these brokers have small segments: ${before}`);
    const set = new Map([[key, "90000"]]);
    await cluster.call(via, rpc.AlterClusterConfigs, { set, validateOnly: true });
    assert.equal(await valueAt(via), before);
    const altered = await cluster.call(via, rpc.AlterClusterConfigs, { set });
    for (const n of cluster.alive) assert.equal(await valueAt(n), `90000 ${ConfigSource.cluster}`);
    const { topics } = await cluster.call((via % 3) + 1, rpc.DescribeTopics, {
      names: [TOPIC],
      minMetadataVersion: altered.metadataVersion,
    });
    const ofTopic = topics[0]?.configs.find((each) => each.key === key);
    assert.deepEqual([ofTopic?.value, ofTopic?.source], ["90000", ConfigSource.cluster]);
    await cluster.refused(via, rpc.AlterClusterConfigs, { set: new Map([["segment.mss", "1"]]) }, "INVALID_CONFIG");
    await cluster.refused(via, rpc.AlterClusterConfigs, { set, delete: [key] }, "INVALID_CONFIG");
    const back = await cluster.call(via, rpc.AlterClusterConfigs, { delete: [key] });
    assert.ok(back.metadataVersion > altered.metadataVersion);
    assert.equal(await valueAt(via), before);
  },

  async DescribeCluster({ cluster, via, controller }) {
    const answer = await cluster.call(via, rpc.DescribeCluster, {});
    assert.match(answer.clusterId, /^[0-9a-f-]{36}$/);
    assert.deepEqual([answer.controllerId, answer.answeredBy], [controller, via]);
    assert.deepEqual(
      answer.brokers.map(({ brokerId, address: client, peerAddress, state, seed, version }) => [
        brokerId,
        client,
        peerAddress,
        state,
        seed,
        version,
      ]),
      [1, 2, 3].map((n) => [n, address(n), `b${n}:7401`, BrokerState.live, true, "test"]),
    );
  },

  async GetClusterHealth({ cluster, via, controller }) {
    // Followers of topics made a moment ago may still be electing.
    let health = await cluster.call(via, rpc.GetClusterHealth, {});
    for (let tries = 0; tries < 50 && !health.healthy; tries++) {
      await cluster.pass(100);
      health = await cluster.call(via, rpc.GetClusterHealth, {});
    }
    assert.deepEqual([health.healthy, health.reasons], [true, []]);
    assert.deepEqual([health.brokersLive, health.brokersKnown, health.controllerId], [3, 3, controller]);
    assert.deepEqual([health.leaderlessCount, health.underReplicatedCount, health.underMinIsrCount], [0, 0, 0]);
    // Those that keep the consumer groups are there from the first call of a group on.
    const own = cluster.broker(via).groups?.made === true ? GROUPS_PARTITIONS : 0;
    assert.deepEqual([health.partitions, health.internalPartitions], [3, own]);
  },

  async TransferLeader({ cluster, via }) {
    for (const to of [1, 2, 3, 0]) {
      const before = await cluster.leaderOf("moved", 0);
      const answer = await cluster.call(via, rpc.TransferLeader, { topic: "moved", partition: 0, toBrokerId: to });
      if (to === 0) assert.notEqual(answer.leaderId, before, "whoever is furthest, but another");
      else assert.equal(answer.leaderId, to);
      assert.ok(answer.term >= 1);
      const { leaderId } = await cluster.call(via, rpc.Produce, { topic: "moved", records: recordSet(["x"]) });
      assert.equal(leaderId, answer.leaderId);
    }
  },

  async "Heartbeat, Session, CommitOffsets, FetchOffsets, ListGroups, DescribeGroup, SeekGroup, DeleteOffsets, DeleteGroup"({
    cluster,
    via,
  }) {
    const other = (via % 3) + 1;
    const groupId = fresh("group");
    const joining = { groupId, memberEpoch: 0, topics: [TOPIC] };
    const { state } = await cluster.call(via, rpc.Heartbeat, { heartbeat: { ...joining, memberId: "a" } });
    assert.deepEqual(
      state?.assignment.map(({ topic, partitions }) => [topic, partitions]),
      [[TOPIC, [0, 1]]],
    );
    const stream = Session.open(cluster, via);
    stream.send({ ...joining, memberId: "b" });
    await stream.told(1);
    const member = { groupId, memberId: "a", memberEpoch: state?.memberEpoch ?? 0 };
    const offset = { topic: TOPIC, partition: 0, offset: 2 };
    assert.deepEqual((await cluster.call(other, rpc.CommitOffsets, { ...member, offsets: [offset] })).errors, []);
    const fetched = await cluster.call(via, rpc.FetchOffsets, { groupId });
    assert.deepEqual(
      fetched.offsets.map((each) => [each.topic, each.partition, each.offset]),
      [[TOPIC, 0, 2]],
    );
    const { groups } = await cluster.call(via, rpc.ListGroups, {});
    assert.equal(groups.find((each) => each.groupId === groupId)?.members, 2);
    const { members, partitions } = await cluster.call(via, rpc.DescribeGroup, { groupId });
    assert.deepEqual([members.length, partitions.length, partitions[0]?.lag], [2, 2, (partitions[0]?.highWatermark ?? 0) - 2]);
    await cluster.refused(via, rpc.DeleteGroup, { groupId }, "GROUP_NOT_EMPTY");
    const moved = await cluster.call(via, rpc.SeekGroup, { groupId, start: true, force: true });
    assert.deepEqual(
      moved.results.map(({ before: was, after: is }) => [was, is]),
      [
        [2, 0],
        [undefined, 0],
      ],
    );
    assert.deepEqual((await cluster.call(via, rpc.DeleteOffsets, { groupId, topics: [{ topic: TOPIC, partitions: [1] }] })).errors, []);
    assert.equal((await cluster.call(other, rpc.FetchOffsets, { groupId })).offsets.length, 1);
    await cluster.call(via, rpc.DeleteGroup, { groupId });
    await cluster.refused(other, rpc.DescribeGroup, { groupId }, "UNKNOWN_GROUP");
    stream.cancel();
  },
};

describe("Every RPC on every broker (Done when 5)", () => {
  let cluster: Cluster;
  before(async () => {
    cluster = await Cluster.start({ seed: 501 });
    await cluster.createTopic(TOPIC, 2);
    await cluster.createTopic("moved");
    for (const partition of [0, 1] as const) {
      const values = ["one", "two", "three"];
      await cluster.call(1, rpc.Produce, { topic: TOPIC, partition, records: recordSet(values) });
      written[partition].push(...values);
    }
  });
  after(() => cluster.close());

  it("has a row for each RPC of this version", () => {
    const named = Object.keys(rows).join(" ");
    for (const { name } of publicMethods.filter(({ implemented }) => implemented)) assert.match(named, new RegExp(`\\b${name}\\b`));
  });

  for (const leader of [1, 2, 3]) {
    for (const controller of [1, 2, 3]) {
      describe(`broker ${leader} leads, broker ${controller} is the controller`, () => {
        before(async () => {
          for (const partition of [0, 1]) await cluster.moveLeader(TOPIC, partition, leader);
          await cluster.moveController(controller);
        });
        for (const via of [1, 2, 3]) {
          for (const [name, row] of Object.entries(rows)) {
            it(`${name} on broker ${via}`, () => row({ cluster, via, leader, controller }));
          }
        }
      });
    }
  }

  for (const [how, end] of [
    ["stopped and started again", (n: number) => cluster.stop(n)],
    ["killed and started again", (n: number) => Promise.resolve(cluster.kill(n))],
  ] as const) {
    for (const n of [1, 2, 3]) {
      it(`all of it after broker ${n} was ${how}`, async () => {
        await end(n);
        await cluster.restart(n);
        const leader = await cluster.leaderOf(TOPIC, 0);
        await cluster.moveLeader(TOPIC, 1, leader);
        await cluster.until(() => cluster.controller !== undefined, "a controller");
        await cluster.moveController(cluster.controller ?? 0);
        const whole = async (): Promise<boolean> => {
          const { topics } = await cluster.call(n, rpc.DescribeTopics, {});
          return topics.every(({ partitions }) => partitions.every(({ isrBrokerIds }) => isrBrokerIds.length === 3));
        };
        for (let tries = 0; tries < 200 && !(await whole()); tries++) await cluster.pass(100);
        for (const via of [1, 2, 3]) {
          for (const row of Object.values(rows)) await row({ cluster, via, leader, controller: cluster.controller ?? 0 });
        }
      });
    }
  }
});
