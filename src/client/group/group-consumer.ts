import { MillraceError } from "../../base/errors.ts";
import type { ConsumedRecord } from "../consumer/consumed-record.ts";
import type { PartitionName } from "../consumer/consumer.ts";
import type { ClientCore } from "../core.ts";
import { CLOSE_MS, GroupLoop } from "./group-loop.ts";
import { Handover } from "./handover.ts";
import {
  type CommitPosition,
  type GroupConsumerOptions,
  type GroupRun,
  type GroupSettings,
  groupSettings,
  runSettings,
} from "./options.ts";
import { keeperAside, keeperHere } from "./start-keeper.ts";

export interface CloseGroupOptions {
  /** Handlers and callbacks at work have so long to finish; then the group is left all the same. Default 30 s. */
  readonly timeoutMs?: number;
  /** A static member, too, leaves for good, and its partitions go to others at once. Default false. */
  readonly forGood?: boolean;
}

/**
 * One member of a consumer group: the coordinator gives it partitions and takes them away as members come and go; each record of them is
 * handled at least once by some member, in order per partition, and what was handled is committed.
 *
 * Heartbeats leave from a thread of their own: a handler may take as long as it likes, or block this thread, and no partition moves for it.
 */
export class GroupConsumer {
  readonly #core: ClientCore;
  readonly #settings: GroupSettings;
  readonly #gone: () => void;
  #loop: GroupLoop | undefined;
  #closed = false;

  /** @param gone called once it is closed @throws {MillraceError} INVALID_REQUEST naming the option */
  constructor(core: ClientCore, options: GroupConsumerOptions, gone: () => void = () => undefined) {
    this.#core = core;
    this.#settings = groupSettings(options);
    this.#gone = gone;
  }

  /** What it holds now, or still has to give back. */
  get partitions(): readonly PartitionName[] {
    return this.#loop?.partitions ?? [];
  }

  /**
   * Joins the group and handles records until it is closed.
   *
   * @throws {MillraceError} INVALID_REQUEST; INSTANCE_FENCED and others that would come again; OffsetOutOfRange and NoCommittedOffset where
   *   the options say "fail"; with `onError: "stop"`, what the handler threw. The group was left then
   */
  async run(run: GroupRun): Promise<void> {
    if (this.#closed) throw new MillraceError("CLIENT_CLOSED", "The consumer is closed");
    if (this.#loop !== undefined) throw new MillraceError("INVALID_REQUEST", "A group consumer runs once; make another one");
    const { threads } = this.#core.ports;
    const start = threads === undefined ? keeperHere(this.#core.ports) : keeperAside(threads);
    this.#loop = new GroupLoop(this.#core, { settings: this.#settings, run: runSettings(run) }, start);
    try {
      await this.#loop.done;
    } finally {
      this.#closed = true;
      this.#gone();
    }
  }

  /**
   * Records one at a time, of all partitions in turn. A record is done with when the next one is asked for; leaving the loop leaves the
   * group, and the record at hand is handled again by whoever comes next. @throws {MillraceError} as `run`
   */
  async *records(subscription: Pick<GroupRun, "topics" | "topicPattern">): AsyncGenerator<ConsumedRecord> {
    const handover = new Handover();
    const running = this.run({ ...subscription, concurrency: 1, handler: (record) => handover.give(record) });
    const ended = running.finally(() => handover.end());
    // Whoever leaves the loop early does not wait for it.
    ended.catch(() => undefined);
    try {
      for (let record = await handover.take(); record !== undefined; record = await handover.take()) yield record;
      await ended;
    } finally {
      const closed = this.close();
      handover.leave();
      await closed;
    }
  }

  /** Hands no records of these to the handler until they are resumed; what is being handled goes on. They stay in the hands of this member. */
  pause(names: readonly PartitionName[]): void {
    this.#loop?.setPaused(names, true);
  }

  resume(names: readonly PartitionName[]): void {
    this.#loop?.setPaused(names, false);
  }

  /**
   * Commits now, and resolves once that is durable. Never needed while `autoCommit` is on, but then too it resolves once what was processed is
   * committed.
   *
   * @param positions next offsets to be processed, at most one above the record that is being handled. Absent: all that was processed
   * @throws {MillraceError} PARTITION_NOT_OWNED, INVALID_REQUEST; or why the partition was lost
   */
  async commit(positions?: readonly CommitPosition[]): Promise<void> {
    if (this.#loop === undefined) throw new MillraceError("INVALID_REQUEST", "Nothing is assigned before run");
    await this.#loop.commit(positions);
  }

  /** Resolves when nothing is under way any more, however it ended. @internal */
  get ended(): Promise<void> {
    return this.#loop?.done.catch(() => undefined) ?? Promise.resolve();
  }

  /** Whether this is called by a handler or a callback of it. @internal */
  get isInside(): boolean {
    return this.#loop?.isInside === true;
  }

  /**
   * Begins nothing new, lets handlers finish, commits what was processed and leaves the group, for which it takes up to 7 s more when brokers do
   * not answer. Their signals fire. Called by a handler or a callback it resolves at once, because it cannot wait for its caller; `run` ends when
   * everything has.
   */
  async close(options: CloseGroupOptions = {}): Promise<void> {
    if (this.#loop === undefined && !this.#closed) this.#gone();
    this.#closed = true;
    await this.#loop?.close(options.timeoutMs ?? CLOSE_MS, options.forGood ?? false);
  }
}
