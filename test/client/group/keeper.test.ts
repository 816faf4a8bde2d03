import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Keeper } from "../../../src/client/group/keeper.ts";
import type { Beat, KeeperNews } from "../../../src/client/group/keeper-words.ts";
import { AdminService } from "../../../src/protocol/methods.ts";
import { BrokerState, DescribeClusterResponse } from "../../../src/protocol/public.ts";
import { World } from "../fake/world.ts";
import { FakeGroups } from "./fake-coordinator.ts";

const MEMBER = "00000000-0000-4000-8000-000000000001";

function setup(seed: number) {
  const world = new World(seed);
  const cluster = new FakeGroups(world);
  cluster.make("t", 2);
  const news: KeeperNews[] = [];
  const spec = {
    brokers: cluster.addresses,
    groupId: "g",
    instanceId: "",
    rack: "",
    topics: ["t"],
    topicPattern: "",
    assignor: "",
    rebalanceTimeoutMs: 0,
  };
  const tick = (): void => {
    cluster.pass();
    world.after(250, tick);
  };
  tick();
  const keeper = new Keeper(spec, { rpc: cluster, clock: world, random: world.random }, (each) => void news.push(each));
  const epoch = (): number => cluster.coordinator.group("g").members.get(MEMBER)?.joinEpoch ?? 0;
  return { world, cluster, keeper, news, epoch };
}

const beat = (life: number, memberEpoch: number, owned: Beat["owned"] = []): Beat => ({
  kind: "beat",
  memberId: MEMBER,
  life,
  memberEpoch,
  owned,
});

