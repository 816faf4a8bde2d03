import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import * as rpc from "../stubs.ts";
import { GroupCluster, held, type Session } from "./group-cluster.ts";

const joining = (groupId: string, memberId: string) => ({ groupId, memberId, memberEpoch: 0, topics: ["t"], topicsChanged: true });

describe("A session", () => {
  let groups: GroupCluster;
  before(async () => {
    groups = await GroupCluster.start({ seed: 511 });
    await groups.cluster.createTopic("t", 4);
  });
  after(() => groups.cluster.close());

  /** Acknowledges what it was told last. */
  const acknowledge = (session: Session, groupId: string): void => {
    const { memberId, memberEpoch, assignment } = session.last;
    session.send({ groupId, memberId, memberEpoch, owned: assignment });
  };

  it("tells a member of its partitions without being asked, at the coordinator and at any other broker", async () => {
    await groups.join(1, "pushed", "nobody", ["t"]);
    await groups.beat(1, { groupId: "pushed", memberId: "nobody", memberEpoch: -1 });
    const coordinator = await groups.coordinator("pushed");
    const others = [1, 2, 3].filter((n) => n !== coordinator);
    const [a, b] = [groups.session(coordinator), groups.session(others[0] ?? 0)];
    a.send(joining("pushed", "a"));
    assert.equal(held(await a.told(1)).length, 4);
    b.send(joining("pushed", "b"));
    assert.equal(held(await b.told(1)).length, 0);
    const asked = groups.cluster.world.now;
    assert.equal(held(await a.told(2)).length, 2, "it is told to give two back");
    acknowledge(a, "pushed");
    assert.equal(held(await b.told(2)).length, 2, "and b gets them");
    assert.ok(groups.cluster.world.now - asked < 100, `${groups.cluster.world.now - asked} ms`);
    await a.told(3);
    // Nothing is said of what did not change.
    await groups.cluster.pass(40_000);
    assert.deepEqual([a.states.length, b.states.length], [3, 2]);
    a.cancel();
    b.cancel();
  });

  it("is only a transport: its end removes nobody, and the member goes on at another broker", async () => {
    const a = groups.session(1);
    a.send(joining("again", "a"));
    const joined = await a.told(1);
    a.cancel();
    await groups.cluster.pass(5_000);
    const b = groups.session(2);
    b.send({ groupId: "again", memberId: "a", memberEpoch: joined.memberEpoch, owned: joined.assignment });
    const back = await b.told(1);
    assert.deepEqual([back.memberEpoch, back.assignmentChanged], [joined.memberEpoch, false], "it has what it had");
    b.send({ groupId: "again", memberId: "a", memberEpoch: -1 });
    assert.equal((await b.told(2)).memberEpoch, -1);
    assert.equal(await b.over(), undefined);
  });

  it("ends with the refusal of a heartbeat, or when the member is none any more, with the action in its words", async () => {
    const a = groups.session(1);
    a.send({ groupId: "fenced", memberId: "a", memberEpoch: 4 });
    assert.equal(await a.over(), "UNKNOWN_MEMBER");
    const b = groups.session(2);
    b.send(joining("fenced", "b"));
    const { memberEpoch } = await b.told(1);
    // Another process with the same member id.
    await groups.join(3, "fenced", "b", ["t"]);
    assert.equal(await b.over(), "MEMBER_FENCED");
    const c = groups.session(3);
    c.send({ groupId: "fenced", memberId: "b", memberEpoch });
    assert.equal(await c.over(), "MEMBER_FENCED");
    const d = groups.session(1);
    d.send(joining("fenced", "b"));
    await d.told(1);
    await groups.cluster.call(2, rpc.SeekGroup, { groupId: "fenced", topics: [{ topic: "t" }], start: true, force: true });
    assert.equal(await d.over(), "UNKNOWN_MEMBER");
  });

  it("is of one member; a heartbeat that is none ends it", async () => {
    const a = groups.session(1);
    a.send(joining("one", "a"));
    await a.told(1);
    a.send(joining("one", "b"));
    assert.equal(await a.over(), "INVALID_REQUEST");
    const b = groups.session(1);
    b.send(joining("..", "b"));
    assert.equal(await b.over(), "INVALID_NAME");
  });

  it("ends the member when it sends nothing for the session timeout, however open the stream is", async () => {
    const a = groups.session(3);
    a.send(joining("silent", "a"));
    await a.told(1);
    await groups.cluster.pass(44_000);
    assert.equal(a.closed, false);
    assert.equal(await a.over(), "UNKNOWN_MEMBER");
  });

  it("ends with an error when nothing ever says whose it is: session.first.heartbeat.ms", async () => {
    const a = groups.session(2);
    await groups.cluster.pass(40_000);
    assert.equal(a.closed, false);
    await groups.cluster.pass(10_000);
    assert.equal(a.closed, true);
    assert.equal(await a.over(), "DEADLINE_PASSED");
  });

  it("goes with the coordinator when that moves: nobody is fenced, nothing is given back, and news comes as before", async () => {
    const [a, b] = [groups.session(1), groups.session(2)];
    a.send(joining("moves", "a"));
    const first = await a.told(1);
    await groups.moveCoordinator("moves", ((await groups.coordinator("moves")) % 3) + 1);
    acknowledge(a, "moves");
    const after = await a.told(2);
    assert.deepEqual(
      [after.memberEpoch, after.assignmentChanged, after.coordinatorId],
      [first.memberEpoch, false, await groups.coordinator("moves")],
    );
    await groups.moveCoordinator("moves", ((await groups.coordinator("moves")) % 3) + 1);
    b.send(joining("moves", "b"));
    await b.told(1);
    assert.equal(held(await a.told(3)).length, 2);
    a.cancel();
    b.cancel();
  });

  it("survives the death of the coordinator's broker; who is connected to that one goes on elsewhere", async () => {
    await groups.join(1, "dies", "nobody", ["t"]);
    await groups.beat(1, { groupId: "dies", memberId: "nobody", memberEpoch: -1 });
    const coordinator = await groups.coordinator("dies");
    const [safe = 0, other = 0] = [1, 2, 3].filter((n) => n !== coordinator);
    const [a, b] = [groups.session(safe), groups.session(coordinator)];
    a.send(joining("dies", "a"));
    await a.told(1);
    b.send(joining("dies", "b"));
    await a.told(2);
    acknowledge(a, "dies");
    const owned = await b.told(2);
    groups.cluster.kill(coordinator);
    await b.over();
    const died = groups.cluster.world.now;
    const c = groups.session(other);
    c.send({ groupId: "dies", memberId: "b", memberEpoch: owned.memberEpoch, owned: owned.assignment });
    const back = await c.told(1);
    assert.deepEqual([back.memberEpoch, back.assignmentChanged], [owned.memberEpoch, false]);
    assert.ok(groups.cluster.world.now - died < 2_000, `usable again after ${groups.cluster.world.now - died} ms`);
    assert.equal(a.closed, false);
    c.send({ groupId: "dies", memberId: "b", memberEpoch: -1 });
    assert.equal(held(await a.told(4)).length, 4, "a gets all");
    a.cancel();
    await groups.cluster.restart(coordinator);
  });

  it("waits for a coordinator as long as there is none, and its heartbeat is answered then", async () => {
    const a = groups.session(1);
    a.send(joining("waits", "a"));
    await a.told(1);
    groups.cluster.world.network.partition([["b1", "client"], ["b2"], ["b3"]]);
    await groups.cluster.pass(2_000);
    acknowledge(a, "waits");
    await groups.cluster.pass(6_000);
    assert.deepEqual([a.closed, a.states.length], [false, 1]);
    groups.cluster.world.network.heal();
    assert.equal((await a.told(2)).assignmentChanged, false);
    a.cancel();
  });

  it("ends when its broker stops, and its member has not left", async () => {
    const a = groups.session(2);
    a.send(joining("stops", "a"));
    const { memberEpoch, assignment } = await a.told(1);
    await groups.cluster.stop(2);
    assert.equal(await a.over(), "SHUTTING_DOWN");
    const b = groups.session(1);
    b.send({ groupId: "stops", memberId: "a", memberEpoch, owned: assignment });
    assert.equal((await b.told(1)).assignmentChanged, false);
    b.cancel();
    await groups.cluster.restart(2);
  });
});
