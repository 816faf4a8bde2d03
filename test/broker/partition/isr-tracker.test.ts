import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type ReplicaId, toGroupId, toLogIndex, toReplicaId, toTerm } from "../../../src/base/ids.ts";
import {
  type FollowerView,
  type IsrCommand,
  type IsrRecord,
  IsrTracker,
  type LeaderView,
} from "../../../src/broker/partition/isr-tracker.ts";

const [r1, r2, r3] = [1, 2, 3].map(toReplicaId) as [ReplicaId, ReplicaId, ReplicaId];
const options = {
  group: toGroupId(9),
  self: r1,
  term: toTerm(4),
  noopIndex: toLogIndex(10),
  voters: [r1, r2, r3],
  replicaLagMaxMs: 10_000,
  silentMs: 2_000,
  retryMs: 100,
};
const record = (isr: ReplicaId[], isrVersion: number, claimTerm = 4): IsrRecord => ({
  isr,
  isrVersion,
  claim: { replicaId: r1, term: toTerm(claimTerm) },
});

/** A cluster that a test moves by hand. */
class World {
  now = 0;
  lastIndex = 10;
  commit = 10;
  durable = 10;
  match: Record<number, number> = { 2: 10, 3: 10 };
  heard: Record<number, number> = {};
  barred = new Set<number>();
  silent = new Set<number>();
  view(): LeaderView {
    return {
      lastIndex: toLogIndex(this.lastIndex),
      commit: toLogIndex(this.commit),
      durable: toLogIndex(this.durable),
      follower: (replica): FollowerView | undefined => {
        const match = this.match[replica];
        if (match === undefined) return undefined;
        return { match: toLogIndex(match), heardAt: this.heard[replica] ?? 0, barred: this.barred.has(replica) };
      },
    };
  }
  /** Ticks every 100 ms for `ms`, everyone who is not silent answering; returns the first command. */
  run(tracker: IsrTracker, ms: number, each: () => void = () => {}): IsrCommand | undefined {
    const end = this.now + ms;
    while (this.now < end) {
      this.now += 100;
      for (const replica of [2, 3]) if (!this.silent.has(replica)) this.heard[replica] = this.now;
      each();
      const command = tracker.tick(this.view(), this.now);
      if (command !== undefined) return command;
    }
    return undefined;
  }
}

function claimed(world: World, isr: ReplicaId[] = [r1, r2, r3]): IsrTracker {
  const tracker = new IsrTracker(options, record(isr, 7, 3), world.now);
  const command = tracker.tick(world.view(), world.now);
  assert.equal(command?.kind, "leaderClaim");
  tracker.answered({ kind: "recorded", record: record(isr, 8) }, world.now);
  assert.equal(tracker.claimed, true);
  return tracker;
}

describe("IsrTracker of a group that was at rest", () => {
  it("is settled with every voter in sync and nothing asked for, and not before", () => {
    const world = new World();
    const tracker = new IsrTracker(options, record([r1, r2, r3], 7, 3), 0);
    assert.equal(tracker.settled, false, "its claim is not recorded");
    assert.equal(claimed(world).settled, true);
    const short = claimed(world, [r1, r2]);
    assert.equal(short.settled, false, "one is left out");
    assert.equal(short.tick(world.view(), 1)?.kind, "alterIsr");
    short.answered({ kind: "unknown" }, 1);
    assert.equal(short.settled, false, "a proposal is open");
  });

  it("holds nothing against followers for the time in which nothing could be asked of them, and all against the silent", () => {
    const world = new World();
    const tracker = claimed(world);
    world.run(tracker, 1_000);
    world.now += 3_600_000;
    const heardAt = world.now - 1_000;
    tracker.resume(world.now);
    world.lastIndex = 11;
    // One takes its time with the new entry, the other was not heard for a second.
    world.heard = { 2: world.now, 3: heardAt };
    assert.equal(tracker.tick(world.view(), world.now), undefined);
    world.silent.add(3);
    const command = world.run(tracker, 1_300);
    assert.deepEqual(command?.isr, [r1, r2]);
    assert.ok(world.now - heardAt <= options.silentMs + 200);
  });
});

