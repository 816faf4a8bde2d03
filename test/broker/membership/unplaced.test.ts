import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MillraceError } from "../../../src/base/errors.ts";
import type { BrokerId, GroupId, Incarnation, LogIndex, ReplicaId, Term, TopicId } from "../../../src/base/ids.ts";
import { membersHere, Unplaced } from "../../../src/broker/membership/unplaced.ts";
import type { CommandOf } from "../../../src/cluster/commands.ts";
import { GroupMembers } from "../../../src/protocol/routing.ts";
import { World } from "../../../src/testing/sim/world.ts";

const GROUP = 7 as GroupId;
const HERE = 9 as ReplicaId;

type Says = { readonly term: number; readonly voters: readonly number[]; readonly learners?: readonly number[] };

/** Broker 3 has replica 9 of a group that the metadata places on brokers 1, 2 and 3, as replicas 1, 2 and 3. */
class Asked {
  readonly world = new World(5);
  readonly unplaced: Unplaced;
  /** What each broker answers; none: nothing comes back. */
  says = new Map<number, Says>();
  recorded: CommandOf<"adoptReplica">[] = [];
  refuses: MillraceError | undefined;
  looks = 0;
  /** Times broker 1 was asked. */
  questions = 0;
  failures: unknown[] = [];
  /** Instead of what broker 3 says. */
  here: (() => Promise<GroupMembers | undefined>) | undefined;
  #verdict = false;

  constructor() {
    const { clock } = this.world.machine("b3").boot();
    const encoded = (broker: number): GroupMembers | undefined => {
      const said = this.says.get(broker);
      return said === undefined ? undefined : { term: said.term, voters: [...said.voters], learners: [...(said.learners ?? [])] };
    };
    this.unplaced = new Unplaced({
      self: 3 as BrokerId,
      incarnation: "disk-3" as Incarnation,
      clock,
      telemetry: { log() {}, count() {}, observe() {} },
      links: {
        call: (broker, _method, _body, timeoutMs, done) => {
          const said = encoded(broker);
          if (broker === 1) this.questions += 1;
          if (said !== undefined) clock.soon(() => done({ body: GroupMembers.encode(said) }));
          // A broker that leads nothing answers so at once; broker 2 is cut off.
          else if (broker !== 2) clock.soon(() => done({ body: new Uint8Array() }));
          else clock.after(timeoutMs, () => done({ error: new MillraceError("LEADER_UNKNOWN", "it cannot be reached") }));
          return () => {};
        },
      },
      membersHere: (): Promise<GroupMembers | undefined> => this.here?.() ?? Promise.resolve(encoded(3)),
      submit: async (command) => {
        if (command.kind === "adoptReplica") this.recorded.push(command);
        if (this.refuses !== undefined) throw this.refuses;
      },
      again: () => {
        this.looks += 1;
        this.#verdict = this.look();
      },
      failed: (error) => this.failures.push(error),
    });
  }

  look(placed: readonly number[] = [1, 2, 3]): boolean {
    const at = (id: number) => ({ brokerId: Math.min(3, id) as BrokerId, replicaId: id as ReplicaId });
    const replicas = placed.map((id) => ({ ...at(id), incarnation: `disk-${id}` as Incarnation }));
    const image = { topicId: "t" as TopicId, partition: 0, groupId: GROUP, replicas, isr: [], isrVersion: 1, claim: undefined };
    return this.unplaced.outlived(image, { id: HERE, members: { all: [1, 2, 9].map(at) } });
  }

