import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type ReplicaId, toGroupId, toLogIndex, toOffset, toReplicaId, toTerm } from "../../src/base/ids.ts";
import type { GroupLog } from "../../src/log/types.ts";
import type { BrokerUnderTest, ReplicaUnderTest } from "../../src/testing/cluster/broker-under-test.ts";
import { ClusterWatch, type Running } from "../../src/testing/cluster/cluster-watch.ts";
import { Situations } from "../../src/testing/cluster/situations.ts";
import { InvariantWatch } from "../../src/testing/kit/invariant-watch.ts";
import type { Machine } from "../../src/testing/sim/machine.ts";
import type { SimProcess } from "../../src/testing/sim/process.ts";
import { World } from "../../src/testing/sim/world.ts";

const GROUP = toGroupId(7);
const START = { index: toLogIndex(0), term: toTerm(0), offset: toOffset(0) };

/** One of three replicas of a group whose only entry is of term 1. */
class FakeReplica implements ReplicaUnderTest {
  readonly groupId = GROUP;
  readonly id: ReplicaId;
  readonly log = { start: START, startOffset: START.offset, frame: () => undefined } as Partial<GroupLog> as GroupLog;
  turns = 0;
  core: ReplicaUnderTest["core"];

  constructor(id: number) {
    this.id = toReplicaId(id);
    const first = toReplicaId(1);
    this.core = {
      ...{ role: "follower", term: toTerm(1), votedFor: first, durableTerm: toTerm(1), durableVote: first },
      ...{ commit: toLogIndex(0), durable: toLogIndex(0), lastIndex: toLogIndex(1), holes: [], quarantined: false },
      configuration: { voters: [1, 2, 3].map(toReplicaId), learners: [] },
      configurationIndex: toLogIndex(0),
      termAt: (index) => toTerm(index === 1 ? 1 : 0),
    };
  }

  change(change: Partial<ReplicaUnderTest["core"]>): void {
    this.core = { ...this.core, ...change };
    this.turns++;
  }
}

class FakeBroker implements BrokerUnderTest {
  readonly state = "running";
  readonly numbers = undefined;
  readonly groups = undefined;
  replicas: readonly ReplicaUnderTest[];

  constructor(replica: ReplicaUnderTest) {
    this.replicas = [replica];
  }

  async start(): Promise<void> {}
  async stop(): Promise<void> {}
  async scrub(): Promise<void> {}
}

interface Fake {
  readonly machine: Machine;
  readonly process: SimProcess;
  readonly broker: FakeBroker;
  readonly replica: FakeReplica;
}

function fakes(world: World): readonly Fake[] {
  return [1, 2, 3].map((id) => {
    const machine = world.machine(`b${id}`);
    const { process } = machine.boot();
    const replica = new FakeReplica(id);
    return { machine, process, broker: new FakeBroker(replica), replica };
  });
}

/** The second replica's write ends and its topic with it, in one event; then the first one hears of the write, and commits. */
async function commitsWithOneThatIsClosed(world: World, [first, second]: readonly Fake[], durable: number): Promise<void> {
  assert.ok(first !== undefined && second !== undefined);
  for (const { process } of [first, second]) process.after(0, "recovered", () => {});
  first.process.after(1, "elected", () => first.replica.change({ role: "leader", durable: toLogIndex(1) }));
  second.process.after(2, "block written", () => {
    second.replica.change({ durable: toLogIndex(durable) });
    second.broker.replicas = [];
  });
  first.process.after(3, "answer", () => first.replica.change({ commit: toLogIndex(1) }));
  await world.scheduler.run(10);
}

function watchOf(world: World, brokers: readonly Fake[]): ClusterWatch {
  const running: Running[] = brokers.map(({ machine, process, broker }) => ({
    machine,
    broker,
    process,
    seen: -1,
    moved: true,
    life: machine.lives,
    diskFailures: 0,
    views: new Map(),
    replicas: undefined,
    looked: [],
    held: new Map(),
  }));
  return new ClusterWatch(world, () => running, new Situations());
}

describe("a replica that is closed in the event in which its write ended", () => {
  it("is looked at once more: what was committed with it was durable", async () => {
    const world = new World(1);
    const brokers = fakes(world);
    const { invariants } = watchOf(world, brokers);
    await commitsWithOneThatIsClosed(world, brokers, 1);
    assert.equal(invariants.broken, undefined);
    assert.ok((invariants.verdicts().find(({ row }) => row === "R8")?.judged ?? 0) > 0);
  });

  it("is held to what it had: a commit with one that had nothing is still a violation", async () => {
    const world = new World(1);
    const brokers = fakes(world);
    watchOf(world, brokers);
    await assert.rejects(commitsWithOneThatIsClosed(world, brokers, 0), /R8 .*durable only on 1 of 1 2 3/);
  });

  it("is looked at once more in clusters of millrace/testing", async () => {
    for (const durable of [1, 0]) {
      const world = new World(1);
      const brokers = fakes(world);
      const watch = new InvariantWatch();
      for (const { machine, process, broker } of brokers) watch.begin(machine, process, broker);
      world.scheduler.afterEach(() => watch.look());
      const run = commitsWithOneThatIsClosed(world, brokers, durable);
      if (durable === 1) await run;
      else await assert.rejects(run, /R8/);
    }
  });
});
