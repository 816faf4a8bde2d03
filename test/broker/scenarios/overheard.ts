import type { GroupId, Term } from "../../../src/base/ids.ts";
import { type AddressedMessage, decodeAppend, decodeRecord, RECORD_BYTES } from "../../../src/broker/peers/raft-codec.ts";
import type { WireMessage } from "../../../src/testing/sim/network/wire.ts";
import type { Cluster } from "../harness.ts";

/** Kinds of message as the connections between brokers carry them: Raft records, appends, beats of a pair. */
const RECORDS = 1;
const APPEND = 2;
const BEAT = 3;

export interface Overheard {
  /** Virtual milliseconds. */
  readonly at: number;
  readonly from: number;
  readonly to: number;
  readonly message: AddressedMessage["message"];
}

/** Every Raft message of one group that leaves a broker for another, from now on, whether or not it arrives. */
export function overhear(cluster: Cluster, group: GroupId, heard: (message: Overheard) => void = () => {}): Overheard[] {
  const all: Overheard[] = [];
  for (const from of cluster.numbers) {
    for (const to of cluster.numbers) {
      if (from === to) continue;
      cluster.world.network.link(`b${from}`, `b${to}`).watch = (wire) => {
        for (const { groupId, message } of raftMessages(wire)) {
          if (groupId !== group) continue;
          const one = { at: cluster.world.now, from, to, message };
          all.push(one);
          heard(one);
        }
      };
    }
  }
  return all;
}

/** When beats leave one broker for another, from now on: they stand for the heartbeats of groups at rest. Nothing else is overheard beside it. */
export function overhearBeats(cluster: Cluster, from: number, to: number): number[] {
  const at: number[] = [];
  const link = cluster.world.network.link(`b${from}`, `b${to}`);
  const { watch } = link;
  link.watch = (wire, connection) => {
    watch?.(wire, connection);
    if (wire.type === "peer" && wire.kind === BEAT) at.push(cluster.world.now);
  };
  return at;
}

/**
 * The term a message says its sender is in. Undefined for a pre-vote and the grant of one: these name a term that nobody may ever enter.
 */
export function toldTerm({ message }: Overheard): Term | undefined {
  if (message.kind === "preVote" || (message.kind === "preVoteReply" && message.granted)) return undefined;
  return message.term;
}

function raftMessages(wire: WireMessage): readonly AddressedMessage[] {
  if (wire.type !== "peer" || (wire.kind !== RECORDS && wire.kind !== APPEND)) return [];
  const body = new Uint8Array(Buffer.concat(wire.chunks));
  // Calls on the bulk connection number their messages alike; their bodies are no Raft records.
  try {
    if (wire.kind === APPEND) return [decodeAppend(body)];
    if (body.byteLength === 0 || body.byteLength % RECORD_BYTES !== 0) return [];
    const view = new DataView(body.buffer);
    return Array.from({ length: body.byteLength / RECORD_BYTES }, (_, i) => decodeRecord(view, i * RECORD_BYTES));
  } catch {
    return [];
  }
}
