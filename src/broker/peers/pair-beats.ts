import type { BrokerId, ReplicaId } from "../../base/ids.ts";
import type { Clock } from "../../base/ports/clock.ts";
import { isBlockSequence } from "../../log/model/block-sequence.ts";
import type { Ticking } from "../ticker.ts";
import { BadPeerMessage } from "./raft-codec.ts";

/** Four little-endian float64: number of this beat, newest number heard of the other side, epoch, durable block sequence. */
const BEAT_BYTES = 32;

/** Written here, and copied out: a small array of its own needs no memory outside of the heap. */
const scratch = new DataView(new ArrayBuffer(BEAT_BYTES));
const scratchBytes = new Uint8Array(scratch.buffer);

/** Two replicas of one group that rest (ADR 0016), as the broker of one of them sees it. */
export interface Rest {
  readonly broker: BrokerId;
  /** The replica there. */
  readonly with: ReplicaId;
  /** The one here leads. */
  readonly leads: boolean;
  /** The other broker is not heard any more. */
  ended(): void;
}

/** This broker and another one. */
interface Pair {
  readonly broker: BrokerId;
  readonly rests: Set<Rest>;
  /** Number of the last beat that was sent, and the newest that the other side has said it heard. */
  sent: number;
  echoed: number;
  /** Number of the newest beat that was heard. */
  heard: number;
  /** Monotonic: when a beat was last heard, and when one that had heard a newer beat of ours. */
  heardAt: number;
  answeredAt: number;
  /** Rises when this side gave up all its rests without a word that is sure to arrive. */
  epoch: number;
  theirEpoch: number | undefined;
}

export interface PairBeatsPorts {
  readonly clock: Clock;
  readonly heartbeatMs: number;
  /** So long without a beat is silence: as long as a follower waits for its leader at least. */
  readonly silentMs: number;
  send(broker: BrokerId, body: Uint8Array): void;
  /** Of this broker's disk. */
  blockSequence(): number;
  /** The deadline moved earlier. */
  wakeAt(deadline: number): void;
}

/**
 * What stands for the heartbeats of all groups that rest: one small message per heartbeat between two brokers, in each direction, and
 * nothing per group. Each beat echoes the newest one heard, so it is the answer to the other side's beats too: a leader counts only what
 * answers it (a cut of one direction is silence), a follower what it hears.
 *
 * When a pair is silent for `silentMs`, its connection is lost, or something said on it may be, all that rests on it ends, on both sides:
 * by the silence itself, by the connection, or by the epoch in the next beat.
 */
export class PairBeats implements Ticking {
  readonly #ports: PairBeatsPorts;
  readonly #pairs = new Map<BrokerId, Pair>();
  #beatAt = Infinity;
  /** When this was last asked for anything: if that is long ago although a beat was due since, this process stood still. */
  #awakeAt = Number.NEGATIVE_INFINITY;

  constructor(ports: PairBeatsPorts) {
    this.#ports = ports;
  }

