import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { LogIndex } from "../../src/base/ids.ts";
import { GroupsImage } from "../../src/consumer-groups/image.ts";
import { EPOCH_MAX } from "../../src/consumer-groups/recovered.ts";
import { beating, Coordinator, joining, offset } from "./groups-fixture.ts";

const AT_MS = 1_700_000_100_000;

/** What is known of groups when an operator gives up all replicas but one: as of then, and what was told behind that and is lost. */
function lost(): { readonly kept: GroupsImage; readonly told: readonly number[]; readonly coordinator: Coordinator } {
  const coordinator = new Coordinator();
  coordinator.topics.make("t", 4);
  coordinator.ok(joining("old", "o", ["t"]));
  for (let n = 0; n < 20; n += 1) coordinator.ok(joining("old", "o", ["t"]));
  coordinator.ok(joining("g", "a", ["t"]));
  coordinator.ok({
    kind: "commitOffsets",
    groupId: "g",
    member: { id: "a", epoch: epochOf(coordinator, "g") },
    offsets: [offset("t", 0, 7)],
  });
  const kept = GroupsImage.restore(coordinator.image.snapshot());
  // A later owner; and a group of another name that begins above one that was deleted.
  coordinator.ok(joining("g", "b", ["t"]));
  const told = [epochOf(coordinator, "g")];
  coordinator.ok({ kind: "leave", groupId: "old", memberId: "o", instanceId: undefined, forGood: true });
  coordinator.ok({ kind: "deleteGroup", groupId: "old" });
  coordinator.ok(joining("new", "n", ["t"]));
  told.push(epochOf(coordinator, "new"));
  return { kept, told, coordinator };
}

const epochOf = (coordinator: Coordinator, groupId: string): number => coordinator.image.epochOf(groupId);

describe("groups whose log has lost its end", () => {
  it("tell nobody an epoch that may have been told there, of any group, also of one that was made there", () => {
    const { kept, told, coordinator } = lost();
    assert.ok(Math.max(...told) > kept.epochOf("new") + 1, "without a jump they would be told again");
    kept.recovered(1, AT_MS, kept.version);
    for (const group of ["g", "old", "new", "another"]) assert.ok(kept.epochOf(group) > Math.max(...told), group);
    coordinator.image = kept;
    coordinator.ok(joining("g", "a", ["t"]));
    assert.equal(epochOf(coordinator, "g"), kept.epochOf("new") + 1);
  });

  it("jump above the highest epoch of any group, also where it is far above those of deleted ones", () => {
    const coordinator = new Coordinator();
    const joined = {
      memberId: "a",
      instanceId: undefined,
      rack: "",
      clientAddress: "",
      topics: [],
      topicPattern: "",
      assignor: "",
      rebalanceTimeoutMs: 1_000,
    };
    coordinator.append("g", [{ kind: "memberJoined", ...joined, epoch: 2 ** 26, replaces: undefined }]);
    coordinator.image.recovered(1, AT_MS, coordinator.image.version);
    assert.ok(epochOf(coordinator, "another") > 2 ** 26);
  });

  it("have no members any more: who is one of the lost history or of the kept one joins again, and its commits are refused", () => {
    const { kept, told, coordinator } = lost();
    const before = kept.group("g")?.members.get("a")?.epoch ?? 0;
    kept.recovered(1, AT_MS, (kept.version + 1) as LogIndex);
    coordinator.image = kept;
    const group = kept.group("g");
    assert.deepEqual([group?.members.size, group?.held.size, group?.target.size, group?.emptySinceMs], [0, 0, 0, AT_MS]);
    for (const [memberId, epoch] of [
      ["a", before],
      ["b", told[0] ?? 0],
    ] as const) {
      assert.equal(coordinator.refused(beating("g", memberId, epoch)), "UNKNOWN_MEMBER");
      const commit = { kind: "commitOffsets", groupId: "g", member: { id: memberId, epoch }, offsets: [offset("t", 0, 9)] } as const;
      assert.equal(coordinator.refused(commit), "UNKNOWN_MEMBER");
    }
    assert.equal([...(group?.offsets.of([...(group?.offsets.topics() ?? [])][0] as never).values() ?? [])][0]?.offset, 7, "offsets stay");
  });

  it("jump once for each recovery, whatever a snapshot or a clone stands between", () => {
    const { kept } = lost();
    const clone = kept.clone();
    const untouched = clone.hash();
    kept.recovered(1_000_001, AT_MS, (kept.version + 1) as LogIndex);
    const once = kept.hash();
    // Every later configuration says it too.
    kept.recovered(1_000_001, AT_MS + 1, (kept.version + 2) as LogIndex);
    assert.equal(kept.hash(), once);
    const restored = GroupsImage.restore(kept.snapshot());
    restored.recovered(1_000_001, AT_MS + 1, (kept.version + 2) as LogIndex);
    assert.deepEqual([restored.hash(), restored.epochOf("g"), clone.hash()], [once, kept.epochOf("g"), untouched]);
    restored.recovered(1_000_002, AT_MS, (kept.version + 3) as LogIndex);
    assert.ok(restored.epochOf("g") > kept.epochOf("g"));
  });

  it("stop taking members in when epochs are used up, and repeat none", () => {
    const { kept, coordinator } = lost();
    for (let recovery = 1; recovery <= 130; recovery += 1) kept.recovered(recovery, AT_MS, (kept.version + 1) as LogIndex);
    assert.equal(kept.epochOf("g"), EPOCH_MAX);
    coordinator.image = kept;
    assert.equal(coordinator.refused(joining("g", "a", ["t"])), "TOO_MANY_REQUESTS");
  });
});
