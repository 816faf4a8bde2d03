import type { GroupId } from "../base/ids.ts";
import { isData } from "../log/block-builder.ts";
import type { LogStore } from "../log/types.ts";
import type { Entry, Message } from "../raft/types.ts";
import type { ReplicaPayload } from "./replica-outputs.ts";

/**
 * What of an append this broker's log has room for: all of it, or the entries before the first records that do not fit (ADR 0010). An
 * append with fewer entries is a message that Raft knows how to take; the leader sends the rest again. Entries without records always
 * pass: they are small, and a new leader's no-op is what ends a state in which nothing can be committed.
 */
export function admitted(
  message: Message<ReplicaPayload>,
  groupId: GroupId,
  log: Pick<LogStore, "takes" | "refusedAppend">,
): Message<ReplicaPayload> {
  if (message.kind !== "append" || message.entries.length === 0) return message;
  let bytes = 0;
  for (const entry of message.entries) bytes += dataBytes(entry);
  if (bytes === 0 || log.takes(bytes)) return message;
  bytes = 0;
  const first = message.entries.findIndex((entry) => {
    bytes += dataBytes(entry);
    return bytes > 0 && !log.takes(bytes);
  });
  const entries = message.entries.slice(0, first);
  // Of records that find room piece by piece nothing was refused.
  if (entries.every((entry) => dataBytes(entry) === 0)) log.refusedAppend(groupId);
  return { ...message, entries };
}

function dataBytes({ payload, bytes }: Entry<ReplicaPayload>): number {
  return payload !== undefined && isData(payload) ? bytes : 0;
}
