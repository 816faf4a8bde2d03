import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { TopicId } from "../../src/base/ids.ts";
import type { Assignment, AssignorInput, AssignorMember, AssignorTopic } from "../../src/consumer-groups/assignor.ts";
import { assignorOf, assignors } from "../../src/consumer-groups/assignors.ts";

const topicId = (n: number): TopicId => `topic-${n}` as TopicId;
const none: Assignment = new Map();

interface World {
  readonly topics: readonly AssignorTopic[];
  readonly members: readonly AssignorMember[];
}

/** @param each partitions of each topic @param wants numbers of topics each member subscribes to */
function world(each: readonly number[], wants: readonly (readonly number[])[]): World {
  return {
    topics: each.map((partitions, n) => ({ id: topicId(n), partitions })),
    members: wants.map((topics, n) => ({
      id: `m${n}`,
      order: `m${n}`,
      topics: new Set(topics.filter((topic) => topic < each.length).map(topicId)),
    })),
  };
}

const partitions = fc.array(fc.nat(12), { minLength: 1, maxLength: 4 });
const equal = fc
  .tuple(partitions, fc.integer({ min: 1, max: 9 }))
  .map(([each, members]) => world(each, Array(members).fill([...each.keys()])));
const unequal = fc
  .tuple(partitions, fc.array(fc.uniqueArray(fc.nat(3), { maxLength: 4 }), { minLength: 1, maxLength: 8 }))
  .map(([each, wants]) => world(each, wants));

const flat = (assignment: Assignment): Map<string, string | undefined> =>
  new Map([...assignment].flatMap(([id, owners]) => owners.map((owner, partition) => [`${id}:${partition}`, owner] as const)));

function loads({ members }: World, assignment: Assignment): Map<string, number> {
  const counts = new Map(members.map(({ id }) => [id, 0]));
  for (const owner of flat(assignment).values()) if (owner !== undefined) counts.set(owner, (counts.get(owner) ?? 0) + 1);
  return counts;
}

const moved = (before: Assignment, after: Assignment): number => {
  const were = flat(before);
  return [...flat(after)].filter(([partition, owner]) => were.get(partition) !== owner).length;
};

const shuffled = <T>(items: readonly T[], by: number): readonly T[] => items.map((_, n) => items[(n + by) % items.length] as T).reverse();

