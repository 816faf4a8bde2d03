import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type ClusterId, toBrokerId } from "../../src/base/ids.ts";
import { InvariantViolated } from "../../src/base/invariant.ts";
import { type Belonging, Formation } from "../../src/cluster/formation.ts";
import {
  decideFormation,
  Form,
  type FormationSelf,
  refuseForeign,
  refuseOtherVoters,
  refuseSeeds,
  type Seed,
  type SeedAnswer,
  seedList,
} from "../../src/cluster/formation-rules.ts";
import { CLUSTER, disk } from "./cluster-fixture.ts";

const seeds: readonly Seed[] = [1, 2, 3].map((id) => ({ id: toBrokerId(id), address: `h${id}:7401` }));
const self = (id: number, life = 1): FormationSelf => ({ brokerId: toBrokerId(id), incarnation: disk(id, life), seeds });
const empty = (id: number, list = seeds): SeedAnswer => ({ kind: "empty", incarnation: disk(id), seeds: list });
const answers = (...given: [id: number, answer: SeedAnswer][]) => new Map(given.map(([id, answer]) => [toBrokerId(id), answer]));
const form: Form = {
  clusterId: CLUSTER,
  seeds: seeds.map(({ id, address }, at) => ({
    brokerId: id,
    incarnation: disk(id),
    replicaId: (at + 1) as Form["seeds"][number]["replicaId"],
    peerAddress: address,
  })),
};
const belongs: SeedAnswer = { kind: "belongs", clusterId: CLUSTER, form };

describe("A directory that belongs to a cluster", () => {
  const says = (id: number, clusterId: string) => ({ id: toBrokerId(id), address: `h${id}:7401`, clusterId });

  it("is refused where a majority of the seeds belongs to one other cluster, and by nothing less", () => {
    const refused = (of: number, ...given: Parameters<typeof refuseForeign>[3][number][]) => refuseForeign("/d", CLUSTER, of, given)?.code;
    assert.equal(refused(3, says(1, "other"), says(2, "other")), "WRONG_CLUSTER");
    assert.equal(refused(1, says(1, "other")), "WRONG_CLUSTER");
    assert.equal(refused(5, says(1, "other"), says(2, "other"), says(3, "other")), "WRONG_CLUSTER");
    assert.equal(refused(5, says(1, "other"), says(2, "other")), undefined);
    assert.equal(refused(3, says(1, "other")), undefined);
    assert.equal(refused(3, says(1, "other"), says(2, "third")), undefined);
    assert.equal(refused(3, says(1, ""), says(2, "")), undefined);
    assert.equal(refused(3, says(1, CLUSTER), says(2, CLUSTER)), undefined);
    assert.equal(refused(3), undefined);
  });

  it("starts with the seeds it was formed with, at whatever addresses, and with no others", () => {
    assert.equal(refuseOtherVoters(form, seeds), undefined);
    assert.equal(refuseOtherVoters(form, [...seeds].reverse()), undefined);
    assert.equal(
      refuseOtherVoters(
        form,
        seeds.map(({ id }) => ({ id, address: `moved${id}:1` })),
      ),
      undefined,
    );
    assert.equal(refuseOtherVoters(form, seeds.slice(0, 1))?.code, "INVALID_CONFIG");
    assert.equal(refuseOtherVoters(form, [...seeds.slice(0, 2), { id: toBrokerId(4), address: "h3:7401" }])?.code, "INVALID_CONFIG");
  });
});

