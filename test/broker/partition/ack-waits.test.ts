import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type LogIndex, type ReplicaId, toLogIndex, toReplicaId } from "../../../src/base/ids.ts";
import { InvariantViolated } from "../../../src/base/invariant.ts";
import { type AckState, type AckWait, AckWaits } from "../../../src/broker/partition/ack-waits.ts";
import type { WaitedLevel } from "../../../src/broker/partition/acks.ts";

const replicas = [1, 2, 3].map(toReplicaId);

interface Facts {
  commit: number;
  durable: Record<number, number>;
  required?: number[];
  isrSize?: number;
  minIsr?: number;
}

/** Replica 1 is the leader. */
function state({ commit, durable, required = [1, 2, 3], isrSize = required.length, minIsr = 2 }: Facts): AckState {
  return {
    commit: toLogIndex(commit),
    durableOwn: toLogIndex(durable[1] ?? 0),
    required: required.map(toReplicaId),
    durableOf: (replica: ReplicaId) => (durable[replica] === undefined ? undefined : toLogIndex(durable[replica])),
    isrSize,
    minIsr,
  };
}

function recorder(waits: AckWaits) {
  const answers: string[] = [];
  const add = (level: WaitedLevel, index: number, bytes = 10): AckWait =>
    waits.add(level, toLogIndex(index), bytes, (failure) => answers.push(`${level} ${index} ${failure ?? "ok"}`));
  const take = () => answers.splice(0);
  return { add, take };
}

