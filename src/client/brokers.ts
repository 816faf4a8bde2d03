import { MillraceError } from "../base/errors.ts";
import { invariant } from "../base/invariant.ts";
import type { Clock } from "../base/ports/clock.ts";
import type { Random } from "../base/ports/random.ts";
import type { RpcChannel, RpcClient } from "../base/ports/rpc-client.ts";

/** How long a broker that failed is tried only after all others, milliseconds; twice as long each time it fails again. */
export const AVOID_MS = 1_000;
/** Not longer than this, once it has answered: it may be starting again. */
export const AVOID_KNOWN_MAX_MS = 5_000;
/** Nor than this, when it never did: an address that is good inside a cluster only, behind a port-forward or a load balancer. */
export const AVOID_UNKNOWN_MAX_MS = 60_000;
/** Addresses kept, the bootstrap list included. */
export const ADDRESSES_MAX = 1_024;

interface Place {
  readonly address: string;
  readonly bootstrap: boolean;
  channel: RpcChannel | undefined;
  /** Monotonic time until which it is avoided. */
  avoidUntil: number;
  /** Since it last answered. */
  failures: number;
  /** It answered once. */
  known: boolean;
}

/**
 * The addresses a client knows: the bootstrap list, of which some may be dead, and whatever metadata named since.
 * Any broker answers any request, so all that matters here is which one answers at all.
 */
export class Brokers {
  readonly #rpc: RpcClient;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #places = new Map<string, Place>();
  #next = 0;

  /** @param bootstrap at least one "host:port" */
  constructor(bootstrap: readonly string[], rpc: RpcClient, clock: Clock, random: Random) {
    invariant(bootstrap.length > 0, "a client needs at least one broker address");
    this.#rpc = rpc;
    this.#clock = clock;
    this.#random = random;
    for (const address of bootstrap) this.#add(address, true);
    // Many clients with one list must not all start at its head.
    this.#next = random.below(this.#places.size);
  }

  get addresses(): readonly string[] {
    return [...this.#places.keys()];
  }

  #add(address: string, bootstrap: boolean): Place {
    const place: Place = { address, bootstrap, channel: undefined, avoidUntil: 0, failures: 0, known: false };
    this.#places.set(address, place);
    return place;
  }

  /** Takes over what metadata says: new brokers are added, those it no longer names leave, the bootstrap list stays. */
  learn(addresses: readonly string[]): void {
    if (addresses.length === 0) return;
    const named = new Set(addresses);
    for (const place of this.#places.values()) {
      if (place.bootstrap || named.has(place.address)) continue;
      place.channel?.close();
      this.#places.delete(place.address);
    }
    for (const address of named) if (!this.#places.has(address) && this.#places.size < ADDRESSES_MAX) this.#add(address, false);
  }

  channel(address: string): RpcChannel {
    const place = this.#places.get(address) ?? this.#add(address, false);
    place.channel ??= this.#rpc.channel(address);
    return place.channel;
  }

  failed(address: string): void {
    const place = this.#places.get(address);
    if (place === undefined) return;
    const now = this.#clock.monotonic();
    // Of several calls that fail together the first one counts.
    if (place.avoidUntil <= now) place.failures++;
    const longest = place.known ? AVOID_KNOWN_MAX_MS : AVOID_UNKNOWN_MAX_MS;
    const avoidMs = Math.min(longest, AVOID_MS * 2 ** Math.min(place.failures - 1, 16));
    place.avoidUntil = now + avoidMs / 2 + this.#random.below(avoidMs / 2);
  }

  answered(address: string): void {
    const place = this.#places.get(address);
    if (place === undefined) return;
    place.avoidUntil = 0;
    place.failures = 0;
    place.known = true;
  }

  /** Worth leaving a broker for that answers: it did so itself since it last failed, or was never tried. */
  isWorthMoving(address: string): boolean {
    const place = this.#places.get(address);
    return place === undefined || place.failures === 0 || (place.known && place.avoidUntil <= this.#clock.monotonic());
  }

  isAvoided(address: string): boolean {
    const place = this.#places.get(address);
    return place !== undefined && place.avoidUntil > this.#clock.monotonic();
  }

  /**
   * The next broker in turn that did not fail lately and is not `except`, one that never answered and failed before only when there is no
   * other; when all failed lately, the one whose time is over first.
   */
  pick(except?: string): string {
    const places = [...this.#places.values()];
    const now = this.#clock.monotonic();
    let best: Place | undefined;
    let doubtful: number | undefined;
    for (let i = 0; i < places.length; i++) {
      const place = places[(this.#next + i) % places.length] as Place;
      if (place.address === except && places.length > 1) continue;
      if (place.avoidUntil <= now && place.failures > 0 && !place.known) doubtful ??= i;
      else if (place.avoidUntil <= now) {
        this.#next = (this.#next + i + 1) % places.length;
        return place.address;
      }
      if (best === undefined || place.avoidUntil < best.avoidUntil) best = place;
    }
    if (doubtful !== undefined) {
      const at = (this.#next + doubtful) % places.length;
      this.#next = (at + 1) % places.length;
      return (places[at] as Place).address;
    }
    if (best === undefined) throw new MillraceError("BROKERS_UNREACHABLE", "No broker address is known");
    return best.address;
  }

  close(): void {
    for (const place of this.#places.values()) place.channel?.close();
    this.#places.clear();
  }
}