describe("decideFormation", () => {
  it("forms at the lowest seed, when every other one answered empty with the same list, naming the disks that answered", () => {
    const step = decideFormation(self(1), answers([2, empty(2)], [3, empty(3, [...seeds].reverse())]));
    assert.deepEqual(step, { kind: "form", seeds: form.seeds });
  });

  it("forms a cluster of one at once", () => {
    const alone = { ...self(7), seeds: [{ id: toBrokerId(7), address: "h7:1" }] };
    assert.equal(decideFormation(alone, new Map()).kind, "form");
  });

  it("waits at the lowest seed for everyone, and at the others for the lowest", () => {
    assert.deepEqual(decideFormation(self(1), answers([2, empty(2)])), { kind: "wait", for: [3] });
    assert.deepEqual(decideFormation(self(1), answers([2, empty(2)], [3, { kind: "unreachable" }])), { kind: "wait", for: [3] });
    assert.deepEqual(decideFormation(self(2), answers([1, empty(1)], [3, empty(3)])), { kind: "wait", for: [1] });
  });

  it("takes the Form late when it names this very disk, also from another than the lowest", () => {
    assert.deepEqual(decideFormation(self(2), answers([3, belongs])), { kind: "take", form, replicaId: 2 });
  });

  it("joins as a new disk when some seed belongs to a cluster that does not name this one", () => {
    assert.deepEqual(decideFormation(self(1, 2), answers([2, belongs], [3, empty(3)])), { kind: "join", clusterId: CLUSTER });
    assert.deepEqual(decideFormation(self(2), answers([3, { ...belongs, form: undefined }])), { kind: "join", clusterId: CLUSTER });
  });

  it("refuses different seed lists, two clusters, two disks of one id, and two seeds on one disk", () => {
    const code = (step: ReturnType<typeof decideFormation>) => (step.kind === "refuse" ? step.error.code : step.kind);
    assert.equal(code(decideFormation(self(1), answers([2, empty(2, seeds.slice(0, 1))]))), "INVALID_CONFIG");
    const other: SeedAnswer = { kind: "belongs", clusterId: "other" as ClusterId, form: undefined };
    assert.equal(code(decideFormation(self(1), answers([2, belongs], [3, other]))), "WRONG_CLUSTER");
    assert.equal(code(decideFormation(self(1), answers([1, { ...empty(1), incarnation: disk(1, 2) } as SeedAnswer]))), "DUPLICATE_BROKER");
    assert.equal(code(decideFormation(self(1), answers([2, empty(2)], [3, empty(2)]))), "DUPLICATE_BROKER");
  });

  it("is for seeds only", () => {
    assert.throws(() => decideFormation({ ...self(4) }, new Map()), InvariantViolated);
  });
});

describe("a seed list", () => {
  it("has 1, 3 or 5 members with distinct ids and addresses", () => {
    const list = (...ids: number[]): Seed[] => ids.map((id) => ({ id: toBrokerId(id), address: `h${id}:1` }));
    for (const good of [list(1), list(1, 2, 3), list(5, 4, 3, 2, 1)]) assert.equal(refuseSeeds(good), undefined);
    for (const bad of [list(), list(1, 2), list(1, 1, 2), [...list(1, 2), { id: toBrokerId(3), address: "h1:1" }]]) {
      assert.equal(refuseSeeds(bad)?.code, "INVALID_CONFIG");
    }
    assert.equal(seedList(list(3, 1)), seedList(list(1, 3)));
  });
});

describe("Formation", () => {
  const unformed = (id: number) => new Formation(self(id), undefined);

  it("takes a Form that the lowest seed sends after it asked, and then knows it", () => {
    const seed = unformed(2);
    assert.deepEqual(seed.offered(form), { kind: "ask" }, "nobody asked this process");
    assert.equal(seed.asked(toBrokerId(1), disk(1))?.kind, "empty");
    assert.deepEqual(seed.offered(form), { kind: "take", form, replicaId: 2 });
    assert.equal(seed.asked(toBrokerId(3), disk(3)), undefined, "nothing is said before it is durable");
    assert.equal(seed.step().kind, "wait");
    seed.persisted({ clusterId: CLUSTER, form });
    assert.deepEqual(seed.offered(form), { kind: "taken" });
    assert.deepEqual(seed.asked(toBrokerId(3), disk(3)), belongs);
  });

  it("refuses every other cluster's Form for ever", () => {
    const seed = new Formation(self(2), { clusterId: CLUSTER, form });
    const step = seed.offered({ ...form, clusterId: "other" as ClusterId });
    assert.equal(step.kind === "refuse" && step.error.code, "WRONG_CLUSTER");
    assert.equal(seed.step().kind, "wait");
    assert.throws(() => seed.persisted({ clusterId: "other" as ClusterId, form: undefined }), InvariantViolated);
  });

  it("takes no sent Form once two disks of the lowest id have asked", () => {
    const seed = unformed(2);
    seed.asked(toBrokerId(1), disk(1));
    seed.asked(toBrokerId(1), disk(1, 2));
    assert.deepEqual(seed.offered(form), { kind: "ask" });
  });

  it("takes no sent Form that names another disk under its id", () => {
    const seed = new Formation(self(2, 2), undefined);
    seed.asked(toBrokerId(1), disk(1));
    assert.deepEqual(seed.offered(form), { kind: "ask" });
    assert.equal(seed.asked(toBrokerId(3), disk(3))?.kind, "empty", "and goes on");
  });

  it("forgets the answers of its round when the lowest seed asks", () => {
    const seed = unformed(2);
    const round = seed.startRound();
    seed.answered(round, toBrokerId(3), belongs);
    seed.asked(toBrokerId(1), disk(1));
    assert.equal(seed.step().kind, "wait");
    seed.answered(round, toBrokerId(3), belongs);
    assert.equal(seed.step().kind, "wait", "an answer of an older round does not count");
  });

  it("does not take a Form with another seed list", () => {
    const seed = unformed(2);
    seed.asked(toBrokerId(1), disk(1));
    const step = seed.offered({ ...form, seeds: form.seeds.slice(0, 2) });
    assert.equal(step.kind === "refuse" && step.error.code, "INVALID_CONFIG");
  });

  it("keeps a Form as bytes", () => {
    assert.deepEqual(Form.decode(Form.encode(form)), form);
  });
});