describe("IsrTracker before the claim", () => {
  it("requires all voters, and counts that many, until the claim of this term is known", () => {
    const tracker = new IsrTracker(options, record([r1], 7, 3), 0);
    assert.deepEqual(tracker.required, [1, 2, 3]);
    assert.equal(tracker.isrSize, 3);
    tracker.recorded(record([r1, r2], 8));
    assert.deepEqual(tracker.required, [1, 2]);
    assert.equal(tracker.isrSize, 2);
  });

  it("claims only when its own log is durable up to its no-op, and never twice at a time", () => {
    const world = new World();
    const tracker = new IsrTracker(options, record([r1, r2, r3], 7, 3), 0);
    world.durable = 9;
    assert.equal(tracker.tick(world.view(), 0), undefined);
    world.durable = 10;
    assert.deepEqual(tracker.tick(world.view(), 0), { kind: "leaderClaim", group: 9, replicaId: 1, term: 4, isr: [1, 2, 3] });
    assert.equal(tracker.tick(world.view(), 50), undefined);
    tracker.answered({ kind: "unknown" }, 50);
    assert.equal(tracker.tick(world.view(), 149), undefined, "not before the retry time");
    assert.equal(tracker.tick(world.view(), 150)?.kind, "leaderClaim");
  });

  it("claims without a peer whose connection is gone", () => {
    const world = new World();
    const tracker = new IsrTracker(options, record([r1, r2, r3], 7, 3), 0);
    tracker.peerGone(r3);
    assert.deepEqual(tracker.tick(world.view(), 0)?.isr, [1, 2]);
    assert.deepEqual(tracker.required, [1, 2, 3], "asking changes nothing");
  });
});

describe("IsrTracker after the claim", () => {
  it("asks for nothing while everyone keeps up with a busy leader", () => {
    const world = new World();
    const tracker = claimed(world);
    const command = world.run(tracker, 30_000, () => {
      // Followers are always one exchange behind the end, and never quite at it.
      Object.assign(world.match, { 2: world.lastIndex, 3: world.lastIndex });
      world.commit = world.lastIndex;
      world.lastIndex += 5;
    });
    assert.equal(command, undefined);
  });

  it("drops a follower that was not caught up for the lag limit, though it answers and moves", () => {
    const world = new World();
    const tracker = claimed(world);
    const began = world.now;
    const command = world.run(tracker, 30_000, () => {
      world.lastIndex += 50;
      world.commit = world.match[2] = world.lastIndex;
      world.match[3] = (world.match[3] ?? 0) + 1;
    });
    assert.deepEqual(command, { kind: "alterIsr", group: 9, term: 4, isrVersion: 8, isr: [1, 2] });
    assert.ok(world.now - began >= 10_000 && world.now - began < 10_500, `after ${world.now - began} ms`);
    assert.deepEqual(tracker.required, [1, 2, 3], "a proposed shrink changes nothing");
    tracker.answered({ kind: "recorded", record: record([r1, r2], 9) }, world.now);
    assert.deepEqual(tracker.required, [1, 2]);
  });

  it("drops a silent follower after the silence limit, and at once when its connection is gone", () => {
    const world = new World();
    const tracker = claimed(world);
    world.silent.add(3);
    const began = world.now;
    assert.deepEqual(world.run(tracker, 5_000)?.isr, [1, 2]);
    assert.ok(world.now - began <= 2_200);
    tracker.answered({ kind: "recorded", record: record([r1, r2], 9) }, world.now);
    tracker.peerGone(r2);
    assert.deepEqual(tracker.tick(world.view(), world.now + 1)?.isr, [1]);
  });

  it("lets a follower in at commit and at this term's no-op, not before, and requires it from the proposal on", () => {
    const world = new World();
    const tracker = claimed(world, [r1, r2]);
    world.commit = 8;
    world.match[3] = 9;
    assert.equal(world.run(tracker, 300), undefined, "at commit, below the no-op");
    world.lastIndex = world.commit = world.match[2] = 12;
    world.match[3] = 11;
    assert.equal(world.run(tracker, 300), undefined, "at the no-op, below commit");
    world.match[3] = 12;
    assert.deepEqual(world.run(tracker, 300)?.isr, [1, 2, 3]);
    assert.deepEqual(tracker.required, [1, 2, 3]);
    assert.equal(tracker.isrSize, 2, "recorded members only");
  });

  it("never lets in a replica with a hole, a stranger or a learner", () => {
    const world = new World();
    const tracker = claimed(world, [r1, r2]);
    world.barred.add(3);
    world.match[4] = 10;
    assert.equal(world.run(tracker, 1_000), undefined);
  });

  it("leaves itself out while it has a hole, and never everyone", () => {
    const world = new World();
    world.match[1] = 10;
    world.barred.add(1);
    const claimed = world.run(new IsrTracker({ ...options }, record([r1, r2, r3], 1, 3), 0), 1000);
    assert.deepEqual(claimed?.isr, [r2, r3]);
    const tracker = new IsrTracker(options, record([r1, r2], 3), 0);
    assert.deepEqual(world.run(tracker, 1000)?.isr, [r2, r3]);
    const alone = new World();
    alone.match[1] = 10;
    for (const replica of [1, 2, 3]) alone.barred.add(replica);
    assert.deepEqual(alone.run(new IsrTracker(options, record([r1, r2, r3], 3), 0), 1000)?.isr, [r1]);
    alone.barred.delete(1);
    assert.deepEqual(alone.run(new IsrTracker(options, record([r1, r2, r3], 3), 0), 1000)?.isr, [r1]);
  });

  it("keeps a refused proposal open and records the present set again to close it", () => {
    const world = new World();
    const tracker = claimed(world, [r1, r2]);
    assert.deepEqual(world.run(tracker, 200)?.isr, [1, 2, 3]);
    tracker.answered({ kind: "refused", isrVersion: 8 }, world.now);
    assert.deepEqual(tracker.required, [1, 2, 3], "a delayed copy of the proposal may still be recorded");
    const again = world.run(tracker, 300);
    assert.deepEqual(again, { kind: "alterIsr", group: 9, term: 4, isrVersion: 8, isr: [1, 2] });
    tracker.answered({ kind: "recorded", record: record([r1, r2], 9) }, world.now);
    assert.deepEqual(tracker.required, [1, 2]);
    assert.deepEqual(world.run(tracker, 2_000)?.isr, [1, 2, 3], "later it is tried again");
  });

  it("keeps a proposal of unknown outcome open until a higher version is known", () => {
    const world = new World();
    const tracker = claimed(world, [r1, r2]);
    world.run(tracker, 200);
    tracker.answered({ kind: "unknown" }, world.now);
    tracker.peerGone(r3);
    assert.deepEqual(world.run(tracker, 300)?.isr, [1, 2]);
    assert.deepEqual(tracker.required, [1, 2, 3]);
    tracker.recorded(record([r1, r2, r3], 8));
    assert.deepEqual(tracker.required, [1, 2, 3], "a record of the same version proves nothing");
    tracker.recorded(record([r1, r2], 9));
    assert.deepEqual(tracker.required, [1, 2]);
  });

  it("waits a while for the record when a refusal names a higher version", () => {
    const world = new World();
    const tracker = claimed(world, [r1, r2]);
    world.run(tracker, 200);
    tracker.answered({ kind: "refused", isrVersion: 11 }, world.now);
    assert.equal(world.run(tracker, 900), undefined);
    tracker.recorded(record([r1, r2], 11));
    assert.equal(world.run(tracker, 200)?.kind, "alterIsr");
    tracker.answered({ kind: "refused", isrVersion: 99 }, world.now);
    assert.equal(world.run(tracker, 2_000)?.kind, "alterIsr", "99 may be a version that its controller never committed");
  });

  it("evicts nobody because it stood still itself", () => {
    const world = new World();
    const tracker = claimed(world);
    world.lastIndex = 50;
    world.run(tracker, 300);
    world.now += 60_000;
    assert.equal(tracker.tick(world.view(), world.now), undefined);
    world.commit = world.match[2] = world.match[3] = 50;
    assert.equal(world.run(tracker, 3_000), undefined);
  });
});

