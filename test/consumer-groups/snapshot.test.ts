import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { decodeFacts, encodeFacts, type Fact } from "../../src/consumer-groups/facts.ts";
import { GroupsImage } from "../../src/consumer-groups/image.ts";
import { GroupsMalformed } from "../../src/consumer-groups/malformed.ts";
import { int32, int64, type MessageInput, message, repeated, string, submessage } from "../../src/protocol/codec/index.ts";
import { beating, Coordinator, joining, offset, topicUuid } from "./groups-fixture.ts";

/** Plain objects, as the codec makes them. */
const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> => fc.record(model, { noNullPrototype: true });
const text = fc.string({ unit: "grapheme", maxLength: 12 });
const epoch = fc.integer({ min: 1, max: 2 ** 31 - 1 });
const partition = fc.nat(99_999);
const at = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const topicId = fc.nat(999).map(topicUuid);
const lists = <T>(of: fc.Arbitrary<T>): fc.Arbitrary<T[]> => fc.array(of, { maxLength: 5 });
const partitions = lists(record({ topicId, partitions: lists(partition) }));
const positions = lists(
  record({
    topicId,
    positions: lists(record({ partition, offset: at, term: fc.oneof(fc.constant(-1), at), metadata: text })),
  }),
);
const maybe = fc.option(text, { nil: undefined });
const subscription = { topics: lists(text), topicPattern: text, assignor: text, rebalanceTimeoutMs: epoch };
const kind = <K extends Fact["kind"]>(name: K): { kind: fc.Arbitrary<K> } => ({ kind: fc.constant(name) });
const because = fc.constantFrom(1, 2, 3);

const fact: fc.Arbitrary<Fact> = fc.oneof(
  record({
    ...kind("memberJoined"),
    ...subscription,
    memberId: text,
    instanceId: maybe,
    rack: text,
    clientAddress: text,
    epoch,
    replaces: maybe,
  }),
  record({ ...kind("memberSubscribed"), ...subscription, memberId: text }),
  record({ ...kind("memberAway"), memberId: text }),
  record({ ...kind("memberRemoved"), memberId: text, because: fc.constantFrom(1, 2, 3, 4), atMs: at }),
  record({
    ...kind("targetAssigned"),
    epoch,
    assignor: text,
    members: lists(text),
    topics: lists(record({ topicId, name: text, owners: lists(epoch) })),
  }),
  record({ ...kind("revocationBegun"), epoch, topics: partitions }),
  record({ ...kind("released"), topics: partitions }),
  record({
    ...kind("granted"),
    epoch,
    members: lists(text),
    topics: lists(record({ topicId, partitions: lists(partition), owners: lists(epoch) })),
  }),
  record({ ...kind("offsetsCommitted"), atMs: at, topics: positions }),
  record({ ...kind("offsetsMoved"), atMs: at, topics: positions }),
  record({ ...kind("offsetsDropped"), because, topics: partitions }) as fc.Arbitrary<Fact>,
  record(kind("groupDeleted")),
);
const batches = lists(record({ groupId: text, facts: lists(fact) }));

/** Some of everything: members that wait, a static one that is away, offsets with and without metadata, a deleted group. */
function rich(): Coordinator {
  const c = new Coordinator();
  c.topics.make("t", 7);
  c.topics.make("u", 3);
  c.commit("gone", undefined, offset("t", 0, 1));
  c.ok({ kind: "deleteGroup", groupId: "gone" });
  const { memberEpoch } = c.told(joining("g", "a", ["t", "u"], { instanceId: "x", rack: "r1" }));
  const many = [0, 1, 2, 5].map((n) => offset("t", n, 2 ** 40 + n, { metadata: n === 1 ? "säge" : "", term: n - 1 }));
  c.commit("g", { id: "a", epoch: memberEpoch }, ...many);
  c.told(joining("g", "b", ["t"], { assignor: "range" }));
  c.told(joining("g", "c", ["later"]));
  c.told(beating("g", "a", memberEpoch, { instanceId: "x", owned: [{ topicId: topicUuid(1), partitions: [0, 1, 2, 3, 4] }] }));
  c.ok({ kind: "leave", groupId: "g", memberId: "a", instanceId: "x", forGood: false });
  for (let n = 0; n < 40; n += 1) c.commit(`group-${n}`, undefined, offset("u", n % 3, n));
  return c;
}