/**
 * Directories, processes and messages of three seeds. A process may crash at any moment, also between a decision and its being
 * durable; a disk may be lost; a message is delivered late, twice or never, but only to the process it was sent to (one connection).
 */
class World {
  readonly disks = new Map<number, { life: number; belonging: Belonging | undefined }>();
  readonly processes = new Map<number, { core: Formation; token: number; pending: Belonging | undefined }>();
  readonly messages: { readonly to: number; readonly token: number; readonly deliver: () => void }[] = [];
  readonly drawn: ClusterId[] = [];
  /** Belonging of each directory ever, by incarnation. */
  readonly given = new Map<string, string>();
  #tokens = 0;
  #lives = 0;

  start(id: number): void {
    if (this.processes.has(id)) return;
    const directory = this.disks.get(id) ?? { life: ++this.#lives, belonging: undefined };
    this.disks.set(id, directory);
    this.processes.set(id, {
      core: new Formation(self(id, directory.life), directory.belonging),
      token: ++this.#tokens,
      pending: undefined,
    });
  }

  crash(id: number): void {
    this.processes.delete(id);
  }

  lose(id: number): void {
    this.crash(id);
    this.disks.delete(id);
  }

  send(to: number, run: (receiver: Formation) => void): void {
    const token = this.processes.get(to)?.token;
    if (token === undefined) return;
    const deliver = () => {
      const now = this.processes.get(to);
      if (now?.token === token) run(now.core);
    };
    this.messages.push({ to, token, deliver });
  }

  askAll(id: number): void {
    const asker = this.processes.get(id);
    const life = this.disks.get(id)?.life;
    if (asker === undefined || life === undefined || asker.core.belonging !== undefined) return;
    const round = asker.core.startRound();
    for (const other of [1, 2, 3].filter((each) => each !== id)) {
      this.send(other, (receiver) => {
        const answer = receiver.asked(toBrokerId(id), disk(id, life));
        // The way back is the same connection: it leads to the asking process or nowhere.
        if (answer !== undefined && this.processes.get(id)?.token === asker.token) {
          this.send(id, (core) => core.answered(round, toBrokerId(other), answer));
        }
      });
    }
  }

  step(id: number): void {
    const process = this.processes.get(id);
    if (process === undefined) return;
    const step = process.core.step();
    assert.notEqual(step.kind, "refuse", step.kind === "refuse" ? step.error.message : "");
    if (step.kind === "join") process.pending = { clusterId: step.clusterId, form: undefined };
    else if (step.kind === "take") process.pending = { clusterId: step.form.clusterId, form: step.form };
    else if (step.kind === "form") {
      const living = [...this.disks.values()].filter(({ belonging }) => belonging !== undefined);
      assert.equal(living.length, 0, "a cluster is drawn only when no directory belongs to one");
      const clusterId = `cluster ${this.drawn.length + 1}` as ClusterId;
      this.drawn.push(clusterId);
      process.pending = { clusterId, form: { clusterId, seeds: step.seeds } };
    }
  }

  persist(id: number): void {
    const process = this.processes.get(id);
    const directory = this.disks.get(id);
    if (process?.pending === undefined || directory === undefined) return;
    directory.belonging = process.pending;
    process.core.persisted(process.pending);
    process.pending = undefined;
  }

  sendForm(id: number): void {
    const taken = this.disks.get(id)?.belonging?.form;
    if (!this.processes.has(id) || taken === undefined) return;
    for (const other of [1, 2, 3].filter((each) => each !== id)) {
      this.send(other, (receiver) => {
        const step = receiver.offered(taken);
        assert.notEqual(step.kind, "refuse", step.kind === "refuse" ? step.error.message : "");
        const process = this.processes.get(other);
        if (step.kind === "take" && process !== undefined) process.pending = { clusterId: taken.clusterId, form: taken };
      });
    }
  }

  check(): void {
    const clusters = new Set<string>();
    for (const [id, { life, belonging }] of this.disks) {
      if (belonging === undefined) continue;
      clusters.add(belonging.clusterId);
      const key = disk(id, life);
      assert.equal(this.given.get(key) ?? belonging.clusterId, belonging.clusterId, "a directory never changes its cluster");
      this.given.set(key, belonging.clusterId);
    }
    assert.ok(clusters.size <= 1, `directories belong to ${[...clusters].join(" and ")}`);
  }

  /** No more faults: everyone runs, every message arrives. */
  settle(): void {
    for (let round = 0; round < 4; round++) {
      for (const id of [1, 2, 3]) this.start(id);
      for (const id of [1, 2, 3]) {
        this.askAll(id);
        while (this.messages.length > 0) this.messages.shift()?.deliver();
        this.step(id);
        this.persist(id);
        this.sendForm(id);
        while (this.messages.length > 0) this.messages.shift()?.deliver();
        for (const other of [1, 2, 3]) this.persist(other);
        this.check();
      }
    }
  }
}

describe("formation under crashes, lost disks and late messages", () => {
  const id = fc.constantFrom(1, 2, 3);
  const event = fc.oneof(
    { weight: 3, arbitrary: fc.record({ do: fc.constant("start" as const), id }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("crash" as const), id }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("lose" as const), id }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant("ask" as const), id }) },
    { weight: 14, arbitrary: fc.record({ do: fc.constant("deliver" as const), which: fc.nat(20), keep: fc.nat(5) }) },
    { weight: 6, arbitrary: fc.record({ do: fc.constant("step" as const), id }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant("persist" as const), id }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant("send" as const), id }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant("rush" as const), id, deliveries: fc.nat(12) }) },
  );

  it("gives no directory a second cluster, draws none while one is left, and ends in one when the faults end", () => {
    let formed = 0;
    let drawnTwice = 0;
    fc.assert(
      fc.property(fc.array(event, { minLength: 80, maxLength: 200, size: "max" }), (events) => {
        const world = new World();
        for (const each of [1, 2, 3]) world.start(each);
        for (const each of events) {
          if (each.do === "start") world.start(each.id);
          else if (each.do === "crash") world.crash(each.id);
          else if (each.do === "lose") world.lose(each.id);
          else if (each.do === "ask") world.askAll(each.id);
          else if (each.do === "step") world.step(each.id);
          else if (each.do === "persist") world.persist(each.id);
          else if (each.do === "send") world.sendForm(each.id);
          else if (each.do === "rush") {
            world.askAll(each.id);
            for (let n = 0; n < each.deliveries; n++) world.messages.pop()?.deliver();
            world.step(each.id);
          } else if (world.messages.length > 0) {
            const at = each.which % world.messages.length;
            const [message] = each.keep === 0 ? world.messages.slice(at, at + 1) : world.messages.splice(at, 1);
            message?.deliver();
          }
          world.check();
        }
        if (world.drawn.length > 0) formed += 1;
        if (world.drawn.length > 1) drawnTwice += 1;
        world.settle();
        const ends = [1, 2, 3].map((each) => world.disks.get(each)?.belonging?.clusterId);
        assert.ok(ends[0] !== undefined && new Set(ends).size === 1, `all end in one cluster: ${ends.join(", ")}`);
      }),
      { numRuns: 300 },
    );
    assert.ok(formed > 20 && drawnTwice > 0, `the runs mean something: ${formed} formed, ${drawnTwice} drew again after losses`);
  });
});
