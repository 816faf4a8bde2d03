import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MillraceError } from "../../../src/base/errors.ts";
import { GroupCore } from "../../../src/client/group/core.ts";
import type { GroupEffect, GroupInput } from "../../../src/client/group/steps.ts";
import type { Tenure } from "../../../src/client/group/tenure.ts";

const partitions = (...numbers: readonly number[]) => numbers.map((partition) => ({ topic: "t", topicId: "id", partition }));

/** A core, and what it said in words. */
class Told {
  readonly core = new GroupCore();
  readonly effects: GroupEffect[] = [];

  step(...inputs: readonly GroupInput[]): string[] {
    const words: string[] = [];
    for (const input of inputs) {
      this.core.step(input);
      for (const effect of this.core.drain()) {
        this.effects.push(effect);
        words.push(wordsOf(effect));
      }
    }
    return words;
  }

  tenure(partition: number): Tenure {
    const tenure = [...this.core.tenures].find((each) => each.partition === partition);
    assert.ok(tenure !== undefined);
    return tenure;
  }

  /** Joined, and at work on these from offset 0 on. */
  static at(...numbers: readonly number[]): Told {
    const told = new Told();
    told.step({ kind: "join" }, { kind: "heard", life: 1, memberEpoch: 1, assignment: partitions(...numbers) });
    for (const { id: tenure } of told.core.tenures)
      told.step({ kind: "located", tenure, offset: 0, term: undefined, committed: false, keep: false }, { kind: "took", tenure });
    return told;
  }
}

function wordsOf(effect: GroupEffect): string {
  const of = (tenures: readonly { readonly partition: number }[]): string => tenures.map(({ partition }) => partition).join();
  switch (effect.kind) {
    case "beat":
      return `beat ${effect.memberEpoch}: ${of(effect.owned)}`;
    case "assigned":
    case "revoked":
    case "lost":
      return `${effect.kind} ${of(effect.tenures)}`;
    case "begin":
      return `begin ${effect.tenure.partition} at ${effect.offset}`;
    case "halt":
      return `halt ${effect.tenure.partition} ${effect.cause}`;
    case "commit":
      return `commit ${effect.id} at ${effect.memberEpoch}: ${effect.positions.map(({ partition, offset }) => `${partition}:${offset}`).join()}`;
    case "commitRefused":
      return `commitRefused ${of(effect.positions)} ${effect.error.code}`;
    case "failed":
      return `failed ${effect.error.code}`;
    default:
      return effect.kind;
  }
}

const taken = { kind: "taken", refused: [] } as const;

