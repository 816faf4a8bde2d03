import { CallKind } from "../../broker/peers/peer-calls.ts";
import type { Machine } from "../sim/machine.ts";
import type { WireMessage } from "../sim/network/wire.ts";
import type { World } from "../sim/world.ts";
import type { Situation, Situations } from "./situations.ts";

/** Calls between brokers that are a situation by themselves, by the name they have on the wire. */
const byMethod: readonly (readonly [string, Situation])[] = [
  ["replica.extend", "segment catch-up"],
  ["replica.range", "repair from a peer"],
  ["metadata.snapshot", "metadata snapshot sent"],
];

/** A call's head holds little more than its name; entries of Raft messages are longer. */
const HEAD_BYTES = 64;

/** Names situations by what brokers ask of each other. */
export function watchWire({ network }: World, machines: readonly Machine[], situations: Situations): void {
  const watch = (message: WireMessage) => {
    if (message.type !== "peer" || message.kind !== CallKind.request) return;
    // Length of the head, the head, the body.
    const head = message.chunks[1];
    if (head === undefined || head.length > HEAD_BYTES) return;
    const text = Buffer.from(head.buffer, head.byteOffset, head.length).toString("latin1");
    for (const [method, situation] of byMethod) if (text.includes(method)) situations.saw(situation);
  };
  for (const from of machines) for (const to of machines) if (from !== to) network.link(from.name, to.name).watch = watch;
}