describe("AckWaits", () => {
  it("answers LEADER when the frame is durable here, before it is committed", () => {
    const waits = new AckWaits(1000);
    const { add, take } = recorder(waits);
    add("LEADER", 5);
    waits.update(state({ commit: 4, durable: { 1: 4 } }));
    assert.deepEqual(take(), []);
    waits.update(state({ commit: 4, durable: { 1: 5 } }));
    assert.deepEqual(take(), ["LEADER 5 ok"]);
  });

  it("answers QUORUM by commit alone, even when the leader's own disk is behind", () => {
    const waits = new AckWaits(1000);
    const { add, take } = recorder(waits);
    add("QUORUM", 5);
    waits.update(state({ commit: 5, durable: { 1: 3, 2: 5, 3: 5 } }));
    assert.deepEqual(take(), ["QUORUM 5 ok"]);
  });

  it("answers ALL only when committed and durable on the whole required set", () => {
    const waits = new AckWaits(1000);
    const { add, take } = recorder(waits);
    add("ALL", 5);
    add("ALL", 6);
    waits.update(state({ commit: 6, durable: { 1: 6, 2: 6, 3: 4 } }));
    assert.deepEqual(take(), []);
    waits.update(state({ commit: 4, durable: { 1: 6, 2: 6, 3: 6 } }));
    assert.deepEqual(take(), [], "durable everywhere is not yet committed");
    waits.update(state({ commit: 6, durable: { 1: 6, 2: 6, 3: 5 } }));
    assert.deepEqual(take(), ["ALL 5 ok"]);
  });

  it("does not acknowledge ALL for a required replica of which nothing is known", () => {
    const waits = new AckWaits(1000);
    const { add, take } = recorder(waits);
    add("ALL", 1);
    waits.update(state({ commit: 1, durable: { 1: 1, 2: 1 } }));
    assert.deepEqual(take(), []);
  });

  it("answers what a recorded shrink leaves satisfied, and nothing on a proposed one", () => {
    const waits = new AckWaits(1000);
    const { add, take } = recorder(waits);
    add("ALL", 5);
    waits.update(state({ commit: 5, durable: { 1: 5, 2: 5, 3: 1 } }));
    assert.deepEqual(take(), [], "the proposal to drop 3 changes neither the required set nor the count");
    waits.update(state({ commit: 5, durable: { 1: 5, 2: 5, 3: 1 }, required: [1, 2] }));
    assert.deepEqual(take(), ["ALL 5 ok"]);
  });

  it("ends every waiting ALL when a recorded shrink falls below the minimum, and no other level", () => {
    const waits = new AckWaits(1000);
    const { add, take } = recorder(waits);
    add("ALL", 5);
    add("QUORUM", 6);
    add("ALL", 7);
    waits.update(state({ commit: 5, durable: { 1: 7 }, required: [1] }));
    assert.deepEqual(take(), ["ALL 5 NOT_ENOUGH_REPLICAS_AFTER_APPEND", "ALL 7 NOT_ENOUGH_REPLICAS_AFTER_APPEND"]);
    assert.equal(waits.size, 1);
  });

  it("counts recorded members only: one that is merely proposed does not make up the minimum", () => {
    const waits = new AckWaits(1000);
    const { add, take } = recorder(waits);
    add("ALL", 5);
    waits.update(state({ commit: 5, durable: { 1: 5, 2: 5 }, required: [1, 2], isrSize: 1 }));
    assert.deepEqual(take(), ["ALL 5 NOT_ENOUGH_REPLICAS_AFTER_APPEND"]);
  });

  it("ends every wait LEADERSHIP_LOST when the role is lost", () => {
    const waits = new AckWaits(1000);
    const { add, take } = recorder(waits);
    add("LEADER", 7);
    add("QUORUM", 6);
    add("ALL", 5);
    waits.leadershipLost();
    assert.deepEqual(take().sort(), ["ALL 5 LEADERSHIP_LOST", "LEADER 7 LEADERSHIP_LOST", "QUORUM 6 LEADERSHIP_LOST"]);
    assert.equal(waits.size, 0);
  });

  it("answers a retried batch by the place of the original, at once when the level is met already", () => {
    const waits = new AckWaits(1000);
    const { add, take } = recorder(waits);
    add("QUORUM", 9);
    waits.update(state({ commit: 5, durable: {} }));
    add("QUORUM", 4);
    assert.deepEqual(take(), ["QUORUM 4 ok"]);
    add("QUORUM", 7);
    waits.update(state({ commit: 9, durable: {} }));
    assert.deepEqual(take(), ["QUORUM 7 ok", "QUORUM 9 ok"]);
  });

  it("keeps the bytes of a cancelled batch until it is committed", () => {
    const waits = new AckWaits(100);
    const { add, take } = recorder(waits);
    const wait = add("ALL", 5, 60);
    assert.equal(waits.admits(40), true);
    assert.equal(waits.admits(41), false);
    assert.equal(waits.cancel(wait), true);
    assert.equal(waits.cancel(wait), false);
    assert.equal(waits.pendingBytes, 60);
    waits.update(state({ commit: 5, durable: { 1: 5, 2: 5, 3: 5 } }));
    assert.deepEqual(take(), [], "nobody waits any more");
    assert.equal(waits.pendingBytes, 0);
  });

  it("gives the bytes of a lost leader's batches back when they are truncated or committed", () => {
    const waits = new AckWaits(1000);
    const { add } = recorder(waits);
    for (const index of [5, 6, 7]) add("QUORUM", index, 10);
    waits.leadershipLost();
    assert.equal(waits.pendingBytes, 30);
    waits.truncated(toLogIndex(6));
    assert.equal(waits.pendingBytes, 10);
    waits.committed(toLogIndex(5));
    assert.equal(waits.pendingBytes, 0);
  });

  it("stops the process when a leader with waits is told to truncate", () => {
    const waits = new AckWaits(1000);
    recorder(waits).add("QUORUM", 5);
    assert.throws(() => waits.truncated(toLogIndex(5)), InvariantViolated);
  });

  it("stays small under many cancelled waits that are committed but never durable on a stuck replica", () => {
    const waits = new AckWaits(1e9);
    const { add, take } = recorder(waits);
    const held = Array.from({ length: 5000 }, (_, at) => add("ALL", at + 1, 1));
    waits.update(state({ commit: 5000, durable: { 1: 5000, 2: 5000, 3: 0 } }));
    for (const [at, wait] of held.entries()) if (at % 7 !== 0) waits.cancel(wait);
    assert.equal(waits.size, 715);
    assert.equal(waits.pendingBytes, 715);
    waits.update(state({ commit: 5000, durable: { 1: 5000, 2: 5000, 3: 5000 } }));
    assert.equal(take().length, 715);
  });
});

