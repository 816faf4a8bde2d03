import type { BrokerId, ReplicaId } from "../../base/ids.ts";
import type { Clock } from "../../base/ports/clock.ts";
import type { Telemetry } from "../../base/ports/telemetry.ts";
import { isNoSpace } from "../../log/disk-space.ts";
import type { LogStore } from "../../log/types.ts";
import type { Replica } from "../replica.ts";

/** Pause before it is looked again whether every replica of this disk was made, milliseconds. */
const RETRY_MS = 1_000;

export interface AmnesiaPorts {
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly store: Pick<
    LogStore,
    "forgot" | "maybeForgotten" | "registered" | "remembered" | "admit" | "durableBlockSequence" | "admittedBlockSequence"
  >;
  readonly replicas: () => Iterable<Replica>;
  /** This broker is registered: its image names every replica that was ever placed on this disk. */
  readonly registered: () => boolean;
  /** Waits until nothing is being made. @returns whether every replica the image places on this disk is there */
  readonly allMade: () => Promise<boolean>;
  readonly failed: (error: unknown) => void;
}

/**
 * What this disk forgot (design §4, ADR 0009, ADR 0012). A damaged log knows that replicas may be missing from it; an old copy of a disk
 * does not, but a peer that heard how far the disk once was can tell. Either way whatever is opened or made here is doubted, until every
 * replica that the metadata places on this disk was really made again; from then on a new one is new. One whose id was given out after this
 * process registered is new before that: what is forgotten was made by former ones, and the metadata had recorded it.
 */
export class Amnesia {
  readonly #ports: AmnesiaPorts;
  #admitting = 0;
  #recalling = false;
  #closed = false;

  constructor(ports: AmnesiaPorts) {
    this.#ports = ports;
  }

  /** That broker once heard of so many blocks of this disk. With fewer than that, votes and entries are gone (scenario 70). */
  remembers(broker: BrokerId, blockSequence: number): void {
    const { store, telemetry, replicas, failed } = this.#ports;
    const known = Math.max(store.durableBlockSequence, store.admittedBlockSequence, this.#admitting);
    if (blockSequence <= known || this.#closed) return;
    this.#admitting = blockSequence;
    telemetry.log("warn", "log.peer_remembers_more", { broker, blockSequence, here: store.durableBlockSequence });
    const admitted = store.admit(blockSequence);
    for (const replica of replicas()) if (store.maybeForgotten(replica.id)) replica.quarantine();
    admitted.then(
      () => this.recall(),
      (error: unknown) => {
        // Without room to say so: the next handshake asks for it again.
        if (!isNoSpace(error)) failed(error);
        else this.#admitting = 0;
      },
    );
  }

  /** This broker has registered, and replica ids are given out from `next` on. */
  registered(next: ReplicaId): void {
    this.#ports.store.registered(next).then(
      () => this.recall(),
      (error: unknown) => {
        if (!isNoSpace(error)) return this.#ports.failed(error);
        this.recall();
        // Who is made meanwhile is new for this process only, and doubted by the next one, until the disk says so.
        this.#ports.clock.after(RETRY_MS, () => {
          if (!this.#closed) this.registered(next);
        });
      },
    );
  }

  /** Takes the doubt of what will be made later back, as soon as that is right. */
  recall(): void {
    if (this.#recalling || this.#closed || !this.#ports.store.forgot) return;
    this.#recalling = true;
    this.#recall()
      .then((done) => {
        this.#recalling = false;
        if (!done) this.#ports.clock.after(RETRY_MS, () => this.recall());
      })
      .catch(this.#ports.failed);
  }

  close(): void {
    this.#closed = true;
  }

  async #recall(): Promise<boolean> {
    const { registered, allMade, store } = this.#ports;
    // A broker that is told to stop ends its registration and its making of replicas half-way: neither proves anything.
    if (!registered() || !(await allMade()) || this.#closed) return false;
    try {
      await store.remembered();
      return !store.forgot;
    } catch (error) {
      if (!isNoSpace(error)) throw error;
      return false;
    }
  }
}
