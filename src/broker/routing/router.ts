import { MillraceError } from "../../base/errors.ts";
import type { BrokerId, GroupId, Term } from "../../base/ids.ts";
import type { Clock, Timer } from "../../base/ports/clock.ts";

/** What a router must know of one partition's group, now. */
export interface LeaderView {
  /** This broker leads it and takes calls. */
  readonly local: boolean;
  /** This broker leads but does not take calls yet (its no-op is not committed) or any more (it hands over): every call is held. */
  readonly becoming: boolean;
  /** Another broker that is believed to lead, when it can be reached. */
  readonly remote: { readonly broker: BrokerId; readonly term: Term } | undefined;
}

/** A call on its way to the leader of a group. The functions are called at most once each per attempt. */
export interface RoutedCall {
  readonly groupId: GroupId;
  /** Bytes this call keeps in memory while it is held or forwarded. */
  readonly bytes: number;
  /** Monotonic. */
  readonly deadline: number;
  /** Answer NOT_LEADER instead of holding or forwarding (marked forwarded, or `direct`). */
  readonly direct: boolean;
  runHere(): void;
  /**
   * @param refused the other broker answered NOT_LEADER: nothing was written
   * @param over the call has ended in any other way, given up included; more than once does no harm
   */
  runThere(broker: BrokerId, refused: (error: MillraceError) => void, over: () => void): void;
  fail(error: MillraceError): void;
}

interface Routed {
  readonly call: RoutedCall;
  /** Monotonic: held no longer than this, over all attempts. */
  readonly until: number;
  /** Forward attempts that a broker refused because it does not lead. */
  readonly refusals: number;
}

interface Held extends Routed {
  readonly timer: Timer;
}

/** State of one group's calls; exists only while something is held. */
interface Lane {
  readonly held: Held[];
  /** A leader of this term or an older one has refused: a newer one is waited for, this one is asked again only after a while. */
  refusedTerm: number;
  /** Monotonic; until then `refusedTerm` holds. */
  refusedUntil: number;
  flushing: boolean;
}

/** "A forwarder retries only on a typed refusal, at most once more" (design §6). */
const REFUSALS_MAX = 2;
/** What a refusal of a term is worth, milliseconds: the broker may have been only about to lead. */
const REFUSED_MS = 500;
/** After a call that could not be handed over at all (no connection, changed on its way), milliseconds. */
const UNREACHED_MS = 25;

export interface RouterOptions {
  readonly clock: Clock;
  readonly forwardWaitMs: number;
  readonly forwardPendingMaxBytes: number;
  /** Of forwarded calls that were given up, and whose bytes have not left this broker. */
  readonly abandonedBytes: () => number;
  readonly view: (groupId: GroupId) => LeaderView;
}

/**
 * Finds the leader for a call: here, at another broker, or, while nobody is known, by holding the call for at most
 * `forward.wait.ms` (design §8). Calls of one group that are held keep their order, and later ones queue behind them.
 */
export class Router {
  readonly #options: RouterOptions;
  readonly #lanes = new Map<GroupId, Lane>();
  /** Held calls that were sent once and came back. */
  readonly #returned = new Set<RoutedCall>();
  #heldBytes = 0;
  #forwardedBytes = 0;
  #closed = false;

  constructor(options: RouterOptions) {
    this.#options = options;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }
  /** Of calls that other brokers have not answered, and of those that were given up while their bytes are still here. */
  get forwardedBytes(): number {
    return this.#forwardedBytes + this.#options.abandonedBytes();
  }

  /** @returns gives the call up: it is held no longer; what has begun is for the caller to end */
  route(call: RoutedCall): () => void {
    const { clock, forwardWaitMs } = this.#options;
    const item: Routed = { call, until: Math.min(clock.monotonic() + forwardWaitMs, call.deadline), refusals: 0 };
    const lane = this.#lanes.get(call.groupId);
    if (lane !== undefined && lane.held.length > 0 && !call.direct) this.#hold(item);
    else this.#attempt(item);
    return () => this.#giveUp(call);
  }

  #giveUp(call: RoutedCall): void {
    const lane = this.#lanes.get(call.groupId);
    const at = lane?.held.findIndex((held) => held.call === call) ?? -1;
    const [held] = at < 0 ? [] : (lane?.held.splice(at, 1) ?? []);
    if (held === undefined) return;
    this.#release(held);
    if (lane?.held.length === 0 && !lane.flushing) this.#lanes.delete(call.groupId);
  }

  /** The leader of a group, or who can be reached, may have changed: held calls are tried again, in order. */
  changed(groupId: GroupId): void {
    const lane = this.#lanes.get(groupId);
    if (lane === undefined || lane.flushing) return;
    lane.flushing = true;
    try {
      while (lane.held.length > 0 && this.#routable(groupId, lane)) {
        const next = lane.held.shift();
        if (next === undefined) break;
        this.#release(next);
        this.#attempt(next);
      }
    } finally {
      lane.flushing = false;
    }
    if (lane.held.length === 0) this.#lanes.delete(groupId);
  }

