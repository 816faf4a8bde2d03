import { MillraceError } from "../base/errors.ts";
import { invariant } from "../base/invariant.ts";
import type { Clock } from "../base/ports/clock.ts";
import type { Random } from "../base/ports/random.ts";
import type { RpcChannel, RpcClient } from "../base/ports/rpc-client.ts";

/** How long a broker that failed is tried only after all others, milliseconds. */
export const AVOID_MS = 1_000;
/** Addresses kept, the bootstrap list included. */
export const ADDRESSES_MAX = 1_024;

interface Place {
  readonly address: string;
  readonly bootstrap: boolean;
  channel: RpcChannel | undefined;
  /** Monotonic time until which it is avoided. */
  avoidUntil: number;
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
    const place: Place = { address, bootstrap, channel: undefined, avoidUntil: 0 };
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
    if (place !== undefined) place.avoidUntil = this.#clock.monotonic() + AVOID_MS / 2 + this.#random.below(AVOID_MS / 2);
  }

  answered(address: string): void {
    const place = this.#places.get(address);
    if (place !== undefined) place.avoidUntil = 0;
  }

  isAvoided(address: string): boolean {
    const place = this.#places.get(address);
    return place !== undefined && place.avoidUntil > this.#clock.monotonic();
  }

  /** The next broker in turn that did not fail lately and is not `except`; when all did, the one that failed longest ago. */
  pick(except?: string): string {
    const places = [...this.#places.values()];
    const now = this.#clock.monotonic();
    let best: Place | undefined;
    for (let i = 0; i < places.length; i++) {
      const place = places[(this.#next + i) % places.length] as Place;
      if (place.address === except && places.length > 1) continue;
      if (place.avoidUntil <= now) {
        this.#next = (this.#next + i + 1) % places.length;
        return place.address;
      }
      if (best === undefined || place.avoidUntil < best.avoidUntil) best = place;
    }
    if (best === undefined) throw new MillraceError("BROKERS_UNREACHABLE", "No broker address is known");
    return best.address;
  }

  close(): void {
    for (const place of this.#places.values()) place.channel?.close();
    this.#places.clear();
  }
}
