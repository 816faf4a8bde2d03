import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MillraceError } from "../../../src/base/errors.ts";
import { sendCommit } from "../../../src/client/group/commits.ts";
import { CommitOffsetsResponse } from "../../../src/protocol/public.ts";
import { statusOf } from "../../../src/protocol/rpc-status.ts";

const position = (topicId: string) => ({ topic: "t", topicId, partition: 0, offset: 5, term: undefined });
const GONE = statusOf(new MillraceError("UNKNOWN_TOPIC", "There is no topic t of this id"));

/** @param topicId as the coordinator says it @returns whose positions were refused */
async function refusedOf(topicId: string): Promise<readonly string[]> {
  const reply = CommitOffsetsResponse.encode({ errors: [{ topic: "t", topicId, partition: 0, error: GONE }] });
  const core = { calls: { unary: async () => reply } };
  const positions = [position("new"), position("former")];
  const outcome = await sendCommit(core, { group: "g", memberId: "m", memberEpoch: 1, positions }, undefined);
  assert.ok(outcome.kind === "taken");
  return outcome.refused.map(({ at }) => positions[at]?.topicId ?? "");
}

describe("a commit for a topic and for the one that had its name before", () => {
  it("is refused for the one that is named by id", async () => {
    assert.deepEqual(await refusedOf("former"), ["former"]);
    assert.deepEqual(await refusedOf("new"), ["new"]);
  });

  it("without an id, by a broker of before, for the first of the name", async () => {
    assert.deepEqual(await refusedOf(""), ["new"]);
  });
});