/** The same rules, with nothing clever: a list, filtered each time. */
class NaiveWaits {
  waits: { id: number; level: WaitedLevel; index: number; bytes: number }[] = [];
  loose: { index: number; bytes: number }[] = [];
  commit = 0;
  answers: string[] = [];
  end(keep: (wait: { level: WaitedLevel; index: number }) => boolean, said: string): void {
    for (const wait of this.waits.filter((each) => !keep(each))) {
      this.answers.push(`${wait.id} ${said}`);
      this.loose.push(wait);
    }
    this.waits = this.waits.filter(keep);
    this.loose = this.loose.filter((each) => each.index > this.commit);
  }
  update(now: AckState): void {
    this.commit = Math.max(this.commit, now.commit);
    if (now.isrSize < now.minIsr) this.end((wait) => wait.level !== "ALL", "NOT_ENOUGH_REPLICAS_AFTER_APPEND");
    this.end((wait) => {
      if (wait.level === "LEADER") return wait.index > now.durableOwn;
      if (wait.level === "QUORUM") return wait.index > now.commit;
      return wait.index > now.commit || now.required.some((replica) => (now.durableOf(replica) ?? 0) < wait.index);
    }, "ok");
  }
  get pendingBytes(): number {
    return [...this.waits, ...this.loose].reduce((sum, each) => sum + each.bytes, 0);
  }
}

describe("AckWaits against a naive model", () => {
  const level = fc.constantFrom<WaitedLevel>("LEADER", "QUORUM", "ALL");
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ do: fc.constant("append" as const), level, bytes: fc.nat(9) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("retry" as const), level, back: fc.nat(8), bytes: fc.nat(9) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("cancel" as const), which: fc.nat(20) }) },
    { weight: 6, arbitrary: fc.record({ do: fc.constant("durable" as const), replica: fc.constantFrom(...replicas), by: fc.nat(4) }) },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constant("isr" as const), required: fc.subarray([2, 3]), isrSize: fc.integer({ min: 1, max: 3 }) }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("lost" as const), keep: fc.nat(5) }) },
  );

  it("gives the same answers, once each, and counts the same bytes", () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 5, maxLength: 80, size: "max" }), (steps) => {
        const waits = new AckWaits(1e9);
        const naive = new NaiveWaits();
        const answers: string[] = [];
        const handles = new Map<number, AckWait>();
        let last = 0;
        let commit = 0;
        let nextId = 1;
        const durable: Record<number, number> = { 1: 0, 2: 0, 3: 0 };
        let required = [1, 2, 3];
        let isrSize = 3;
        const now = () => state({ commit, durable: { ...durable }, required, isrSize });
        const add = (index: number, ofLevel: WaitedLevel, bytes: number) => {
          const id = nextId++;
          handles.set(
            id,
            waits.add(ofLevel, index as LogIndex, bytes, (failure) => answers.push(`${id} ${failure ?? "ok"}`)),
          );
          naive.waits.push({ id, level: ofLevel, index, bytes });
          naive.update(now());
        };
        waits.update(now());
        for (const each of steps) {
          if (each.do === "append") add(++last, each.level, each.bytes);
          else if (each.do === "retry") add(Math.max(1, last - each.back), each.level, each.bytes);
          else if (each.do === "cancel") {
            const [id, handle] = [...handles][each.which % Math.max(1, handles.size)] ?? [];
            if (id === undefined || handle === undefined) continue;
            const waiting = naive.waits.some((wait) => wait.id === id);
            assert.equal(waits.cancel(handle), waiting);
            const cancelled = naive.waits.filter((wait) => wait.id === id);
            naive.waits = naive.waits.filter((wait) => wait.id !== id);
            naive.loose.push(...cancelled.filter((wait) => wait.index > naive.commit));
          } else if (each.do === "durable") {
            durable[each.replica] = Math.min(last, (durable[each.replica] ?? 0) + each.by);
            commit = Math.max(commit, [...Object.values(durable)].sort((a, b) => a - b)[1] ?? 0);
            waits.update(now());
            naive.update(now());
          } else if (each.do === "isr") {
            required = [1, ...each.required];
            isrSize = each.isrSize;
            waits.update(now());
            naive.update(now());
          } else {
            waits.leadershipLost();
            naive.end(() => false, "LEADERSHIP_LOST");
            const cut = Math.max(commit, last - each.keep) + 1;
            waits.truncated(cut as LogIndex);
            naive.loose = naive.loose.filter((wait) => wait.index < cut);
            last = cut - 1;
            for (const replica of replicas) durable[replica] = Math.min(durable[replica] ?? 0, last);
            waits.update(now());
          }
          assert.deepEqual([...answers].sort(), [...naive.answers].sort());
          assert.equal(waits.size, naive.waits.length);
          assert.equal(waits.pendingBytes, naive.pendingBytes);
        }
        assert.equal(new Set(answers.map((answer) => answer.split(" ")[0])).size, answers.length, "each wait is answered once");
      }),
      { numRuns: 300 },
    );
  });
});