/** The controller's rules (design §6), in ten lines. */
class NaiveController {
  record: IsrRecord = { isr: [r1, r2, r3], isrVersion: 7, claim: undefined };
  apply(command: IsrCommand, refuseJoin: boolean): { ok: boolean } {
    const { isr, isrVersion, claim } = this.record;
    if (claim !== undefined && command.term < claim.term) return { ok: false };
    if (command.kind === "leaderClaim") {
      if (claim?.term === command.term) return { ok: false };
      const kept = isr.filter((replica) => command.isr.includes(replica));
      this.record = {
        isr: kept.includes(command.replicaId) ? kept : [...kept, command.replicaId],
        isrVersion: isrVersion + 1,
        claim: { replicaId: command.replicaId, term: command.term },
      };
      return { ok: true };
    }
    if (command.isrVersion !== isrVersion || claim?.term !== command.term) return { ok: false };
    if (refuseJoin && command.isr.some((replica) => !isr.includes(replica))) return { ok: false };
    this.record = { isr: [...command.isr], isrVersion: isrVersion + 1, claim };
    return { ok: true };
  }
}

describe("IsrTracker with a slow, forgetful controller", () => {
  const event = fc.oneof(
    { weight: 5, arbitrary: fc.record({ do: fc.constant("tick" as const), ms: fc.constantFrom(100, 100, 100, 900) }) },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant("deliver" as const),
        which: fc.nat(9),
        refuseJoin: fc.boolean(),
        keepCopy: fc.boolean(),
        answer: fc.boolean(),
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("giveUp" as const) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("image" as const) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("append" as const), by: fc.nat(20) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant("follow" as const), replica: fc.constantFrom(2, 3) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("link" as const), replica: fc.constantFrom(r2, r3), gone: fc.boolean() }) },
  );

  it("has every recorded in-sync replica in the required set, whatever is delayed, doubled or lost", () => {
    fc.assert(
      fc.property(fc.array(event, { minLength: 20, maxLength: 120, size: "max" }), (events) => {
        const world = new World();
        const controller = new NaiveController();
        const tracker = new IsrTracker(options, controller.record, 0);
        const network: IsrCommand[] = [];
        let waitingFor: IsrCommand | undefined;
        for (const each of events) {
          if (each.do === "tick") {
            world.now += each.ms;
            const command = tracker.tick(world.view(), world.now);
            if (command !== undefined) {
              assert.equal(waitingFor, undefined, "one command at a time");
              waitingFor = command;
              network.push(command);
            }
          } else if (each.do === "deliver") {
            const command = network[each.which % Math.max(1, network.length)];
            if (command === undefined) continue;
            if (!each.keepCopy) network.splice(network.indexOf(command), 1);
            const { ok } = controller.apply(command, each.refuseJoin);
            if (each.answer && command === waitingFor) {
              waitingFor = undefined;
              if (ok) tracker.answered({ kind: "recorded", record: controller.record }, world.now);
              else tracker.answered({ kind: "refused", isrVersion: controller.record.isrVersion }, world.now);
            }
          } else if (each.do === "giveUp" && waitingFor !== undefined) {
            waitingFor = undefined;
            tracker.answered({ kind: "unknown" }, world.now);
          } else if (each.do === "image") tracker.recorded(controller.record);
          else if (each.do === "append") world.lastIndex += each.by;
          else if (each.do === "follow") {
            world.heard[each.replica] = world.now;
            world.match[each.replica] = world.lastIndex;
            world.commit = world.durable = world.lastIndex;
          } else if (each.do === "link") {
            if (each.gone) tracker.peerGone(each.replica);
            else tracker.peerBack(each.replica);
          }
          for (const replica of controller.record.isr)
            assert.ok(tracker.required.includes(replica), `replica ${replica} is recorded but not required`);
        }
      }),
      { numRuns: 400 },
    );
  });
});