describe("assignors", () => {
  for (const [name, assign] of Object.entries(assignors)) {
    const run = (of: World, previous: Assignment = none): Assignment => assign({ ...of, previous });

    it(`${name}: every partition somebody subscribes to has exactly one owner, who subscribes to it; no other has one`, () => {
      fc.assert(
        fc.property(unequal, unequal, (before, now) => {
          const assignment = run(now, run(before));
          assert.deepEqual(new Set(assignment.keys()), new Set(now.topics.map(({ id }) => id)));
          for (const { id, partitions } of now.topics) {
            const owners = assignment.get(id) ?? [];
            assert.equal(owners.length, partitions);
            const subscribers = new Set<string | undefined>(now.members.filter(({ topics }) => topics.has(id)).map((member) => member.id));
            for (const owner of owners) assert.ok(subscribers.size === 0 ? owner === undefined : subscribers.has(owner));
          }
        }),
        { numRuns: 60 },
      );
    });

    it(`${name}: the order of members and topics does not matter`, () => {
      fc.assert(
        fc.property(unequal, unequal, fc.nat(7), (before, now, by) => {
          const previous = run(before);
          const other: AssignorInput = { members: shuffled(now.members, by), topics: shuffled(now.topics, by), previous };
          assert.deepEqual(flat(assign(other)), flat(run(now, previous)));
        }),
        { numRuns: 40 },
      );
    });

    it(`${name}: assigning again what is assigned moves nothing`, () => {
      fc.assert(
        fc.property(unequal, unequal, (before, now) => {
          const first = run(now, run(before));
          assert.equal(moved(first, run(now, first)), 0);
        }),
        { numRuns: 40 },
      );
    });

    it(`${name}: a static member under another member id takes over what it had`, () => {
      fc.assert(
        fc.property(unequal, fc.nat(7), (now, at) => {
          const first = run(now);
          const place = at % now.members.length;
          const back = (id: string | undefined): string | undefined => (id === `m${place}` ? "zz" : id);
          const members = now.members.map((member) => ({ ...member, id: back(member.id) ?? "" }));
          const previous = new Map([...first].map(([id, owners]) => [id, owners.map(back)]));
          assert.equal(moved(previous, run({ ...now, members }, previous)), 0);
        }),
        { numRuns: 30 },
      );
    });
  }

  const uniform = (of: World, previous: Assignment = none): Assignment => assignors.uniform({ ...of, previous });
  const without = (of: World, at: number): World => ({ ...of, members: of.members.filter((_, place) => place !== at % of.members.length) });

  it("uniform: with equal subscriptions everybody has the same number of partitions within one, whatever was before", () => {
    fc.assert(
      fc.property(unequal, equal, (before, now) => {
        const counts = [...loads(now, uniform(now, uniform(before))).values()];
        assert.ok(Math.max(...counts) - Math.min(...counts) <= 1);
      }),
      { numRuns: 80 },
    );
  });

  it("uniform: with unequal subscriptions no partition could go to a subscriber that has two less", () => {
    fc.assert(
      fc.property(unequal, unequal, (before, now) => {
        const assignment = uniform(now, uniform(before));
        const counts = loads(now, assignment);
        for (const [id, owners] of assignment)
          for (const owner of owners)
            for (const member of now.members)
              if (member.topics.has(id)) assert.ok((counts.get(owner ?? "") ?? 0) - (counts.get(member.id) ?? 0) <= 1);
      }),
      { numRuns: 80 },
    );
  });

  it("uniform: who joins takes its share and nothing else moves", () => {
    fc.assert(
      fc.property(equal, fc.nat(9), (all, at) => {
        fc.pre(all.members.length > 1);
        const before = uniform(without(all, at));
        const after = uniform(all, before);
        const came = `m${at % all.members.length}`;
        assert.equal(moved(before, after), loads(all, after).get(came));
      }),
      { numRuns: 60 },
    );
  });

  it("uniform: who leaves gives away its partitions and nothing else moves", () => {
    fc.assert(
      fc.property(equal, fc.nat(9), (all, at) => {
        fc.pre(all.members.length > 1);
        const before = uniform(all);
        const left = `m${at % all.members.length}`;
        assert.equal(moved(before, uniform(without(all, at), before)), loads(all, before).get(left));
      }),
      { numRuns: 60 },
    );
  });

  it("uniform: from any beginning it moves as little as balance allows", () => {
    fc.assert(
      fc.property(equal, fc.array(fc.nat(8), { minLength: 1, maxLength: 20 }), (now, had) => {
        // Somebody there has each partition, as unevenly as it comes.
        const previous = new Map(
          now.topics.map(({ id, partitions }, n) => [
            id,
            Array.from({ length: partitions }, (_, p) => `m${(had[(n * 7 + p) % had.length] ?? 0) % now.members.length}`),
          ]),
        );
        const total = flat(previous).size;
        const floor = Math.floor(total / now.members.length);
        const counts = [...loads(now, previous).values()].sort((a, b) => b - a);
        // Those with most may keep one more.
        const keep = counts.map((count, place) => Math.min(count, floor + (place < total % now.members.length ? 1 : 0)));
        const least = total - keep.reduce((sum, count) => sum + count, 0);
        assert.equal(moved(previous, uniform(now, previous)), least);
      }),
      { numRuns: 100 },
    );
  });

  it("uniform: each topic is spread over the members when all is new", () => {
    const now = world([10, 10], Array(5).fill([0, 1]));
    for (const owners of uniform(now).values()) assert.deepEqual(new Set(owners).size, 5);
  });

  it("range: runs of neighbours, the first ones one longer, alike for topics of one size", () => {
    const now = world([7, 7], Array(3).fill([0, 1]));
    const runs = ["m0", "m0", "m0", "m1", "m1", "m2", "m2"];
    assert.deepEqual([...assignors.range({ ...now, previous: none }).values()], [runs, runs]);
  });

  it("the assignor is the one most members ask for, uniform when none asks for one that exists", () => {
    assert.equal(assignorOf([]), "uniform");
    assert.equal(assignorOf(["", "sticky"]), "uniform");
    assert.equal(assignorOf(["", "range", ""]), "range");
    assert.equal(assignorOf(["uniform", "range"]), "range");
    assert.equal(assignorOf(["uniform", "range", "uniform"]), "uniform");
  });
});
