import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { MillraceError } from "../../../src/base/errors.ts";
import { type CommitOffsetsResponse, LagVerdict } from "../../../src/protocol/public.ts";
import * as rpc from "../stubs.ts";
import { GroupCluster, held, refusals } from "./group-cluster.ts";

/** The code of what became of a call. */
const outcome = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => "ok",
    (error: unknown) => (error instanceof MillraceError ? error.code : String(error)),
  );

describe("A coordinator that goes", () => {
  let groups: GroupCluster;
  let g = "";
  let named = 0;
  /** Member `a` of group `g` with both partitions of `t`, of which ten records are there. */
  let a: Awaited<ReturnType<GroupCluster["join"]>>;
  before(async () => {
    groups = await GroupCluster.start({
      seed: 531,
      configure: (config) => ({ ...config, groups: { ...config.groups, sessionTimeoutMs: 6_000, heartbeatIntervalMs: 1_000 } }),
    });
    await groups.cluster.createTopic("t", 2);
    for (const partition of [0, 1]) await groups.fill("t", partition, 10);
  });
  beforeEach(async () => {
    for (const n of groups.cluster.numbers) if (!groups.cluster.alive.includes(n)) await groups.cluster.restart(n);
    g = `g${++named}`;
    a = await groups.join(1, g, "a", ["t"]);
    assert.equal(held(a).length, 2);
  });
  after(() => groups.cluster.close());

  const commit = (via: number, offset: number, timeoutMs = 10_000): Promise<CommitOffsetsResponse> =>
    groups.cluster.ask(
      via,
      rpc.CommitOffsets,
      { groupId: g, memberId: "a", memberEpoch: a.memberEpoch, offsets: [{ topic: "t", partition: 0, offset }] },
      { timeoutMs },
    );

  it("is not needed by others: a group is described although the leader of a partition is away that its coordinator has no replica of", async () => {
    const one = `one${named}`;
    await groups.cluster.settle(groups.cluster.ask(1, rpc.CreateTopic, { name: one, partitions: 1, replicas: 1 }));
    const leader = await groups.cluster.leaderOf(one, 0);
    const both = await groups.join(1, `${g}-both`, "b", ["t", one]);
    assert.equal(held(both).length, 3);
    await groups.moveCoordinator(`${g}-both`, (leader % 3) + 1);
    groups.cluster.kill(leader);
    const via = groups.cluster.alive[0] ?? assert.fail();
    const { partitions } = await groups.cluster.call(via, rpc.DescribeGroup, { groupId: `${g}-both` });
    assert.deepEqual(
      partitions.map(({ topic, highWatermark, verdict }) => [topic, highWatermark, verdict === LagVerdict.unspecified]).sort(),
      [
        [one, 0, true],
        ["t", 10, false],
        ["t", 10, false],
      ],
    );
  });

  it("in the middle of a commit: its outcome is unknown, and sent again it is committed once", async () => {
    const coordinator = await groups.coordinator(g);
    const via = await groups.another(g);
    const replica = groups.cluster.replica(coordinator, groups.groupOf(g)) ?? assert.fail();
    const before = replica.core.lastIndex;
    const asked = outcome(commit(via, 5));
    await groups.cluster.until(() => replica.core.lastIndex > before, "it is appended");
    groups.cluster.kill(coordinator);
    const died = groups.cluster.world.now;
    assert.ok(["HOP_LOST", "LEADERSHIP_LOST"].includes(await groups.cluster.settle(asked)));
    const again = await groups.cluster.settle(commit(via, 5));
    assert.deepEqual(refusals(again), []);
    assert.ok(groups.cluster.world.now - died <= 2_000, `usable again after ${groups.cluster.world.now - died} ms`);
    assert.deepEqual(await groups.committed(via, g), ["t:0=5"]);
    // What comes late does not undo what was committed since.
    await groups.cluster.settle(commit(via, 7));
    assert.deepEqual(refusals(await groups.cluster.settle(commit(via, 5))), ["t:0 COMMIT_BEHIND"]);
    assert.deepEqual(await groups.committed(via, g), ["t:0=7"]);
  });

  it("while others ask: they are held until another one leads, and nobody sees it", async () => {
    const coordinator = await groups.coordinator(g);
    const [one = 0, other = 0] = [1, 2, 3].filter((n) => n !== coordinator);
    groups.cluster.kill(coordinator);
    // Their connections have noticed, and nobody is elected yet.
    await groups.cluster.pass(20);
    const asked = await groups.cluster.settle(
      Promise.all([
        outcome(commit(one, 3)),
        outcome(groups.cluster.ask(other, rpc.FetchOffsets, { groupId: g })),
        outcome(groups.cluster.ask(one, rpc.DescribeGroup, { groupId: g })),
        outcome(
          groups.cluster.ask(other, rpc.Heartbeat, {
            heartbeat: { groupId: g, memberId: "a", memberEpoch: a.memberEpoch, owned: a.assignment },
          }),
        ),
        outcome(groups.cluster.ask(one, rpc.ListGroups, {})),
      ]),
    );
    assert.deepEqual(asked, ["ok", "ok", "ok", "ok", "ok"]);
    assert.deepEqual(await groups.committed(other, g), ["t:0=3"]);
  });

  it("when it is handed over in the middle of calls: each is answered, none is lost", async () => {
    const coordinator = await groups.coordinator(g);
    const to = (coordinator % 3) + 1;
    const answers: Promise<string>[] = [];
    for (let offset = 1; offset <= 9; offset++) {
      answers.push(outcome(commit(((offset + coordinator) % 3) + 1, offset)));
      if (offset === 4) await groups.moveCoordinator(g, to);
      else await groups.cluster.pass(3);
    }
    const said = await groups.cluster.settle(Promise.all(answers));
    assert.ok(
      said.every((each) => each === "ok" || each === "LEADERSHIP_LOST"),
      said.join(),
    );
    await groups.cluster.settle(commit(1, 10));
    assert.deepEqual(await groups.committed(2, g), ["t:0=10"]);
  });

  it("behind a cut: it answers nothing that another one could have changed, and what it was asked to commit is unknown", async () => {
    const coordinator = await groups.coordinator(g);
    const others = [1, 2, 3].filter((n) => n !== coordinator);
    await groups.cluster.settle(commit(coordinator, 2));
    groups.cluster.world.network.partition([[`b${coordinator}`, "client"], others.map((n) => `b${n}`)]);
    const cut = outcome(commit(coordinator, 9, 3_000));
    const read = outcome(groups.cluster.ask(coordinator, rpc.FetchOffsets, { groupId: g }, { timeoutMs: 3_000 }));
    assert.ok(["LEADERSHIP_LOST", "REQUEST_TIMED_OUT"].includes(await groups.cluster.settle(cut)));
    assert.notEqual(await groups.cluster.settle(read), "ok");
    groups.cluster.world.network.heal();
    groups.cluster.world.network.partition([[`b${coordinator}`], [...others.map((n) => `b${n}`), "client"]]);
    await groups.cluster.pass(2_000);
    assert.deepEqual(await groups.committed(others[0] ?? 0, g), ["t:0=2"]);
    await groups.cluster.settle(commit(others[1] ?? 0, 4));
    groups.cluster.world.network.heal();
    await groups.cluster.pass(2_000);
    assert.deepEqual(await groups.committed(coordinator, g), ["t:0=4"], "what it had not committed is gone");
  });

  it("gives every member its full session again, and a member that comes back too late is refused, its commit too", async () => {
    await groups.cluster.pass(5_000);
    const coordinator = await groups.coordinator(g);
    groups.cluster.kill(coordinator);
    await groups.cluster.pass(5_000);
    const via = await groups.another(g);
    const { members } = await groups.cluster.call(via, rpc.DescribeGroup, { groupId: g });
    assert.equal(members.length, 1, "it has not been heard of for 10 s, but not all of it by this one");
    await groups.cluster.pass(2_500);
    assert.equal(await groups.cluster.settle(outcome(commit(via, 1))), "UNKNOWN_MEMBER");
    assert.deepEqual(await groups.committed(via, g), []);
    const again = await groups.join(via, g, "a", ["t"]);
    assert.ok(again.memberEpoch > a.memberEpoch && held(again).length === 2);
  });

  it("for good: when no majority is left, calls are refused and say that nothing was written, with when to ask again", async () => {
    const coordinator = await groups.coordinator(g);
    const [left = 0, other = 0] = [1, 2, 3].filter((n) => n !== coordinator);
    groups.cluster.kill(coordinator);
    groups.cluster.kill(other);
    await groups.cluster.pass(3_000);
    for (const call of [() => commit(left, 3), () => groups.cluster.ask(left, rpc.FetchOffsets, { groupId: g })]) {
      const error: unknown = await groups.cluster.settle(
        call().then(
          () => assert.fail("nobody could answer"),
          (failure: unknown) => failure,
        ),
      );
      assert.ok(error instanceof MillraceError && error.code === "LEADER_UNKNOWN" && error.outcomeKnown, String(error));
      assert.ok(error.retryAfterMs !== undefined);
    }
    for (const n of [coordinator, other]) await groups.cluster.restart(n);
    await groups.cluster.settle(commit(left, 3));
    assert.deepEqual(await groups.committed(left, g), ["t:0=3"]);
  });
});