describe("IsrTracker while voters change", () => {
  const r4 = toReplicaId(4);

  it("lets a replica that is about to be left out leave first, and not come back", () => {
    const world = new World();
    const tracker = claimed(world);
    tracker.expel([r3]);
    const command = world.run(tracker, 200);
    assert.deepEqual(command?.kind === "alterIsr" && command.isr, [r1, r2]);
    assert.deepEqual(tracker.required, [r1, r2, r3], "until that is recorded ALL waits for it");
    tracker.answered({ kind: "recorded", record: record([r1, r2], 9) }, world.now);
    assert.deepEqual(tracker.required, [r1, r2]);
    assert.equal(world.run(tracker, 5_000), undefined);
  });

  it("takes one back that is not to leave any more", () => {
    const world = new World();
    const tracker = claimed(world);
    tracker.expel([r3]);
    world.run(tracker, 200);
    tracker.answered({ kind: "recorded", record: record([r1, r2], 9) }, world.now);
    assert.equal(world.run(tracker, 1_000), undefined);
    tracker.expel([]);
    const command = world.run(tracker, 1_000);
    assert.deepEqual(command?.kind === "alterIsr" && command.isr, [r1, r2, r3]);
  });

  it("counts those of both sets before the claim, and takes a new voter in once it has everything", () => {
    const world = new World();
    const unclaimed = new IsrTracker(options, record([r1, r2, r3], 7, 3), world.now);
    unclaimed.configure([r1, r2, r3, r4], world.now);
    assert.deepEqual(unclaimed.required, [r1, r2, r3, r4]);
    assert.equal(unclaimed.isrSize, 4);
    const tracker = claimed(world, [r1, r2]);
    world.silent.add(3);
    tracker.configure([r1, r2, r4], world.now);
    world.match[4] = 3;
    assert.equal(
      world.run(tracker, 300, () => {
        world.heard[4] = world.now;
      }),
      undefined,
    );
    world.match[4] = 10;
    const command = world.run(tracker, 300, () => {
      world.heard[4] = world.now;
    });
    assert.deepEqual(command?.kind === "alterIsr" && command.isr, [r1, r2, r4]);
  });
});
