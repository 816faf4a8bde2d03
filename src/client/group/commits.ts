import { MillraceError } from "../../base/errors.ts";
import { GroupService } from "../../protocol/methods.ts";
import { CommitOffsetsRequest, CommitOffsetsResponse } from "../../protocol/public.ts";
import { errorOf } from "../../protocol/rpc-status.ts";
import type { Calls } from "../calls.ts";
import type { CommitOutcome, GroupPosition } from "./steps.ts";

/** For all attempts; what is not known then is sent again with whatever is due by then. */
const COMMIT_MS = 10_000;

export interface CommitCall {
  readonly group: string;
  readonly memberId: string;
  readonly memberEpoch: number;
  readonly positions: readonly GroupPosition[];
}

/** Sends a commit, again and again with the same offsets while nobody knows what became of it: it goes forwards only, so twice is once. */
export async function sendCommit(
  core: { readonly calls: Pick<Calls, "unary"> },
  call: CommitCall,
  address: string | undefined,
): Promise<CommitOutcome> {
  const { group: groupId, memberId, memberEpoch, positions } = call;
  const request = CommitOffsetsRequest.encode({ groupId, memberId, memberEpoch, offsets: [...positions] });
  let reply: Uint8Array;
  try {
    reply = await core.calls.unary(GroupService.CommitOffsets.path, request, { timeoutMs: COMMIT_MS, repeatable: true, address });
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    return { kind: error.retriable ? "unknown" : "refused", error };
  }
  const refused = CommitOffsetsResponse.decode(reply).errors.flatMap(({ topic, topicId, partition, error }) => {
    // Brokers of before do not say the id: then the first of the name is meant, as far as anybody can tell.
    const at = positions.findIndex(
      (position) => position.topic === topic && position.partition === partition && (topicId === "" || position.topicId === topicId),
    );
    if (at < 0) return [];
    const said = error === undefined ? undefined : errorOf(error);
    return [{ at, error: said ?? new MillraceError("CONNECTION_LOST", `The broker gave no reason: ${error?.message ?? ""}`) }];
  });
  return { kind: "taken", refused };
}
