import { MillraceError } from "../../base/errors.ts";
import type { ConsumedRecord } from "../consumer/consumed-record.ts";
import type { PartitionName } from "../consumer/consumer.ts";
import { type ConsumerOptions, consumerSettings } from "../consumer/options.ts";

/** Where a partition begins that has no place of its own: at its first record, behind its last one, or not at all. */
export type StartPlace = "start" | "end" | "fail";

/** A partition and a place in it: everything below `offset` is done with. */
export interface CommitPosition extends PartitionName {
  /** Of the next record to be processed. */
  readonly offset: number;
}

/**
 * Says who writes, to a store that can compare: whoever had the partition before has a lower `memberEpoch`, whatever it still believes. A
 * store that keeps (`memberEpoch`, `offset`) per `topicId` and partition, and refuses what is not above, takes every record once.
 */
export interface FencingToken extends PartitionName {
  /** Rises with each owner of the partition in this group, also when the group is deleted and made again. */
  readonly memberEpoch: number;
  readonly offset: number;
  readonly topicId: string;
}

export interface HandlerContext {
  /** Fires when the partition is taken away; `reason` is a `MillraceError`. What the handler still finishes when it is asked back counts. */
  readonly signal: AbortSignal;
  readonly token: FencingToken;
}

/** Done with the record when it returns or its promise resolves. */
export type RecordHandler = (record: ConsumedRecord, context: HandlerContext) => unknown;

/**
 * What follows on a handler that threw. Nothing is left out: "retry" calls it again and again, ever more slowly; "stop" leaves the group and
 * rejects `run`; `skipAndReportTo` writes the record with its cause to that topic, acknowledged by all in-sync replicas, and then goes on.
 */
export type OnError = "retry" | "stop" | { readonly skipAndReportTo: string };

export interface GroupRun {
  /** Names; they need not exist yet. These, a `topicPattern`, or both. */
  readonly topics?: readonly string[];
  /**
   * All topics whose whole name this matches, also those that are made later. The text of a regular expression in the syntax of RE2
   * (https://github.com/google/re2/wiki/Syntax), which the brokers match: a `RegExp` of JavaScript means other things and is refused.
   */
  readonly topicPattern?: string;
  readonly handler: RecordHandler;
  /** Partitions worked on at the same time. Records of one partition are always handled one after the other. Default 8. */
  readonly concurrency?: number;
  /** Default "retry". */
  readonly onError?: OnError;
  /**
   * A handler whose promise takes longer is given up: its signal fires, nothing of it is committed, and this member gives everything back and
   * joins again as another one. Default: never. A handler that blocks the thread also blocks this clock.
   */
  readonly handlerTimeoutMs?: number | undefined;
}

/** Hears of partitions that come and go. A promise is waited for. */
type Told<T extends readonly unknown[]> = (...what: T) => unknown;

export interface GroupConsumerOptions extends ConsumerOptions {
  readonly group: string;
  /** A static member: whoever has this id takes over what its former process had, without a rebalance. One process per id. */
  readonly instanceId?: string;
  readonly rack?: string;
  /** Default: the coordinator's, "uniform". */
  readonly assignor?: "uniform" | "range";
  /** Time to finish what was begun when partitions are asked back; after it this member loses all it has. Default: the coordinator's, 60 s. */
  readonly rebalanceTimeoutMs?: number;
  /** Of partitions nothing is committed of, also those that are added later. Default "start": nothing is left out. */
  readonly startWithoutCommit?: StartPlace;
  /** Of partitions whose log does not hold the committed offset any more. Default "fail". */
  readonly outOfRange?: StartPlace;
  /** False: only what `commit` says. Default true: what was processed. */
  readonly autoCommit?: boolean;
  /** Default 1,000: what is processed twice at most when a process dies. */
  readonly commitIntervalMs?: number;
  /** Before anything of these is handled. */
  readonly onAssigned?: Told<[partitions: readonly PartitionName[]]>;
  /** Nothing of these is being handled any more; after it what was processed is committed, then they are given back. */
  readonly onRevoked?: Told<[partitions: readonly PartitionName[]]>;
  /** These are another's already. `error` says how that came; what of them is being handled still counts for nothing. */
  readonly onLost?: Told<[partitions: readonly PartitionName[], error: MillraceError]>;
  /** These were processed, but the group does not take it: they are processed again, by whoever has them now. */
  readonly onCommitRefused?: Told<[positions: readonly CommitPosition[], error: MillraceError]>;
}