describe("Keeper", () => {
  it("keeps a member alive whose application has no time to answer, as one life, and gives nothing back for it", async () => {
    const { world, cluster, keeper, epoch } = setup(1);
    keeper.hear(beat(1, 0));
    await world.run(1_000, () => false);
    const joined = epoch();
    const heldBefore = cluster.coordinator.group("g").held.size;
    // Another one joins, and half of it is asked back: the application has not even heard of the first half.
    cluster.coordinator.ok({
      kind: "join",
      groupId: "g",
      memberId: "other",
      instanceId: undefined,
      rack: "",
      clientAddress: "",
      topics: ["t"],
      topicPattern: "",
      assignor: "",
      rebalanceTimeoutMs: 0,
    });
    await world.run(50_000, () => false);
    assert.equal(epoch(), joined, "it did not join again");
    assert.ok((cluster.beats.get(MEMBER) ?? 0) >= 10);
    assert.equal(cluster.coordinator.group("g").held.size, heldBefore, "nothing was given back");
    assert.equal(cluster.coordinator.group("g").revoking, 1);
    keeper.close();
  });

  it("goes to another broker when one hangs, long before the session is over", async () => {
    const { world, cluster, keeper, news, epoch } = setup(2);
    keeper.hear(beat(1, 0));
    await world.run(1_000, () => false);
    const joined = epoch();
    const [address = ""] = [...cluster.streams].map((stream) => stream.address);
    cluster.hung.add(address);
    await world.run(20_000, () => false);
    assert.ok([...cluster.streams].every((stream) => stream.address !== address));
    await world.run(100_000, () => false);
    assert.equal(epoch(), joined);
    assert.ok(news.some(({ kind }) => kind === "failing"));
    assert.ok(news.every(({ kind }) => kind !== "refused"));
    keeper.close();
  });

  it("does not take brokers that were slow for a way that lets no streams through: it has a session again soon", async () => {
    const { world, cluster, keeper } = setup(5);
    for (const address of cluster.addresses) cluster.hung.add(address);
    keeper.hear(beat(1, 0));
    await world.run(12_000, () => false);
    assert.equal(cluster.streams.size, 0, "two sessions were mute by now");
    cluster.hung.clear();
    await world.run(25_000, () => cluster.sessions > 0);
    assert.equal(cluster.sessions, 1);
    assert.deepEqual(cluster.members("g"), [MEMBER]);
    keeper.close();
  });

  it("tries sessions ever more rarely where none is ever answered", async () => {
    const { world, cluster, keeper } = setup(6);
    cluster.takesSessions = false;
    keeper.hear(beat(1, 0));
    await world.run(120_000, () => false);
    const [unary, broken] = [cluster.unary, cluster.broken];
    await world.run(360_000, () => false);
    assert.ok(cluster.broken - broken <= 5, `${cluster.broken - broken} sessions were tried in four minutes`);
    assert.ok(cluster.unary - unary >= 40, `${cluster.unary - unary} heartbeats in four minutes`);
    keeper.close();
  });

  it("has one heartbeat under way at a time, and then says the newest", async () => {
    const { world, cluster, keeper } = setup(4);
    keeper.hear(beat(1, 0));
    await world.run(1_000, () => false);
    const before = cluster.beats.get(MEMBER) ?? 0;
    for (let n = 0; n < 200; n++) keeper.hear(beat(1, 1, [{ topic: "t", topicId: cluster.topicId("t"), partition: n % 2 }]));
    await world.run(2_000, () => false);
    assert.equal((cluster.beats.get(MEMBER) ?? 0) - before, 2);
    assert.deepEqual(cluster.lastOwned, [{ topic: "t", topicId: cluster.topicId("t"), partitions: [1] }]);
    keeper.close();
  });

  it("ends a life that is refused, says so once, and begins the next only when it is told to", async () => {
    const { world, cluster, keeper, news } = setup(3);
    keeper.hear(beat(1, 0));
    await world.run(1_000, () => false);
    cluster.coordinator.ok({ kind: "leave", groupId: "g", memberId: MEMBER, instanceId: undefined, forGood: true });
    keeper.hear(beat(1, 1));
    await world.run(30_000, () => false);
    keeper.hear(beat(1, 1));
    await world.run(60_000, () => false);
    assert.deepEqual(
      news.filter(({ kind }) => kind === "refused").map(({ life }) => life),
      [1],
    );
    assert.deepEqual(cluster.members("g"), []);
    keeper.hear(beat(2, 0));
    await world.run(61_000, () => false);
    assert.deepEqual(cluster.members("g"), [MEMBER]);
    assert.equal(news.at(-1)?.life, 2);
    keeper.hear({ kind: "leave", memberId: MEMBER, life: 2, forAWhile: false });
    await world.run(62_000, () => false);
    assert.deepEqual([cluster.members("g"), news.at(-1)?.kind], [[], "left"]);
    keeper.close();
  });

  it("leaves also when its joining is given up meanwhile, and does not join again", async () => {
    const { world, cluster, keeper, news } = setup(1);
    for (const address of cluster.addresses) cluster.hung.add(address);
    keeper.hear(beat(1, 0));
    await world.run(4_500, () => false);
    keeper.hear({ kind: "leave", memberId: MEMBER, life: 1, forAWhile: false });
    await world.run(5_400, () => false);
    cluster.hung.clear();
    await world.run(120_000, () => false);
    assert.deepEqual(cluster.members("g"), []);
    assert.deepEqual(
      news.filter(({ kind }) => kind === "left"),
      [{ kind: "left", life: 1 }],
    );
    assert.equal(cluster.beats.get(MEMBER), undefined, "it never joined");
    keeper.close();
  });

  it("waits for its joining before it leaves, so that the leaving is not the first to arrive", async () => {
    const { world, cluster, keeper, news } = setup(5);
    keeper.hear(beat(1, 0));
    keeper.hear({ kind: "leave", memberId: MEMBER, life: 1, forAWhile: false });
    await world.run(500, () => false);
    assert.deepEqual([cluster.beats.get(MEMBER), cluster.members("g"), news.at(-1)], [2, [], { kind: "left", life: 1 }]);
    keeper.close();
  });

  it("leaves through the broker that answers", async () => {
    const { world, cluster, keeper, news } = setup(6);
    keeper.hear(beat(1, 0));
    await world.run(1_000, () => false);
    const [first = "", second = ""] = cluster.addresses;
    cluster.hung.add(first).add(second);
    keeper.hear({ kind: "leave", memberId: MEMBER, life: 1, forAWhile: false });
    await world.run(6_000, () => false);
    assert.deepEqual([cluster.members("g"), news.at(-1)], [[], { kind: "left", life: 1 }]);
    keeper.close();
  });

  it("leaves a life although the next one begins before it is known what became of its joining", async () => {
    const { world, cluster, keeper } = setup(7);
    keeper.hear(beat(1, 0));
    // Its joining has arrived, and the answer is under way.
    assert.ok(await world.run(1_000, () => cluster.members("g").length === 1));
    keeper.hear({ kind: "leave", memberId: MEMBER, life: 1, forAWhile: false });
    const other = "00000000-0000-4000-8000-000000000002";
    keeper.hear({ ...beat(2, 0), memberId: other });
    await world.run(10_000, () => false);
    assert.deepEqual(cluster.members("g"), [other]);
    keeper.close();
  });

  it("is back on a session soon after all brokers hung, however long they did", async () => {
    for (const hangs of [12_000, 20_000, 43_000]) {
      const { world, cluster, keeper } = setup(8);
      keeper.hear(beat(1, 0));
      await world.run(1_000, () => false);
      for (const address of cluster.addresses) cluster.hung.add(address);
      await world.run(hangs, () => false);
      cluster.hung.clear();
      const before = cluster.sessions;
      assert.ok(await world.run(hangs + 12_000, () => cluster.sessions > before), `${hangs}: what is pushed is heard`);
      keeper.close();
    }
  });

  it("finds out where the coordinator is when it is not where it was", async () => {
    const { world, cluster, keeper, news } = setup(9);
    let place = "b1:7400";
    const { answer } = cluster;
    cluster.answer = (path, request) =>
      path === AdminService.DescribeCluster.path
        ? DescribeClusterResponse.encode({ brokers: [{ brokerId: 1, address: place, state: BrokerState.live }] })
        : answer.call(cluster, path, request);
    const heard = (): string | undefined => {
      const last = news.findLast(({ kind }) => kind === "heard");
      return last?.kind === "heard" ? last.coordinator : undefined;
    };
    keeper.hear(beat(1, 0));
    await world.run(15_000, () => false);
    assert.equal(heard(), "b1:7400");
    place = "b3:7400";
    for (const address of ["b1:7400", "b2:7400"]) cluster.kill(address);
    await world.run(60_000, () => false);
    assert.equal(heard(), "b3:7400");
    keeper.close();
  });
});
