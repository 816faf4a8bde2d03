import { FRAME_MAGIC } from "../../../records/frame.ts";
import type { Link } from "../network/link.ts";
import type { SimRandom } from "../random.ts";
import type { Fault, FaultContext } from "./fault.ts";

/** A frame begins where these bytes stand; from there on every byte of it is under a checksum. */
const MAGIC = new Uint8Array(Uint32Array.of(FRAME_MAGIC).buffer);
/** Message of 5 bytes and a kind: a kind that nobody speaks is what framing makes of changed lengths. */
const NO_KIND = 99;

/**
 * Bytes that change between brokers, below TLS or where there is none, and pass TCP's sum: in frames, which carry their own checksums, or in
 * what stands before a message, so that what follows is no message any more. What Raft says of itself has no sum (TLS protects it), and stays
 * as it is.
 */
export const changedBytes: Fault = {
  kind: "changed-bytes",
  begin(context) {
    const links = someLinks(context);
    if (links.length === 0) return undefined;
    const random = context.random;
    const perThousand = random.pick([20, 200, 1_000]);
    for (const link of links)
      link.change = (kind, body) => {
        if (!random.chance(perThousand, 1_000)) return undefined;
        if (random.chance(1, 8)) return NO_KIND;
        return changeFrames(body, random) ? kind : undefined;
      };
    return () => {
      for (const link of links) link.change = undefined;
    };
  },
};

function someLinks({ world, machines, random }: FaultContext): readonly Link[] {
  const links = machines.flatMap((from) => machines.filter((to) => to !== from).map((to) => world.network.link(from.name, to.name)));
  return random.shuffled(links).slice(0, random.between(1, Math.max(1, links.length)));
}

/** Flips one to three bits behind the beginning of its first frame. @returns whether there was one */
function changeFrames(body: Uint8Array, random: SimRandom): boolean {
  const first = Buffer.from(body.buffer, body.byteOffset, body.byteLength).indexOf(MAGIC);
  if (first < 0) return false;
  for (let flips = random.between(1, 3); flips > 0; flips--) {
    const at = first + random.below(body.length - first);
    body[at] = (body[at] ?? 0) ^ (1 << random.below(8));
  }
  return true;
}