type Optional = "instanceId" | "rack" | "assignor" | "rebalanceTimeoutMs";
type Callbacks = "onAssigned" | "onRevoked" | "onLost" | "onCommitRefused";

export type GroupSettings = Required<Omit<GroupConsumerOptions, Callbacks>> & Pick<GroupConsumerOptions, Callbacks>;

const HOUR_MS = 3_600_000;

/** @throws {MillraceError} INVALID_REQUEST naming the option; names are the coordinator's to judge */
export function groupSettings(options: GroupConsumerOptions): GroupSettings {
  if (typeof options.group !== "string" || options.group === "") refuse("group", "must be the name of a group");
  const defaults: Required<Pick<GroupConsumerOptions, Optional>> = { instanceId: "", rack: "", assignor: "uniform", rebalanceTimeoutMs: 0 };
  return {
    ...options,
    ...consumerSettings(options),
    instanceId: options.instanceId ?? defaults.instanceId,
    rack: options.rack ?? defaults.rack,
    assignor: options.assignor ?? defaults.assignor,
    rebalanceTimeoutMs: whole("rebalanceTimeoutMs", options.rebalanceTimeoutMs ?? 0, 0, HOUR_MS),
    startWithoutCommit: place("startWithoutCommit", options.startWithoutCommit ?? "start"),
    outOfRange: place("outOfRange", options.outOfRange ?? "fail"),
    autoCommit: options.autoCommit ?? true,
    commitIntervalMs: whole("commitIntervalMs", options.commitIntervalMs ?? 1_000, 10, HOUR_MS),
  };
}

export interface RunSettings {
  readonly topics: readonly string[];
  /** Empty: none. */
  readonly topicPattern: string;
  readonly handler: RecordHandler;
  readonly concurrency: number;
  readonly onError: OnError;
  readonly handlerTimeoutMs: number | undefined;
}

/** @throws {MillraceError} INVALID_REQUEST naming the option */
export function runSettings(run: GroupRun): RunSettings {
  const subscription = subscribed(run);
  const { onError = "retry", handlerTimeoutMs } = run;
  if (typeof run.handler !== "function") refuse("handler", "must be a function");
  if (onError !== "retry" && onError !== "stop" && typeof onError.skipAndReportTo !== "string")
    refuse("onError", "must be retry, stop, or { skipAndReportTo }");
  return {
    ...subscription,
    handler: run.handler,
    concurrency: whole("concurrency", run.concurrency ?? 8, 1, 100_000),
    onError,
    handlerTimeoutMs: handlerTimeoutMs === undefined ? undefined : whole("handlerTimeoutMs", handlerTimeoutMs, 1, 24 * HOUR_MS),
  };
}

function subscribed({ topics = [], topicPattern = "" }: GroupRun): Pick<RunSettings, "topics" | "topicPattern"> {
  if (!Array.isArray(topics) || topics.some((name) => typeof name !== "string")) refuse("topics", "must be a list of names");
  if (typeof topicPattern !== "string")
    refuse("topicPattern", "must be a string of RE2's syntax; if a RegExp means the same there, give its source");
  if (topics.length === 0 && topicPattern === "") refuse("topics", "must name at least one, or topicPattern must say which");
  return { topics, topicPattern };
}

function place(option: string, value: StartPlace): StartPlace {
  return ["start", "end", "fail"].includes(value) ? value : refuse(option, `must be start, end or fail: got ${value}`);
}

function whole(option: string, value: number, least: number, most: number): number {
  if (Number.isSafeInteger(value) && value >= least && value <= most) return value;
  return refuse(option, `must be a whole number from ${least} to ${most}: got ${value}`);
}

function refuse(option: string, what: string): never {
  throw new MillraceError("INVALID_REQUEST", `Consumer option ${option} ${what}`, { field: option });
}
