import type { GroupId } from "../base/ids.ts";
import { isData } from "../log/block-builder.ts";
import type { Inherited, LogStore } from "../log/types.ts";
import type { Entry, Message, RaftCore } from "../raft/types.ts";
import type { ReplicaPayload } from "./replica-outputs.ts";

type Append = Extract<Message<ReplicaPayload>, { readonly kind: "append" }>;

/**
 * What of an append this broker's log has room for: all of it, or the entries before the first records that do not fit (ADR 0010). An
 * append with fewer entries is a message that Raft knows how to take; the leader sends the rest again. Entries without records always
 * pass: they are small, and a new leader's no-op is what ends a state in which nothing can be committed. So do entries that are here already.
 *
 * @param held the replica's log
 */
export function admitted(
  message: Message<ReplicaPayload>,
  groupId: GroupId,
  held: Pick<RaftCore<ReplicaPayload>, "lastIndex" | "termAt">,
  log: Pick<LogStore, "takes" | "refusedAppend">,
): Message<ReplicaPayload> {
  if (message.kind !== "append" || message.entries.length === 0) return message;
  // Raft takes nothing of it: what waits for room here is what comes before it, and not this.
  if (message.prevIndex > held.lastIndex) return message;
  const fresh = message.entries.findIndex(({ index, term }) => !isHeld(held, index, term));
  if (fresh < 0) return message;
  const entries = message.entries.slice(fresh);
  const records = entries.filter((entry) => dataBytes(entry) > 0);
  const [first, last] = [records[0], records.at(-1)];
  if (first === undefined || last === undefined) return message;
  const bytes = records.reduce((sum, entry) => sum + entry.bytes, 0);
  if (log.takes(bytes, inherited(message, groupId, first, last))) return message;
  let sum = 0;
  const refused = records.find((entry) => {
    sum += entry.bytes;
    return !log.takes(sum, inherited(message, groupId, first, entry));
  });
  // They fit one by one, though not all at once a moment ago: what is asked does some of the work.
  if (refused === undefined) return message;
  // Of records that find room piece by piece nothing was refused.
  const waits = refused === first ? inherited(message, groupId, first, first) : undefined;
  if (waits !== undefined) log.refusedAppend(waits);
  const { index, term } = refused;
  return { ...message, entries: message.entries.slice(0, index - message.prevIndex - 1), withheld: { index, term } };
}

/** As Raft judges it (`Follower`): what is of another term is cut, with all behind it. */
function isHeld(
  held: Pick<RaftCore<ReplicaPayload>, "lastIndex" | "termAt">,
  index: Entry<ReplicaPayload>["index"],
  term: number,
): boolean {
  if (index > held.lastIndex) return false;
  const ours = held.termAt(index);
  return ours === undefined || ours === term;
}

/**
 * What the leader has from leaders before it, when it has not committed its own first entry: undefined if `last` is none of it, or the entry
 * stands so far behind that the leader may have. Terms in a log never fall, so what stands before `last` is older too.
 */
function inherited(message: Append, groupId: GroupId, first: Entry<ReplicaPayload>, last: Entry<ReplicaPayload>): Inherited | undefined {
  const { term, commit, entries } = message;
  const own = entries.find((entry) => entry.term === term)?.index ?? message.prevIndex + entries.length + 1;
  return last.term < term && commit < own ? { groupId, term, index: first.index } : undefined;
}

function dataBytes({ payload, bytes }: Entry<ReplicaPayload>): number {
  return payload !== undefined && isData(payload) ? bytes : 0;
}