  changedAll(): void {
    for (const groupId of [...this.#lanes.keys()]) this.changed(groupId);
  }

  /** Ends every held call: nothing was written. */
  close(): void {
    this.#closed = true;
    for (const lane of this.#lanes.values()) {
      for (const held of lane.held.splice(0)) {
        this.#release(held);
        held.call.fail(new MillraceError("SHUTTING_DOWN", "The broker stops; nothing was written"));
      }
    }
    this.#lanes.clear();
  }

  #routable(groupId: GroupId, lane: Lane): boolean {
    const view = this.#options.view(groupId);
    const first = lane.held[0];
    if (view.becoming) return false;
    return view.local || first?.call.direct === true || (view.remote !== undefined && !this.#refused(lane, view.remote.term));
  }

  #refused(lane: Lane | undefined, term: Term): boolean {
    return lane !== undefined && term <= lane.refusedTerm && this.#options.clock.monotonic() < lane.refusedUntil;
  }

  #attempt(item: Routed): void {
    const { call } = item;
    const view = this.#options.view(call.groupId);
    if (view.local) return call.runHere();
    const { remote } = view;
    if (view.becoming) return this.#hold(item);
    if (call.direct) return call.fail(notLeader(remote?.broker));
    if (remote === undefined || this.#refused(this.#lanes.get(call.groupId), remote.term)) return this.#hold(item);
    // A leader that takes nothing more must not fill this broker's memory.
    if (!this.#hasRoom(call)) return call.fail(this.#tooMuch());
    this.#forwardedBytes += call.bytes;
    let ended = false;
    const over = (): void => {
      if (!ended) this.#forwardedBytes -= call.bytes;
      ended = true;
    };
    const refused = (error: MillraceError): void => {
      over();
      // Only "I do not lead" says something about the term; a call that did not get there says nothing.
      const refusals = item.refusals + (error.code === "NOT_LEADER" ? 1 : 0);
      if (refusals >= REFUSALS_MAX) {
        return call.fail(new MillraceError("LEADER_UNKNOWN", `No leader took the call: ${error.message}. Nothing was written`, {}, 100));
      }
      this.#pause(call.groupId, remote.term, error.code === "NOT_LEADER" ? REFUSED_MS : UNREACHED_MS);
      this.#hold({ ...item, refusals }, true);
      this.changed(call.groupId);
    };
    call.runThere(remote.broker, refused, over);
  }

  #hasRoom(call: RoutedCall): boolean {
    return this.#heldBytes + this.forwardedBytes + call.bytes <= this.#options.forwardPendingMaxBytes;
  }

  #tooMuch(): MillraceError {
    return new MillraceError(
      "TOO_MANY_REQUESTS",
      `This broker has ${this.#heldBytes + this.forwardedBytes} bytes of calls for leaders that are not known or have not answered; nothing was written`,
      { limit: "forward.pending.max.bytes" },
      100,
    );
  }

  /** Nobody of this term or an older one is asked for a while. */
  #pause(groupId: GroupId, term: Term, ms: number): void {
    const lane = this.#lane(groupId);
    const { clock } = this.#options;
    lane.refusedTerm = Math.max(lane.refusedTerm, term);
    lane.refusedUntil = clock.monotonic() + ms;
    clock.after(ms, () => this.changed(groupId));
  }

  #lane(groupId: GroupId): Lane {
    let lane = this.#lanes.get(groupId);
    if (lane === undefined) {
      lane = { held: [], refusedTerm: -1, refusedUntil: 0, flushing: false };
      this.#lanes.set(groupId, lane);
    }
    return lane;
  }

  #hold(item: Routed, again = false): void {
    const { clock, forwardWaitMs } = this.#options;
    const { call } = item;
    if (this.#closed) return call.fail(new MillraceError("SHUTTING_DOWN", "The broker stops; nothing was written"));
    if (!this.#hasRoom(call)) return call.fail(this.#tooMuch());
    const lane = this.#lane(call.groupId);
    const held: Held = {
      ...item,
      timer: clock.after(Math.max(0, item.until - clock.monotonic()), () => {
        const at = lane.held.indexOf(held);
        if (at < 0) return;
        lane.held.splice(at, 1);
        this.#release(held);
        if (lane.held.length === 0) this.#lanes.delete(call.groupId);
        call.fail(new MillraceError("LEADER_UNKNOWN", `No leader was known for ${forwardWaitMs} ms. Nothing was written`, {}, 100));
      }),
    };
    this.#heldBytes += call.bytes;
    // A call that came back goes before those that came after it: refusals arrive in the order the calls were sent.
    const place = again ? lane.held.filter((other) => this.#returned.has(other.call)).length : lane.held.length;
    if (again) this.#returned.add(call);
    lane.held.splice(place, 0, held);
  }

  #release(held: Held): void {
    held.timer.cancel();
    this.#heldBytes -= held.call.bytes;
    this.#returned.delete(held.call);
  }
}

function notLeader(leader: BrokerId | undefined): MillraceError {
  return new MillraceError(
    "NOT_LEADER",
    `This broker does not lead the partition${leader === undefined ? "" : `; broker ${leader} may`}`,
    leader === undefined ? {} : { leader_id: String(leader) },
  );
}
