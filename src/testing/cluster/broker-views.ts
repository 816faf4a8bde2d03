import { crc32 } from "node:zlib";
import type { LogIndex } from "../../base/ids.ts";
import type { Frame } from "../../records/frame-types.ts";
import { trimOf } from "../../records/trim.ts";
import type { ReplicaView } from "../checkers/raft/replica-view.ts";
import type { ReplicaUnderTest } from "./broker-under-test.ts";

/** What identifies a frame wherever it lies: its leader filled the header, so every byte is the same on all replicas. */
export function frameHash(frame: Frame): string {
  return crc32(frame.bytes).toString(16);
}

/** A replica of a running, or just died, broker as the invariants look at it. One per replica and life: it is asked after every event. */
export class BrokerReplicaView implements ReplicaView {
  readonly group: number;
  readonly replica: number;
  readonly life: number;
  readonly #under: ReplicaUnderTest;
  readonly #alive: () => boolean;
  #turns = -1;
  #wasAlive = true;

  constructor(under: ReplicaUnderTest, life: number, alive: () => boolean) {
    this.group = under.groupId;
    this.replica = under.id;
    this.life = life;
    this.#under = under;
    this.#alive = alive;
  }

  /**
   * Something was asked of it since this was asked last, or its process died: all else is as it was.
   *
   * @param alive whether its process is, where that is known: of all replicas of a broker it is the same
   */
  moved(alive: boolean = this.#alive()): boolean {
    const { turns } = this.#under;
    const moved = turns !== this.#turns || alive !== this.#wasAlive;
    this.#turns = turns;
    this.#wasAlive = alive;
    return moved;
  }

  get role(): string {
    return this.#alive() ? this.#under.core.role : "dead";
  }
  get term(): number {
    return this.#under.core.term;
  }
  get votedFor(): number | undefined {
    return this.#under.core.votedFor;
  }
  get durableTerm(): number {
    return this.#under.core.durableTerm;
  }
  get durableVote(): number | undefined {
    return this.#under.core.durableVote;
  }
  get commit(): number {
    return this.#under.core.commit;
  }
  get durable(): number {
    return this.#under.core.durable;
  }
  get startIndex(): number {
    return this.#under.log.start.index;
  }
  get startOffset(): number {
    return this.#under.log.startOffset;
  }
  get lastIndex(): number {
    return this.#under.core.lastIndex;
  }
  get voters(): readonly number[] {
    return this.#under.core.configuration.voters;
  }
  get oldVoters(): readonly number[] | undefined {
    return this.#under.core.configuration.old;
  }

  termAt(index: number): number | undefined {
    return this.#under.core.termAt(index as LogIndex);
  }

  unproved(index: number): boolean {
    return this.#under.core.holes.some(({ first, last }) => first <= index && index <= last);
  }

  trimAt(index: number): number | undefined {
    const frame = this.#under.log.frame(index as LogIndex);
    return frame === undefined ? undefined : trimOf(frame);
  }

  hashAt(index: number): string | undefined {
    const frame = this.#under.log.frame(index as LogIndex);
    return frame === undefined ? undefined : frameHash(frame);
  }
}
