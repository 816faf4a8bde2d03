import { type BrokerId, type GroupId, type LogIndex, type ReplicaId, type Term, toLogIndex, toTerm } from "../../base/ids.ts";
import { InvariantViolated, invariant } from "../../base/invariant.ts";
import type { Clock } from "../../base/ports/clock.ts";
import type { GroupLog } from "../../log/types.ts";
import { ResetAnswer } from "../../protocol/routing.ts";
import type { Progress } from "../../raft/types.ts";
import type { Frame } from "../../records/frame-types.ts";
import type { PeerLinks } from "../peers/peer-links.ts";
import type { Replica } from "../replica.ts";
import { CatchUpRate, DECIDE_MS } from "./catch-up-rate.ts";
import { Pace } from "./pace.ts";
import { encodeOffer } from "./reset-offer.ts";
import type { Strain } from "./strain.ts";
import { Turns } from "./turns.ts";

/** Names the method of the bulk connection by which a follower is told to begin where its leader's log begins (design §5 *reset*). */
export const RESET_METHOD = "replica.reset";
/** Names the method of the bulk connection that carries committed frames to a far-behind follower (design §5 *extend*). */
export const EXTEND_METHOD = "replica.extend";

/**
 * A follower's answer to a piece is one of these bytes, or none when the piece was not taken. Whoever knows the second only by its length
 * goes on as after the first.
 */
export const TAKEN = 0;
export const TAKEN_SUFFERING = 1;

/** Frames of one bulk message: what the rate sends between two decisions, within these bounds. */
const CHUNK_BYTES_MIN = 64 * 1024;
const CHUNK_BYTES_MAX = 1024 * 1024;
/** A piece that is not answered for so long ends the attempt; Raft asks where the follower's log ends and begins another. */
const ANSWER_MS = 10_000;

export interface CatchUpLimits {
  /** At most, over all followers this broker streams to; 0: no limit, whoever suffers. */
  readonly bytesPerSecond: number;
  /** Followers streamed to at the same time. */
  readonly atOnceMax: number;
}

/** What a stream needs of the leader's replica. */
export interface Streamed extends Pick<Replica, "groupId" | "leads" | "extended"> {
  readonly core: { progress(replica: ReplicaId): Pick<Progress, "mode" | "match"> | undefined };
  readonly log: Pick<GroupLog, "read">;
}

/**
 * The leader's side of bulk catch-up (design §5): committed frames to followers that are too far behind for appends, piece after piece,
 * each answered when it is durable there. Catch-ups take turns and share one rate, which gives way to what this broker and the followers
 * do for their clients. An attempt that breaks is not resumed from here: the next one begins where the follower's disk is.
 */
export class CatchUp {
  readonly #links: Pick<PeerLinks, "call">;
  readonly #turns: Turns;
  readonly #rate: CatchUpRate;
  readonly #pace: Pace;
  /** The newest stream to each follower, until it has ended. */
  readonly #streams = new Map<ReplicaId, Promise<void>>();

  constructor(clock: Clock, links: Pick<PeerLinks, "call">, limits: CatchUpLimits, strain: Pick<Strain, "suffers">) {
    this.#links = links;
    this.#turns = new Turns(limits.atOnceMax);
    this.#rate = new CatchUpRate(limits.bytesPerSecond);
    this.#pace = new Pace(clock, (now, idleMs) => this.#rate.ask(now, idleMs, strain.suffers));
  }

  /** What the rate is at; 0: no limit. */
  get bytesPerSecond(): number {
    return this.#rate.bytesPerSecond;
  }