describe("GroupCore", () => {
  it("says that a partition is not held only after its handler has ended, the application knows, and the commit is taken", () => {
    const told = Told.at(0, 1);
    const { id: tenure } = told.tenure(0);
    assert.deepEqual(told.step({ kind: "heard", life: 1, memberEpoch: 2, assignment: partitions(1) }), ["halt 0 revoked", "beat 2: 0,1"]);
    assert.deepEqual(told.step({ kind: "commitDue" }, { kind: "processed", tenure, offset: 0 }), []);
    assert.deepEqual(told.step({ kind: "idle", tenure }), ["revoked 0"]);
    assert.deepEqual(told.step({ kind: "told", tenures: [tenure] }), ["commit 1 at 2: 0:1"]);
    const unknown = { kind: "unknown", error: new MillraceError("CONNECTION_LOST", "lost") } as const;
    assert.deepEqual(told.step({ kind: "commitAnswered", id: 1, outcome: unknown }), [], "it may be taken or not");
    assert.deepEqual(told.step({ kind: "commitDue" }), ["commit 2 at 2: 0:1"], "the same offsets again, when it is time");
    assert.deepEqual(told.step({ kind: "commitAnswered", id: 2, outcome: taken }), ["beat 2: 1"]);
  });

  it("gives everything up at once when it is fenced, has a late commit refused by name, and joins as another life", () => {
    const told = Told.at(0, 1);
    const [zero, one] = [told.tenure(0).id, told.tenure(1).id];
    const error = new MillraceError("MEMBER_FENCED", "fenced");
    told.step({ kind: "processed", tenure: zero, offset: 0 });
    assert.deepEqual(told.step({ kind: "refused", life: 1, error }), [
      "halt 0 lost",
      "halt 1 lost",
      "commit 1 at 1: 0:1",
      "lost 0,1",
      "again",
    ]);
    assert.deepEqual(told.step({ kind: "join" }), ["beat 0: "]);
    assert.deepEqual(told.step({ kind: "commitAnswered", id: 1, outcome: { kind: "refused", error } }), ["commitRefused 0 MEMBER_FENCED"]);
    const late = told.step(
      { kind: "processed", tenure: one, offset: 0 },
      { kind: "idle", tenure: one },
      { kind: "heard", life: 1, memberEpoch: 9, assignment: partitions(0, 1) },
      { kind: "refused", life: 1, error },
    );
    assert.deepEqual(late, [], "what belongs to the former life changes nothing");
    assert.deepEqual(told.step({ kind: "heard", life: 2, memberEpoch: 5, assignment: partitions(1) }), ["assigned 1", "beat 5: 1"]);
  });

  it("takes a partition of a topic made anew only when that of the former one is given back, whose name it has", () => {
    const told = Told.at(0, 1);
    const [former, kept] = partitions(0, 1);
    assert.ok(former !== undefined && kept !== undefined);
    const tenure = told.tenure(0);
    const anew = { ...former, topicId: "new" };
    assert.deepEqual(told.step({ kind: "heard", life: 1, memberEpoch: 2, assignment: [anew, kept] }), ["halt 0 revoked", "beat 2: 0,1"]);
    assert.deepEqual(told.step({ kind: "idle", tenure: tenure.id }), ["revoked 0"]);
    assert.deepEqual(told.step({ kind: "told", tenures: [tenure.id] }), ["assigned 0", "beat 2: 1,0"]);
    assert.equal(told.tenure(0).topicId, "new");

    // Told of another assignment meanwhile, it waits for nothing that is not given to it any more.
    const other = Told.at(0);
    other.step({ kind: "heard", life: 1, memberEpoch: 2, assignment: [anew] }, { kind: "heard", life: 1, memberEpoch: 3, assignment: [] });
    other.step({ kind: "idle", tenure: other.tenure(0).id });
    assert.deepEqual(other.step({ kind: "told", tenures: [other.tenure(0).id] }), ["beat 3: "]);
  });

  it("does not say that a partition is lost which it has said to be given back", () => {
    const told = Told.at(0, 1);
    const { id: tenure } = told.tenure(0);
    const asked = { kind: "heard", life: 1, memberEpoch: 2, assignment: partitions(1) } as const;
    assert.deepEqual(told.step(asked, { kind: "idle", tenure }), ["halt 0 revoked", "beat 2: 0,1", "revoked 0"]);
    const error = new MillraceError("UNKNOWN_MEMBER", "gone");
    assert.deepEqual(told.step({ kind: "refused", life: 1, error }), ["halt 1 lost", "lost 1", "again"]);
  });

  it("takes a refused commit for the news that it is not a member any more, and does not send it again", () => {
    const told = Told.at(0);
    told.step({ kind: "processed", tenure: told.tenure(0).id, offset: 0 });
    assert.deepEqual(told.step({ kind: "commitDue" }), ["commit 1 at 1: 0:1"]);
    const outcome = { kind: "refused", error: new MillraceError("UNKNOWN_MEMBER", "gone") } as const;
    assert.deepEqual(told.step({ kind: "commitAnswered", id: 1, outcome }), [
      "commitRefused 0 UNKNOWN_MEMBER",
      "halt 0 lost",
      "lost 0",
      "again",
    ]);
  });

  it("takes a commit that is behind its own later one for taken, and one behind another's for refused", () => {
    const told = Told.at(0, 1);
    for (const number of [0, 1]) {
      told.step({ kind: "processed", tenure: told.tenure(number).id, offset: 0 });
      told.step({ kind: "processed", tenure: told.tenure(number).id, offset: 1 });
    }
    told.step({ kind: "commitDue" });
    const behind = (at: number, committed: number) => ({
      at,
      error: new MillraceError("COMMIT_BEHIND", "behind", { committed_offset: String(committed) }),
    });
    const outcome = { kind: "taken", refused: [behind(0, 2), behind(1, 7)] } as const;
    assert.deepEqual(told.step({ kind: "commitAnswered", id: 1, outcome }), ["commitRefused 1 COMMIT_BEHIND"]);
    assert.deepEqual(told.step({ kind: "commitDue" }), []);
  });

  it("leaves when all is given back, whatever it is told to hold meanwhile", () => {
    const told = Told.at(0);
    const { id: tenure } = told.tenure(0);
    assert.deepEqual(told.step({ kind: "close" }), ["halt 0 closed"]);
    assert.deepEqual(told.step({ kind: "heard", life: 1, memberEpoch: 2, assignment: partitions(0, 1) }), ["beat 2: 0"]);
    assert.deepEqual(told.step({ kind: "idle", tenure }), ["revoked 0"]);
    assert.deepEqual(told.step({ kind: "told", tenures: [tenure] }), ["leave", "left"]);
  });

  it("gives up a stuck partition by leaving: it gives back the others first, and does not wait for that one", () => {
    const told = Told.at(0, 1);
    const [stuck, other] = [told.tenure(0).id, told.tenure(1).id];
    const error = new MillraceError("HANDLER_TIMED_OUT", "too long");
    told.step({ kind: "processed", tenure: stuck, offset: 0 });
    const steps = ["halt 0 lost", "commit 1 at 1: 0:1", "lost 0", "halt 1 revoked"];
    assert.deepEqual(told.step({ kind: "giveUp", tenure: stuck, error }), steps, "what it had done before is committed");
    assert.deepEqual(told.step({ kind: "idle", tenure: other }), ["revoked 1"]);
    assert.deepEqual(told.step({ kind: "told", tenures: [other] }), ["leave", "begins"]);
    assert.ok(
      told.effects.some((effect) => effect.kind === "leave" && effect.forGood),
      "or a static member would have it back",
    );
    assert.deepEqual(told.step({ kind: "join" }), ["beat 0: "]);
  });

  describe("whose commit lies beyond what its log holds", () => {
    const beyond = (highWatermark: number) =>
      ({ kind: "taken", refused: [{ at: 0, error: new MillraceError("OFFSET_OUT_OF_RANGE", `the end is ${highWatermark}`) }] }) as const;

    it("commits it again when it is due, and tells it once: a new leader may not know its end yet", () => {
      const told = Told.at(0);
      const { id: tenure } = told.tenure(0);
      told.step({ kind: "processed", tenure, offset: 0 });
      assert.deepEqual(told.step({ kind: "commitDue" }), ["commit 1 at 1: 0:1"]);
      assert.deepEqual(told.step({ kind: "commitAnswered", id: 1, outcome: beyond(0) }), ["commitRefused 0 OFFSET_OUT_OF_RANGE"]);
      assert.deepEqual(told.step({ kind: "commitDue" }), ["commit 2 at 1: 0:1"]);
      assert.deepEqual(told.step({ kind: "commitAnswered", id: 2, outcome: beyond(0) }), []);
      assert.deepEqual(told.step({ kind: "commitDue" }), ["commit 3 at 1: 0:1"]);
      assert.deepEqual(told.step({ kind: "commitAnswered", id: 3, outcome: taken }), []);
      assert.equal(told.tenure(0).committed, 1);
    });

    it("commits on where the log is, once it was moved there", () => {
      const told = new Told();
      told.step({ kind: "join" }, { kind: "heard", life: 1, memberEpoch: 1, assignment: partitions(0) });
      const { id: tenure } = told.tenure(0);
      told.step({ kind: "located", tenure, offset: 90, term: 3, committed: true, keep: false }, { kind: "took", tenure });
      for (let offset = 90; offset < 100; offset++) told.step({ kind: "processed", tenure, offset });
      assert.deepEqual(told.step({ kind: "idle", tenure }, { kind: "commitDue" }), ["commit 1 at 1: 0:100"]);
      told.step({ kind: "commitAnswered", id: 1, outcome: beyond(80) });
      assert.deepEqual(told.step({ kind: "moved", tenure, offset: 80, term: undefined }), ["begin 0 at 80"]);
      assert.deepEqual(told.step({ kind: "commitDue" }), ["commit 2 at 1: 0:80"]);
      told.step({ kind: "commitAnswered", id: 2, outcome: taken }, { kind: "took", tenure }, { kind: "processed", tenure, offset: 80 });
      assert.deepEqual(told.step({ kind: "commitDue" }), ["commit 3 at 1: 0:81"]);
    });

    it("commits with the term of the last record that is done with, as far as it knows", () => {
      const told = new Told();
      told.step({ kind: "join" }, { kind: "heard", life: 1, memberEpoch: 1, assignment: partitions(0) });
      const { id: tenure } = told.tenure(0);
      told.step({ kind: "located", tenure, offset: 90, term: 3, committed: true, keep: false });
      assert.deepEqual(
        told.effects.findLast(({ kind }) => kind === "begin"),
        { kind: "begin", tenure: told.tenure(0), offset: 90, term: 3 },
      );
      const commit = (): unknown => {
        const [position] = told.effects.flatMap((effect) => (effect.kind === "commit" ? [effect.positions[0]] : [])).slice(-1);
        return [position?.offset, position?.term];
      };
      let id = 0;
      const due = (): unknown => {
        told.step({ kind: "commitDue" });
        const sent = commit();
        told.step({ kind: "commitAnswered", id: ++id, outcome: taken });
        return sent;
      };
      told.step({ kind: "took", tenure }, { kind: "entered", tenure, offset: 90, term: 3 });
      for (let offset = 90; offset < 95; offset++) told.step({ kind: "processed", tenure, offset });
      // The record in hand is of a later term already, and what is committed is what was before it.
      told.step({ kind: "entered", tenure, offset: 95, term: 5 });
      assert.deepEqual(due(), [95, 3]);
      // A handler that commits what it has in hand.
      told.step({ kind: "want", tenure, offset: 96 });
      assert.deepEqual(due(), [96, 5]);
      told.step({ kind: "processed", tenure, offset: 95 }, { kind: "processed", tenure, offset: 96 });
      assert.deepEqual(due(), [97, 5]);
      // Elsewhere nothing is known of what is before.
      told.step({ kind: "idle", tenure }, { kind: "moved", tenure, offset: 40, term: undefined });
      assert.deepEqual(commit(), [40, undefined]);
      told.step({ kind: "commitAnswered", id: ++id, outcome: taken });
      told.step({ kind: "took", tenure }, { kind: "entered", tenure, offset: 40, term: 4 }, { kind: "processed", tenure, offset: 40 });
      assert.deepEqual(due(), [41, 4]);
    });

    it("commits the place it was moved to also when it has the offset of what is committed: its term is another", () => {
      const told = new Told();
      told.step({ kind: "join" }, { kind: "heard", life: 1, memberEpoch: 1, assignment: partitions(0) });
      const { id: tenure } = told.tenure(0);
      told.step({ kind: "located", tenure, offset: 10, term: 5, committed: true, keep: false });
      assert.deepEqual(told.step({ kind: "moved", tenure, offset: 10, term: 7 }), ["begin 0 at 10", "commit 1 at 1: 0:10"]);
      const [position] = told.effects.flatMap((effect) => (effect.kind === "commit" ? [effect.positions[0]] : [])).slice(-1);
      assert.equal(position?.term, 7);
    });

    it("commits on where it was moved also when nothing of it could be committed before", () => {
      const told = Told.at(0);
      const { id: tenure } = told.tenure(0);
      told.step({ kind: "processed", tenure, offset: 0 }, { kind: "commitDue" });
      const gone = { kind: "taken", refused: [{ at: 0, error: new MillraceError("UNKNOWN_PARTITION", "gone") }] } as const;
      assert.deepEqual(told.step({ kind: "commitAnswered", id: 1, outcome: gone }), ["commitRefused 0 UNKNOWN_PARTITION"]);
      assert.deepEqual(told.step({ kind: "commitDue" }), [], "it would come again");
      assert.deepEqual(told.step({ kind: "idle", tenure }, { kind: "moved", tenure, offset: 0, term: undefined }), [
        "begin 0 at 0",
        "commit 2 at 1: 0:0",
      ]);
    });

    it("gives it back all the same", () => {
      const told = Told.at(0, 1);
      const { id: tenure } = told.tenure(0);
      told.step({ kind: "processed", tenure, offset: 0 }, { kind: "idle", tenure }, { kind: "commitDue" });
      told.step({ kind: "commitAnswered", id: 1, outcome: beyond(0) });
      told.step({ kind: "heard", life: 1, memberEpoch: 2, assignment: partitions(1) });
      assert.deepEqual(told.step({ kind: "told", tenures: [tenure] }, { kind: "commitDue" }), ["commit 2 at 2: 0:1"]);
      assert.deepEqual(told.step({ kind: "commitAnswered", id: 2, outcome: beyond(0) }), ["beat 2: 1"]);
    });
  });
});
