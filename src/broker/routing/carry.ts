import { MillraceError } from "../../base/errors.ts";
import type { BrokerId, GroupId } from "../../base/ids.ts";
import type { Clock } from "../../base/ports/clock.ts";
import type { PeerLinks } from "../peers/peer-links.ts";
import type { Router } from "./router.ts";

/** A second for the other broker to answer after the caller's own wait is over. */
const HOP_GRACE_MS = 1_000;

export type Outcome<T> = T | MillraceError;

/** What is asked of the leader of a group, wherever it is. */
export interface Carried<T> {
  readonly groupId: GroupId;
  /** Bytes it keeps in memory while it is held or forwarded. */
  readonly bytes: number;
  /** Monotonic. */
  readonly deadline: number;
  /** Here or not at all: it was handed on once, or its caller wants to know the leader. */
  readonly direct: boolean;
  /** Runs it here. @returns gives it up */
  here(finish: (outcome: Outcome<T>) => void): () => void;
  /** Hands it to another broker. @returns gives it up */
  there(broker: BrokerId, finish: (outcome: Outcome<T>) => void): () => void;
}

/**
 * Brings a call to the leader over all its attempts: held, run here or handed on, and routed again when whoever got it does not lead.
 *
 * @param done called once at most, never after it was given up
 * @returns gives it up, wherever it is
 */
export function carry<T>(router: Pick<Router, "route">, call: Carried<T>, done: (outcome: Outcome<T>) => void): () => void {
  let over = false;
  let cancel = (): void => {};
  const finish = (outcome: Outcome<T>): void => {
    if (over) return;
    over = true;
    done(outcome);
  };
  const { groupId, bytes, deadline, direct } = call;
  const giveUp = router.route({
    groupId,
    bytes,
    deadline,
    direct,
    runHere: () => {
      if (!over) cancel = call.here(finish);
    },
    runThere: (broker, refused, ended) => {
      if (over) return ended();
      let stop = (): void => {};
      // Before the call: it may be refused at once, and the next attempt, which begins then, has a cancel of its own.
      cancel = () => {
        ended();
        stop();
      };
      stop = call.there(broker, (outcome) => {
        ended();
        if (outcome instanceof MillraceError && (outcome.code === "NOT_LEADER" || outcome.code === "LEADER_UNKNOWN")) {
          if (!over) refused(outcome);
        } else finish(outcome);
      });
    },
    fail: finish,
  });
  return () => {
    over = true;
    giveUp();
    cancel();
  };
}

/** One call to another broker, which is waited for a little longer than its caller waits. */
export interface Hop<T> {
  readonly broker: BrokerId;
  readonly method: string;
  readonly body: readonly Uint8Array[];
  /** Monotonic. */
  readonly deadline: number;
  decode(body: Uint8Array): T;
}

/** @returns gives it up */
export function callThere<T>(
  links: Pick<PeerLinks, "call">,
  clock: Clock,
  { broker, method, body, deadline, decode }: Hop<T>,
  finish: (outcome: Outcome<T>) => void,
): () => void {
  const left = deadline - clock.monotonic();
  return links.call(broker, method, body, left + HOP_GRACE_MS, (outcome) =>
    finish("body" in outcome ? decode(outcome.body) : outcome.error),
  );
}