  /** The other side has just agreed. */
  begin(rest: Rest): void {
    const pair = this.#pair(rest.broker);
    const now = this.#awake();
    pair.rests.add(rest);
    pair.heardAt = now;
    if (rest.leads || pair.rests.size === 1) pair.answeredAt = now;
    if (this.#beatAt !== Infinity) return;
    this.#beatAt = this.#nextBeat(now);
    this.#ports.wakeAt(this.nextDeadline);
  }

  end(rest: Rest): void {
    this.#pairs.get(rest.broker)?.rests.delete(rest);
  }

  /** When the other broker was last heard, as this rest counts it. */
  contact({ broker, leads }: Rest): number {
    this.#awake();
    const { answeredAt, heardAt } = this.#pair(broker);
    return leads ? answeredAt : heardAt;
  }

  /** The control connection is lost, or another one has taken its place. */
  lost(broker: BrokerId): void {
    const pair = this.#pairs.get(broker);
    if (pair === undefined) return;
    pair.theirEpoch = undefined;
    this.#endAll(pair);
  }

  /** Something that was said to this broker did not leave: what it thinks of our replicas may be wrong. */
  dropped(broker: BrokerId): void {
    const pair = this.#pairs.get(broker);
    if (pair === undefined) return;
    pair.epoch++;
    this.#endAll(pair);
  }

  /** @returns the durable block sequence of the other broker's disk @throws {BadPeerMessage} */
  heard(broker: BrokerId, body: Uint8Array): number {
    const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
    const number = (place: number): number => view.getFloat64(8 * place, true);
    if (body.byteLength !== BEAT_BYTES || ![0, 1, 2].every((place) => Number.isSafeInteger(number(place))) || !isBlockSequence(number(3)))
      throw new BadPeerMessage(`a beat of ${body.byteLength} bytes that is none`);
    const pair = this.#pair(broker);
    const now = this.#awake();
    pair.heardAt = now;
    pair.heard = number(0);
    const echo = number(1);
    if (echo > pair.echoed && echo <= pair.sent) {
      pair.echoed = echo;
      pair.answeredAt = now;
    }
    const epoch = number(2);
    const gaveUp = pair.theirEpoch !== undefined && pair.theirEpoch !== epoch;
    pair.theirEpoch = epoch;
    if (gaveUp) this.#endAll(pair);
    return number(3);
  }

  get nextDeadline(): number {
    let earliest = this.#beatAt;
    for (const pair of this.#pairs.values()) if (pair.rests.size > 0) earliest = Math.min(earliest, this.#silentAt(pair));
    return earliest;
  }

  tick(): void {
    const now = this.#awake();
    const due = now >= this.#beatAt;
    let some = false;
    for (const pair of this.#pairs.values()) {
      if (pair.rests.size === 0) continue;
      if (now >= this.#silentAt(pair)) {
        pair.epoch++;
        this.#endAll(pair);
        continue;
      }
      some = true;
      if (due) this.#beat(pair);
    }
    if (!some) this.#beatAt = Infinity;
    else if (due) this.#beatAt = this.#nextBeat(now);
  }

  /** A process that was stopped has no evidence against others: what they said lies unread. They are waited for a little longer. */
  #awake(): number {
    const { clock, heartbeatMs, silentMs } = this.#ports;
    const now = clock.monotonic();
    const stoodStill = this.#beatAt !== Infinity && now - Math.max(this.#awakeAt, this.#beatAt) > 3 * heartbeatMs;
    this.#awakeAt = now;
    if (!stoodStill) return now;
    const heardAt = now + 2 * heartbeatMs - silentMs;
    for (const pair of this.#pairs.values()) {
      if (pair.rests.size === 0) continue;
      pair.heardAt = Math.max(pair.heardAt, heardAt);
      pair.answeredAt = Math.max(pair.answeredAt, heardAt);
    }
    return now;
  }

  /** Each side that leads waits for an answer, each that follows for a word. */
  #silentAt({ answeredAt, heardAt }: Pair): number {
    return Math.min(answeredAt, heardAt) + this.#ports.silentMs;
  }

  /** With those of groups that do not rest, which leave at multiples of the heartbeat too. */
  #nextBeat(now: number): number {
    const { heartbeatMs } = this.#ports;
    return (Math.floor(now / heartbeatMs) + 1) * heartbeatMs;
  }

  #beat(pair: Pair): void {
    scratch.setFloat64(0, ++pair.sent, true);
    scratch.setFloat64(8, pair.heard, true);
    scratch.setFloat64(16, pair.epoch, true);
    scratch.setFloat64(24, this.#ports.blockSequence(), true);
    this.#ports.send(pair.broker, scratchBytes.slice());
  }

  #endAll(pair: Pair): void {
    const rests = [...pair.rests];
    pair.rests.clear();
    for (const rest of rests) rest.ended();
  }

  #pair(broker: BrokerId): Pair {
    let pair = this.#pairs.get(broker);
    if (pair === undefined) {
      const never = Number.NEGATIVE_INFINITY;
      pair = {
        broker,
        rests: new Set(),
        sent: 0,
        echoed: 0,
        heard: 0,
        heardAt: never,
        answeredAt: never,
        epoch: 1,
        theirEpoch: undefined,
      };
      this.#pairs.set(broker, pair);
    }
    return pair;
  }
}