describe("facts about groups", () => {
  it("are read as they were written", () => {
    fc.assert(
      fc.property(batches, (written) => {
        assert.deepEqual(decodeFacts(encodeFacts(written)), written);
      }),
      { numRuns: 60 },
    );
  });

  it("that are damaged or of a later version are refused by type", () => {
    fc.assert(
      fc.property(batches, fc.nat(), fc.nat(255), fc.nat(), (written, place, value, length) => {
        const bytes = encodeFacts(written);
        fc.pre(bytes.length > 0);
        bytes[place % bytes.length] = value;
        refusesByType(() => decodeFacts(bytes.subarray(0, 1 + (length % bytes.length))));
      }),
      { numRuns: 60 },
    );
    // A fact of number 99.
    assert.throws(() => decodeFacts(new Uint8Array([0x0a, 0x05, 0x12, 0x03, 0x9a, 0x06, 0x00])), GroupsMalformed);
  });
});

describe("snapshots of groups", () => {
  it("hold everything: what is restored is equal, byte for byte, and goes on the same", () => {
    const c = rich();
    const restored = GroupsImage.restore(c.image.snapshot());
    assert.deepEqual(restored.snapshot(), c.image.snapshot());
    assert.equal(restored.version, c.image.version);
    assert.equal(restored.epochOf("gone"), c.image.epochOf("gone"));
    assert.deepEqual(restored.group("g"), c.image.group("g"));
    const before = c.image.version;
    c.told(joining("g", "d", ["t", "u"]));
    for (const payload of c.log.slice(before)) for (const batch of decodeFacts(payload)) restored.replay(batch, c.image.version);
    assert.equal(restored.hash(), c.image.hash());
  });

  it("in slices are the same bytes, as of when they were begun", () => {
    const c = rich();
    const whole = c.image.snapshot();
    const slices = c.image.slices();
    c.told(joining("g", "d", ["t"]));
    c.commit("group-0", undefined, offset("u", 0, 99));
    assert.deepEqual(Buffer.concat([...slices]), Buffer.from(whole));
  });

  it("do not depend on the order in which groups, members and topics came", () => {
    const one = new Coordinator();
    const other = new Coordinator();
    for (const c of [one, other]) c.topics.make("t", 2);
    for (const c of [one, other]) c.topics.make("u", 2);
    one.commit("g", undefined, offset("t", 0, 1), offset("u", 1, 1));
    one.commit("h", undefined, offset("t", 0, 1));
    other.commit("h", undefined, offset("t", 0, 1));
    other.commit("g", undefined, offset("u", 1, 1), offset("t", 0, 1));
    assert.equal(one.image.hash(), other.image.hash());
  });

  it("that are damaged or cut short are refused by type, or are a state that can be written", () => {
    const bytes = rich().image.snapshot();
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (place, flip) => {
        const damaged = bytes.slice();
        damaged[place] = (damaged[place] ?? 0) ^ flip;
        refusesByType(() => GroupsImage.restore(damaged).snapshot());
        assert.throws(() => GroupsImage.restore(bytes.subarray(0, place)), GroupsMalformed);
      }),
      { numRuns: 50 },
    );
  });

  it("that lie are refused", () => {
    const c = new Coordinator();
    c.topics.make("t", 2);
    c.told(joining("g", "a", ["t"]));
    const good = c.image.snapshot();
    const lies = (lie: () => void): void => {
      c.image = GroupsImage.restore(good);
      lie();
      const bytes = c.image.snapshot();
      assert.throws(() => GroupsImage.restore(bytes), GroupsMalformed);
    };
    const id = topicUuid(1);
    const member = c.group("g").members.get("a") ?? assert.fail();
    for (const holding of [
      { member: "a", since: 99, revoking: 0 },
      { member: "a", since: 0, revoking: 0 },
      { member: "a", since: 1, revoking: 1 },
      { member: "a", since: 1, revoking: 99 },
    ])
      lies(() => c.group("g").held.set(id, 0, holding));
    lies(() => c.group("g").offsets.set(id, 0, { offset: -1, term: -1, metadata: "", committedAtMs: 1 }));
    lies(() => c.group("g").offsets.set(id, 100_000, { offset: 1, term: -1, metadata: "", committedAtMs: 1 }));
    lies(() => c.group("g").members.set("a", { ...member, epoch: 99 }));
    lies(() => c.group("g").members.set("a", { ...member, joinEpoch: 0 }));
    lies(() => {
      c.group("g").targetEpoch = 99;
    });
    assert.throws(() => GroupsImage.restore(new Uint8Array(0)), GroupsMalformed);
    // A header of format version 2.
    assert.throws(() => GroupsImage.restore(new Uint8Array([0x0a, 0x02, 0x08, 0x02])), { name: "GroupsMalformed", message: /version 2/ });
  });
});