  get #chunkBytes(): number {
    if (this.bytesPerSecond === 0) return CHUNK_BYTES_MAX;
    return Math.min(CHUNK_BYTES_MAX, Math.max(CHUNK_BYTES_MIN, (this.bytesPerSecond / 1000) * DECIDE_MS));
  }

  /**
   * Streams `from`…`upTo`, then tells the core how far it came. One stream to a follower at a time: the core may ask for the next one before
   * the last piece of the former was answered, and two would take each other's end for their own, one after the other.
   */
  extend(replica: Streamed, to: ReplicaId, broker: BrokerId | undefined, from: LogIndex, upTo: LogIndex): Promise<void> {
    const former = this.#streams.get(to);
    const isNewest = (): boolean => this.#streams.get(to) === stream;
    const stream = (former ?? Promise.resolve()).then(() => this.#extend(replica, to, broker, from, upTo, isNewest));
    this.#streams.set(to, stream);
    return stream.finally(() => {
      if (isNewest()) this.#streams.delete(to);
    });
  }

  async #extend(
    replica: Streamed,
    to: ReplicaId,
    broker: BrokerId | undefined,
    from: LogIndex,
    upTo: LogIndex,
    isNewest: () => boolean,
  ): Promise<void> {
    const done = await this.#turns.take();
    // What a piece of the former stream brought is there.
    const there = replica.core.progress(to)?.match ?? 0;
    let match = there < from ? undefined : (there as LogIndex);
    try {
      for (let next = Math.max(from, there + 1) as LogIndex; broker !== undefined && next <= upTo; ) {
        // While it waited for its turn or its pace another may have become leader: then this stream is nobody's.
        if (!isNewest() || !replica.leads || replica.core.progress(to)?.mode !== "extend") break;
        const read = await replica.log.read(next, this.#chunkBytes, upTo);
        if (read.kind === "below-start" || read.frames.length === 0) break;
        const last = read.frames.at(-1);
        invariant(last !== undefined && last.index >= next, "a read returns frames from where it was asked");
        await this.#pace.take(read.frames.reduce((sum, frame) => sum + frame.bytes.byteLength, 0));
        if (!(await this.#send(broker, replica.groupId, to, read.frames))) break;
        match = last.index;
        next = (last.index + 1) as LogIndex;
      }
    } catch (error) {
      // The group is being deleted, or a read failed (which the log has said): this attempt ends, Raft asks again.
      if (error instanceof InvariantViolated) throw error;
    } finally {
      done();
      if (isNewest()) replica.extended(to, match);
    }
  }

  /** Tells a follower to begin where this log begins; then appends or `extend` bring it what is still there. */
  async reset(replica: Replica, to: ReplicaId, broker: BrokerId | undefined): Promise<void> {
    const done = await this.#turns.take();
    let start: { readonly index: LogIndex; readonly term: Term } | undefined;
    try {
      if (broker !== undefined && replica.leads && replica.core.progress(to)?.mode === "reset") {
        replica.offering(to, replica.log.start.index);
        const point = await replica.log.startState();
        const body = encodeOffer(replica, to, point);
        await this.#pace.take(body.byteLength);
        start = await this.#offer(broker, body);
      }
    } catch (error) {
      if (error instanceof InvariantViolated) throw error;
    } finally {
      done();
      replica.resetDone(to, start);
    }
  }

  #offer(broker: BrokerId, body: Uint8Array): Promise<{ readonly index: LogIndex; readonly term: Term } | undefined> {
    return new Promise((resolve) => {
      this.#links.call(broker, RESET_METHOD, [body], ANSWER_MS, (outcome) => {
        const answer = "body" in outcome ? ResetAnswer.decode(outcome.body) : undefined;
        resolve(answer?.begun === true ? { index: toLogIndex(answer.index), term: toTerm(answer.term) } : undefined);
      });
    });
  }

  #send(broker: BrokerId, groupId: GroupId, to: ReplicaId, frames: readonly Frame[]): Promise<boolean> {
    const head = new Uint8Array(16);
    const view = new DataView(head.buffer);
    view.setFloat64(0, groupId, true);
    view.setFloat64(8, to, true);
    return new Promise((resolve) => {
      this.#links.call(broker, EXTEND_METHOD, [head, ...frames.map((frame) => frame.bytes)], ANSWER_MS, (outcome) => {
        const word = "body" in outcome && outcome.body.byteLength === 1 ? outcome.body[0] : undefined;
        this.#rate.tell(word === TAKEN_SUFFERING);
        resolve(word !== undefined);
      });
    });
  }
}