  /** What comes of looking and asking, as often as it wants to. */
  async answer(): Promise<boolean> {
    const { questions } = this;
    this.#verdict = this.look();
    await this.world.scheduler.run(this.world.now + 12_000);
    assert.deepEqual(this.failures, []);
    assert.ok(this.questions > questions, "it is asked again by itself");
    assert.equal(this.looks, this.#verdict ? 1 : 0, "the disk is looked at when it is decided, and not before");
    return this.#verdict;
  }
}

describe("A replica on this disk that the metadata does not place", () => {
  it("belongs to nobody when the leader says that it is no member, for good, and nothing is asked any more", async () => {
    const asked = new Asked();
    asked.says.set(1, { term: 4, voters: [1, 2, 10] });
    assert.equal(await asked.answer(), true);
    asked.says.set(1, { term: 5, voters: [1, 2, 9] });
    await asked.world.scheduler.run(asked.world.now + 12_000);
    assert.deepEqual([asked.look(), asked.looks, asked.recorded], [true, 1, []]);
  });

  it("stays while nobody says that he leads, and while it only learns", async () => {
    const asked = new Asked();
    assert.equal(await asked.answer(), false);
    asked.says.set(1, { term: 4, voters: [1, 2, 3], learners: [9] });
    assert.equal(await asked.answer(), false);
    assert.deepEqual(asked.recorded, []);
    asked.says.set(1, { term: 4, voters: [1, 2, 3], learners: [10] });
    assert.equal(await asked.answer(), true);
  });

  it("stays when it votes, and the metadata is told of it in the leader's term until it places it", async () => {
    const asked = new Asked();
    asked.says.set(1, { term: 4, voters: [1, 2, 9] });
    asked.refuses = new MillraceError("STALE_VERSION", "term 5 has claimed the partition");
    assert.equal(await asked.answer(), false);
    asked.says.set(1, { term: 5, voters: [1, 2, 9] });
    asked.refuses = undefined;
    assert.equal(await asked.answer(), false);
    const command = { kind: "adoptReplica", groupId: GROUP, replicaId: HERE, brokerId: 3, incarnation: "disk-3" };
    assert.deepEqual(asked.recorded[0], { ...command, term: 4 as Term });
    assert.deepEqual(asked.recorded.at(-1), { ...command, term: 5 as Term });
    assert.equal(asked.look([1, 2, 9]), false);
  });

  it("stays when it leads itself", async () => {
    const asked = new Asked();
    asked.says.set(3, { term: 6, voters: [1, 2, 9] });
    assert.equal(await asked.answer(), false);
    assert.equal(asked.recorded[0]?.term, 6);
  });

  it("is asked for ever less often while nothing is decided, and no more when it is not here any longer", async () => {
    const asked = new Asked();
    asked.look();
    const minute = async (): Promise<number> => {
      const before = asked.questions;
      await asked.world.scheduler.run(asked.world.now + 60_000);
      return asked.questions - before;
    };
    const [first, second] = [await minute(), await minute()];
    assert.ok(second <= first && second >= 8 && second <= 12, `${first} questions in the first minute, ${second} in the second`);
    asked.unplaced.only(new Set([8 as GroupId]));
    assert.equal(await minute(), 0);
    assert.equal(asked.look(), false);
    assert.ok((await minute()) > 0, "it is here again");
  });

  it("does not wait for a leader on its own broker that never answers", async () => {
    const asked = new Asked();
    asked.here = () => new Promise(() => {});
    asked.says.set(1, { term: 4, voters: [1, 2, 10] });
    assert.equal(await asked.answer(), true);
  });

  it("is judged by the later one of two leaders, whichever way they differ", async () => {
    for (const [late, early] of [
      [1, 3],
      [3, 1],
    ] as const) {
      const asked = new Asked();
      asked.says.set(early, { term: 4, voters: [1, 2, 3] });
      asked.says.set(late, { term: 5, voters: [1, 2, 9] });
      assert.equal(await asked.answer(), false);
      assert.equal(asked.recorded.at(-1)?.term, 5);
      asked.says.set(early, { term: 5, voters: [1, 2, 9] });
      asked.says.set(late, { term: 6, voters: [1, 2, 10] });
      assert.equal(await asked.answer(), true);
    }
  });
});

describe("A leader that is asked who the members of its group are", () => {
  const id = (n: number): ReplicaId => n as ReplicaId;

  /** It leads in term 5; its configuration stands at 8. */
  function leader(over: { readonly commit?: number; readonly old?: readonly ReplicaId[] } = {}) {
    const { commit = 8, old } = over;
    const configuration = { voters: [id(1), id(2)], learners: [id(9)], ...(old === undefined ? {} : { old }) };
    return { serves: true, core: { term: 5 as Term, commit: commit as LogIndex, configuration, configurationIndex: 8 as LogIndex } };
  }
  const followed = (done: (index: LogIndex | undefined) => void): void => done(8 as LogIndex);

  it("says so when a quorum has followed it since", async () => {
    assert.deepEqual(await membersHere(leader(), followed), { term: 5, voters: [1, 2], learners: [9] });
  });

  it("says nothing when nobody follows it, it led in another term, or its members are changing", async () => {
    assert.equal(await membersHere({ ...leader(), serves: false }, followed), undefined);
    assert.equal(await membersHere(leader(), (done) => done(undefined)), undefined);
    assert.equal(await membersHere(leader({ commit: 7 }), followed), undefined);
    assert.equal(await membersHere(leader({ old: [id(1), id(2), id(3)] }), followed), undefined);
    const again = leader();
    const elected = (done: (index: LogIndex | undefined) => void): void => {
      again.core.term = 6 as Term;
      done(8 as LogIndex);
    };
    assert.equal(await membersHere(again, elected), undefined);
  });
});
