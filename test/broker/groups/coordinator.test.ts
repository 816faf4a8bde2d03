import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { CommitOffsets } from "../../../src/consumer-groups/commands.ts";
import { beating, flat, joining, offset } from "../../consumer-groups/groups-fixture.ts";
import { CoordinatorRun } from "./coordinator-run.ts";

const committing = (groupId: string, member: CommitOffsets["member"], ...offsets: CommitOffsets["offsets"]): CommitOffsets => ({
  kind: "commitOffsets",
  groupId,
  member,
  offsets,
});
const DAY_MS = 24 * 60 * 60_000;

/** Member `a` holds both partitions of `t`. */
function one(settings?: ConstructorParameters<typeof CoordinatorRun>[0]) {
  const run = new CoordinatorRun(settings);
  const t = run.topics.make("t", 2);
  const { memberEpoch } = run.told(joining("g", "a", ["t"]));
  return { run, t, epoch: memberEpoch };
}

describe("A coordinator", () => {
  it("answers when what it decided is committed, and tells those who wait in the same turn, before that", () => {
    const { run, epoch } = one();
    run.held = true;
    const told = run.watch("g", "a", epoch);
    const joined = run.ask(joining("g", "b", ["t"]));
    run.clock.turn();
    assert.deepEqual([joined.said, told], [undefined, []], "nothing is committed");
    run.commit();
    assert.deepEqual(told, [epoch + 1]);
    assert.ok(joined.said !== undefined);
  });

  it("tells who waits for nothing new that nothing is new by keeping silent, and at once who knows less", () => {
    const { run, epoch } = one();
    const waits = run.watch("g", "a", epoch);
    run.told(beating("g", "a", epoch));
    run.ask(committing("g", { id: "a", epoch }, offset("t", 0, 1)));
    run.clock.turn();
    assert.deepEqual(waits, []);
    run.told(joining("g", "b", ["t"]));
    assert.deepEqual([waits, run.watch("g", "a", epoch)], [[epoch + 1], [epoch + 1]]);
    assert.deepEqual(run.watch("g", "c", 1), ["UNKNOWN_MEMBER"]);
    assert.deepEqual(run.watch("g", "a", epoch + 9), ["MEMBER_FENCED"]);
  });

  it("tells who waits as a member that was removed, or that joined anew elsewhere", () => {
    const { run, epoch } = one();
    const former = run.watch("g", "a", epoch);
    const again = run.told(joining("g", "a", ["t"]));
    assert.deepEqual(former, ["MEMBER_FENCED"]);
    const waits = run.watch("g", "a", again.memberEpoch);
    run.ask({ kind: "leave", groupId: "g", memberId: "a", instanceId: undefined, forGood: true });
    run.clock.turn();
    assert.deepEqual(waits, ["UNKNOWN_MEMBER"]);
  });

  it("removes a member that nothing is heard of for its session, and gives what it held to the others", () => {
    const { run, epoch } = one();
    const b = run.told(joining("g", "b", ["t"]));
    run.told(beating("g", "a", epoch + 1, { owned: [] }));
    run.clock.pass(30_000);
    run.told(beating("g", "b", b.memberEpoch + 1));
    run.clock.pass(14_999);
    assert.deepEqual(run.members("g"), ["a", "b"]);
    const told = run.watch("g", "b", b.memberEpoch + 1);
    run.clock.pass(1);
    assert.deepEqual(run.members("g"), ["b"]);
    assert.equal(told.length, 1, "b is told without asking");
    run.clock.pass(30_000);
    assert.deepEqual(run.members("g"), []);
    assert.equal(run.code(beating("g", "a", epoch + 1)), "UNKNOWN_MEMBER");
  });

  it("counts a commit as a sign of life, and a refused call as none", () => {
    const { run, epoch } = one();
    run.clock.pass(40_000);
    run.ask(committing("g", { id: "a", epoch }, offset("t", 0, 1)));
    run.clock.pass(40_000);
    assert.deepEqual(run.members("g"), ["a"]);
    assert.equal(run.code(beating("g", "a", epoch + 5)), "MEMBER_FENCED");
    run.clock.pass(5_000);
    assert.deepEqual(run.members("g"), []);
  });

  it("removes who does not give partitions back in time, though it goes on sending heartbeats", () => {
    const { run, epoch } = one({ rebalanceTimeoutMs: 10_000 });
    const owned = [{ topicId: run.topics.byName("t")?.id ?? assert.fail(), partitions: [0, 1] }];
    run.told(joining("g", "b", ["t"]));
    for (let beats = 0; beats < 9; beats += 1) {
      run.clock.pass(1_000);
      run.told(beating("g", "a", epoch + 1, { owned }));
    }
    assert.deepEqual(run.members("g"), ["a", "b"]);
    run.clock.pass(1_001);
    assert.deepEqual(run.members("g"), ["b"]);
  });

  it("does not remove anybody for the time in which it stood still itself", () => {
    const { run, epoch } = one();
    run.clock.pass(40_000);
    run.clock.stall(60_000);
    assert.deepEqual(run.members("g"), ["a"]);
    run.clock.pass(4_000);
    run.told(beating("g", "a", epoch));
    run.clock.pass(44_000);
    assert.deepEqual(run.members("g"), ["a"]);
    run.clock.pass(1_000);
    assert.deepEqual(run.members("g"), []);
  });

  it("gives everybody all of their time again when it begins, and leaves no timer behind when it ends", () => {
    const { run, epoch } = one();
    run.clock.pass(40_000);
    run.deposed();
    assert.equal(run.clock.timers, 0);
    assert.equal(run.coordinator.active, false);
    assert.equal(run.code(beating("g", "a", epoch)), "NOT_LEADER");
    run.clock.pass(10_000);
    run.elected();
    assert.equal(run.coordinator.active, true);
    run.clock.pass(44_000);
    assert.deepEqual(run.members("g"), ["a"]);
    run.told(beating("g", "a", epoch));
    run.clock.pass(45_000);
    assert.deepEqual(run.members("g"), []);
  });

  it("tells those who wait, and whose call was not committed, that it is no coordinator any more", () => {
    const { run, epoch } = one();
    const told = run.watch("g", "a", epoch);
    run.held = true;
    const joined = run.ask(joining("g", "b", ["t"]));
    run.deposed();
    assert.deepEqual([told, joined.said], [["NOT_LEADER"], "LEADERSHIP_LOST"]);
    assert.deepEqual(run.watch("g", "a", epoch), ["NOT_LEADER"]);
    run.held = false;
    run.elected();
    assert.deepEqual(run.members("g"), ["a"]);
  });

  it("assigns partitions and topics that come, and takes back what goes", () => {
    const { run, epoch } = one();
    const told = run.watch("g", "a", epoch);
    run.topics.grow("t", 3);
    run.coordinator.topicsChanged();
    run.clock.turn();
    assert.deepEqual(told, [epoch + 1]);
    const state = run.told(beating("g", "a", epoch));
    assert.deepEqual(flat(state.assignment), ["1:0", "1:1", "1:2"]);
    const frames = run.drafts.length;
    run.coordinator.topicsChanged();
    run.clock.turn();
    assert.equal(run.drafts.length, frames, "nothing changed");
  });

  it("looks at groups by pattern at once, and then no more often than every second, however many topics come", async () => {
    const { run } = one();
    const { memberEpoch } = run.told(joining("p", "m", [], { topicPattern: "n.*" }));
    const told = run.watch("p", "m", memberEpoch);
    const settled = async (): Promise<void> => {
      for (let turns = 0; turns < 5; turns += 1) {
        await Promise.resolve();
        run.clock.turn();
      }
    };
    const make = async (count: number): Promise<void> => {
      for (let n = 0; n < count; n += 1) {
        run.topics.make(`n${run.topics.all().length}`, 1);
        run.coordinator.topicsChanged();
        await settled();
        run.clock.pass(10);
      }
    };
    const reads = (): number => run.view.image.group("p")?.target.size ?? 0;
    run.clock.pass(1_000);
    await settled();
    await make(1);
    assert.deepEqual([reads(), told], [1, [memberEpoch + 1]], "the first one at once");
    const frames = run.drafts.length;
    await make(20);
    assert.equal(run.drafts.length, frames, "the others wait");
    run.clock.pass(1_000);
    await settled();
    assert.deepEqual([reads(), run.drafts.length], [21, frames + 1], "and are taken together");
    // A group by name waits for nothing.
    run.topics.grow("t", 3);
    run.coordinator.topicsChanged();
    run.clock.turn();
    assert.equal(run.view.image.group("g")?.target.get(run.topics.byName("t")?.id ?? assert.fail())?.owners.length, 3);
    run.topics.drop("n1");
    run.coordinator.topicsChanged();
    run.clock.pass(1_000);
    await settled();
    assert.equal(reads(), 20, "gone within a second");
    run.deposed();
    run.topics.make("n-later", 1);
    run.clock.pass(2_000);
    run.elected();
    await settled();
    assert.equal(reads(), 21, "what came while nobody decided here");
  });

  it("looks what changed before it began", () => {
    const { run, epoch } = one();
    run.deposed();
    run.topics.grow("t", 4);
    run.elected();
    run.clock.turn();
    assert.equal(flat(run.told(beating("g", "a", epoch)).assignment).length, 4);
  });

  it("drops offsets of a topic only when a read barrier says that it is gone", async () => {
    const { run, t, epoch } = one();
    run.ask(committing("g", { id: "a", epoch }, offset("t", 0, 7)));
    run.clock.turn();
    const barriers = run.barriers;
    // Its broker has not read of the topic yet.
    run.topics.drop("t");
    run.onBarrier = () => {
      run.onBarrier = () => {};
      Object.assign(run.topics, { byId: (id: string) => (id === t ? { id: t, name: "t", partitions: 2 } : undefined) });
    };
    run.coordinator.topicsChanged();
    run.clock.turn();
    await Promise.resolve();
    run.clock.turn();
    assert.equal(run.barriers, barriers + 1);
    assert.equal(run.view.image.group("g")?.offsets.size, 1, "it is there after all");
    Reflect.deleteProperty(run.topics, "byId");
    run.coordinator.topicsChanged();
    run.clock.turn();
    await Promise.resolve();
    await Promise.resolve();
    run.clock.turn();
    assert.equal(run.view.image.group("g")?.offsets.size, 0);
  });

  it("forgets the offsets of groups that have been empty for too long, and only while its wall clock may be trusted", () => {
    const { run, epoch } = one();
    run.ask(committing("g", { id: "a", epoch }, offset("t", 0, 7)));
    run.ask({ kind: "leave", groupId: "g", memberId: "a", instanceId: undefined, forGood: true });
    run.clock.pass(6 * DAY_MS);
    assert.ok(run.view.image.group("g") !== undefined);
    run.trusted = false;
    run.clock.pass(5 * DAY_MS);
    assert.ok(run.view.image.group("g") !== undefined);
    run.trusted = true;
    run.clock.pass(600_000);
    assert.equal(run.view.image.group("g"), undefined);
  });

  it("keeps the offsets of a group with members for ever (C7)", () => {
    const { run, epoch } = one({ sessionTimeoutMs: 100 * DAY_MS });
    run.ask(committing("g", { id: "a", epoch }, offset("t", 0, 7)));
    run.clock.pass(60 * DAY_MS);
    assert.equal(run.view.image.group("g")?.offsets.size, 1);
  });

  it("goes on when there is no room: nothing is written, and what it wanted itself it tries again", () => {
    const { run } = one();
    run.room = run.drafts.length;
    assert.equal(run.code(joining("g", "b", ["t"])), "PENDING_FULL");
    run.clock.pass(50_000);
    assert.deepEqual(run.members("g"), ["a"], "its session is over, and that cannot be recorded");
    run.room = Number.POSITIVE_INFINITY;
    run.clock.pass(500);
    assert.deepEqual(run.members("g"), []);
  });

  it("has no effect any more once its replica is closed", () => {
    const { run, epoch } = one();
    const told = run.watch("g", "a", epoch);
    run.coordinator.closed();
    assert.deepEqual([run.coordinator.active, told, run.clock.timers], [false, ["NOT_LEADER"], 0]);
    assert.equal(run.code(beating("g", "a", epoch)), "NOT_LEADER");
    run.coordinator.advanced();
    assert.equal(run.coordinator.active, false);
  });

  it("listens to the view no more once its replica is closed: the view goes on when a log begins anew", () => {
    const { run } = one();
    assert.equal(run.view.listening, 1);
    run.coordinator.closed();
    run.coordinator.closed();
    assert.equal(run.view.listening, 0);
  });

  it("follows the lag of partitions by what its broker has of them, and says what it is worth when it is asked", () => {
    const { run, t, epoch } = one({ sessionTimeoutMs: DAY_MS });
    let highWatermark = 10;
    run.ends = (_, partition) => (partition === 0 ? { logStartOffset: 0, highWatermark } : undefined);
    const verdict = (partition = 0): string => {
      const group = run.view.image.group("g") ?? assert.fail();
      return run.coordinator.verdictOf(group, t, partition, { logStartOffset: 0, highWatermark });
    };
    run.ask(committing("g", { id: "a", epoch }, offset("t", 0, 10)));
    run.clock.pass(20_000);
    highWatermark = 50;
    run.clock.pass(70_000);
    assert.equal(verdict(), "stalled", "nobody asked meanwhile, and it was seen");
    assert.equal(verdict(1), "ok", "it is looked at for the first time");
    run.ask({ kind: "leave", groupId: "g", memberId: "a", instanceId: undefined, forGood: true });
    run.clock.turn();
    assert.equal(verdict(), "stopped");
    const positions = [{ topicId: t, partition: 0, offset: 4, logStartOffset: 0, highWatermark: 50 }];
    run.ask({ kind: "seekGroup", groupId: "g", positions, dryRun: false, force: false });
    run.clock.pass(10_000);
    assert.equal(verdict(), "rewind");
    for (let at = 5; at < 25; at += 1) {
      run.ask(committing("g", undefined, offset("t", 0, at)));
      highWatermark += 20;
      run.clock.pass(10_000);
    }
    assert.equal(verdict(), "warn", "it goes on, and falls behind");
  });

  it("follows all partitions of a topic that a group without members has committed something of", () => {
    const run = new CoordinatorRun();
    const t = run.topics.make("t", 2);
    const ends = { logStartOffset: 0, highWatermark: 10 };
    run.ends = () => ends;
    run.ask(committing("g", undefined, offset("t", 0, 10)));
    run.clock.pass(80_000);
    const group = run.view.image.group("g") ?? assert.fail();
    const verdicts = [0, 1].map((partition) => run.coordinator.verdictOf(group, t, partition, ends));
    assert.deepEqual(verdicts, ["ok", "stopped"]);
  });

  it("confirms itself once for all reads of a turn, and again for a read that comes later", () => {
    const { run } = one();
    let asked = 0;
    const answers: (() => void)[] = [];
    const shard = {
      read: (done: (image: typeof run.view.image | undefined) => void) => {
        asked += 1;
        answers.push(() => done(run.view.image));
        return () => {};
      },
    };
    let read = 0;
    const count = (): void => {
      read += 1;
    };
    run.coordinator.read(shard, count);
    run.coordinator.read(shard, count);
    run.coordinator.read(shard, count)();
    run.clock.turn();
    run.coordinator.read(shard, count);
    run.clock.turn();
    assert.equal(asked, 2);
    answers[0]?.();
    assert.equal(read, 2, "one of three has gone");
    answers[1]?.();
    assert.equal(read, 3);
  });
});
