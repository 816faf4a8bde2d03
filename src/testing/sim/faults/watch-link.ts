import type { Link } from "../network/link.ts";
import type { WireMessage } from "../network/wire.ts";

/** Tells of each message as it leaves, after whoever watches the link already. @returns ends it */
export function watchLink(link: Link, told: (message: WireMessage, connection: number) => void): () => void {
  const before = link.watch;
  let over = false;
  const mine = (message: WireMessage, connection: number) => {
    before?.(message, connection);
    if (!over) told(message, connection);
  };
  link.watch = mine;
  // Somebody else may have begun to watch since: then this one stays between, and says nothing.
  return () => {
    over = true;
    if (link.watch === mine) link.watch = before;
  };
}