describe("snapshots nobody wrote", () => {
  const lengths = [1, 2] as const;
  const Offsets = message("test.Offsets", {
    topicId: string(1),
    partitions: repeated(int32(2)),
    offsets: repeated(int64(3)),
    terms: repeated(int64(4)),
    committedAtMs: repeated(int64(5)),
    metadata: repeated(string(6)),
  });
  const Group = message("test.Group", { id: string(1), assignor: string(4), offsets: repeated(submessage(9, Offsets)) });
  const Header = message("test.Header", { formatVersion: int32(1), groups: int32(4) });
  const Snapshot = message("test.Snapshot", { header: submessage(1, Header), groups: repeated(submessage(2, Group)) });
  const restore = (groups: MessageInput<typeof Snapshot>["groups"], count = groups?.length): GroupsImage =>
    GroupsImage.restore(Snapshot.encode({ header: { formatVersion: 1, groups: count }, groups }));
  const group = (id: string): MessageInput<typeof Group> => ({ id, assignor: "uniform" });
  const list = <T>(length: number, of: T): T[] => new Array<T>(length).fill(of);

  it("have groups in another order, or twice, or of no name, or of an assignor that is none", () => {
    assert.equal(restore([group("g"), group("h")]).groups.size, 2);
    for (const groups of [[group("h"), group("g")], [group("g"), group("g")], [group("")], [{ id: "g", assignor: "sticky" }]])
      assert.throws(() => restore(groups), GroupsMalformed);
  });

  it("have lists that are not as long as each other, or partitions in another order", () => {
    const offsets = (partitions: number[], a: number, b: number, c: number, d: number) => ({
      ...group("g"),
      offsets: [{ topicId: "t", partitions, offsets: list(a, 1), terms: list(b, 1), committedAtMs: list(c, 1), metadata: list(d, "") }],
    });
    assert.equal(restore([offsets([3, 4], 2, 2, 2, 2)]).group("g")?.offsets.size, 2);
    for (const a of lengths)
      for (const b of lengths)
        for (const c of lengths)
          for (const d of lengths) if (a + b + c + d < 8) assert.throws(() => restore([offsets([3, 4], a, b, c, d)]), GroupsMalformed);
    for (const partitions of [[4, 3], [3, 3], [-1, 3], []])
      assert.throws(() => restore([offsets(partitions, 2, 2, 2, 2)]), GroupsMalformed);
  });
});

function refusesByType(read: () => unknown): void {
  try {
    read();
  } catch (error) {
    if (!(error instanceof GroupsMalformed)) throw error;
  }
}
