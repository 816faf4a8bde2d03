import type { BrokerConfig } from "../../base/broker-config.ts";
import { MillraceError } from "../../base/errors.ts";
import type { BrokerId } from "../../base/ids.ts";
import type { Clock } from "../../base/ports/clock.ts";
import type { Inflate } from "../../base/ports/inflate.ts";
import type { CallContext, RpcServer, ServerStream } from "../../base/ports/rpc-server.ts";
import { callerGone, type Until, whileCalled } from "../../base/until.ts";
import type { MessageInput } from "../../protocol/codec/index.ts";
import {
  FetchRequest,
  FetchResponse,
  InitProducerRequest,
  InitProducerResponse,
  ListOffsetsRequest,
  ListOffsetsResponse,
  ProduceRequest,
  ProduceResponse,
  SubscribeRequest,
} from "../../protocol/public.ts";
import type { LagAges } from "../partition/lag-ages.ts";
import type { AppendBatch, Appended } from "../partition/partition.ts";
import { readRequestOf, waitWithin } from "./fetch-codec.ts";
import { listOffsets, positionsOf } from "./list-offsets.ts";
import { requireDistinct } from "./named-partitions.ts";
import { OffsetLookups } from "./offset-lookups.ts";
import { OpenPartitions } from "./open-partitions.ts";
import { batchOf } from "./produce-request.ts";
import { type Prepared, ProduceStreamSession } from "./produce-stream.ts";
import type { ReplyRoom } from "./reply-room.ts";
import { StreamRoom } from "./stream-room.ts";
import { Subscription, type SubscriptionBackend } from "./subscription.ts";
import { readForSubscription } from "./subscription-read.ts";

/** One partition as a request names it, resolved against the metadata. */
export interface Target {
  readonly topic: string;
  readonly partition: number;
  readonly groupId: number;
  readonly maxMessageBytes: number;
}

export interface RouteOptions {
  /** Monotonic. */
  readonly deadline: number;
  /** NOT_LEADER instead of holding or forwarding. */
  readonly direct: boolean;
}

export interface OffsetsOf {
  readonly logStartOffset: number;
  readonly highWatermark: number;
  readonly found: { readonly offset: number; readonly timestamp: number } | undefined;
  readonly leaderId: BrokerId;
  readonly term: number;
  /** Of the partition on the leader's disk. */
  readonly sizeBytes: number;
  /** Only when they were asked for, and could be read. */
  readonly ages?: LagAges | undefined;
  /** The place that was asked about is not in the log any more: it lost its end there. */
  readonly truncated?: boolean;
}

/** A place in a log: everything below `offset` was read, the last of it in `term`. */
export interface LogPlace {
  readonly offset: number;
  readonly term: number;
}

export interface OffsetsOptions extends RouteOptions {
  /** Also how old the first record is that a reader who is here has not done with, and the newest one. */
  readonly agesFrom?: number;
  /** Instead: whether the log still has this place. */
  readonly place?: LogPlace;
}

/** What the services need of the broker: names resolved, calls routed to leaders wherever they are. */
export interface LogBackend {
  /**
   * At once when the local image knows it; else behind a read barrier. @param topicId what the name must stand for; empty: anything
   * @throws {MillraceError} UNKNOWN_TOPIC, UNKNOWN_PARTITION, NOT_READY
   */
  resolve(topic: string, partition: number, until: Until, topicId?: string): Target | Promise<Target>;
  /** The topic that has this name, and how many partitions it has. @param topicId as of `resolve` @throws {MillraceError} UNKNOWN_TOPIC, NOT_READY */
  topicOf(topic: string, until: Until, topicId?: string): Promise<{ readonly topicId: string; readonly partitions: number }>;
  /** The topic that has this name as recorded when this is called. @throws {MillraceError} UNKNOWN_TOPIC, NOT_READY */
  latestOf(topic: string, until: Until): Promise<{ readonly topicId: string }>;
  append(
    target: Target,
    batch: AppendBatch,
    options: RouteOptions,
    done: (outcome: (Appended & { readonly leaderId: BrokerId }) | MillraceError) => void,
  ): () => void;
  read(target: Target, request: FetchRequest, options: RouteOptions, done: (outcome: FetchResponse | MillraceError) => void): () => void;
  /** @returns gives it up: `done` is not called any more, and nothing is searched for it */
  offsets(
    target: Target,
    timeMs: number | undefined,
    options: OffsetsOptions,
    done: (outcome: OffsetsOf | MillraceError) => void,
  ): () => void;
  allocateProducer(until: Until): Promise<number>;
  clientAddress(broker: BrokerId): string;
  /** This broker leads the partition and takes appends now. */
  leadsHere(target: Target): boolean;
}

/** A batch with where it goes. The backend is the one that admitted it: a broker that begins to stop still answers what it took. */
interface Routed extends Prepared {
  readonly target: Target;
  readonly backend: LogBackend;
}

const service = "/millrace.v1.LogService";
/** Time that the controller has to say which topic a subscription by name is of: ends of what was heard wait for it. */
const SETTLE_MS = 3_000;
/** Calls without a deadline get this one: nothing waits for ever. */
const DEFAULT_DEADLINE_MS = 60_000;

/**
 * Registers `millrace.v1.LogService`.
 * @param running the broker's parts; throws NOT_READY or SHUTTING_DOWN while it does not serve
 * @param room for the answers of all services
 * @returns ends the open streams: those that produce once all they took is answered, or after the grace
 */
export function registerLogService(
  server: RpcServer,
  running: () => LogBackend,
  config: BrokerConfig,
  clock: Clock,
  inflate: Inflate,
  room: ReplyRoom,
): (error: MillraceError, graceMs: number) => Promise<void> {
  const open = new Set<ProduceStreamSession | Subscription>();
  const streams = new StreamRoom(config.limits.streamPendingMaxBytes);
  const subscribed = new OpenPartitions(config.limits.subscribePartitionsMax);
  let whenEmpty: () => void = () => {};
  const gone = (session: ProduceStreamSession | Subscription): void => {
    open.delete(session);
    if (open.size === 0) whenEmpty();
  };
  const deadlineOf = (call: CallContext): number => call.deadline ?? clock.monotonic() + DEFAULT_DEADLINE_MS;
  const untilOf = (call: CallContext): Until => ({ deadline: deadlineOf(call), caller: call });

  const prepare = (request: ProduceRequest, until: Until): Routed | Promise<Routed> => {
    const backend = running();
    const target = backend.resolve(request.topic, request.partition, until, request.topicId);
    const ready = (resolved: Target): Routed | Promise<Routed> => {
      const batch = batchOf(request, resolved.maxMessageBytes, inflate);
      return batch instanceof Promise
        ? batch.then((late) => ({ request, batch: late, target: resolved, backend }))
        : { request, batch, target: resolved, backend };
    };
    return target instanceof Promise ? target.then(ready) : ready(target);
  };
  const responseOf = (backend: LogBackend, appended: Appended & { readonly leaderId: BrokerId }): MessageInput<typeof ProduceResponse> => ({
    baseOffset: appended.baseOffset,
    recordCount: appended.recordCount,
    term: appended.term,
    highWatermark: appended.highWatermark,
    durableBrokerIds: [...appended.durableBrokers],
    leaderId: appended.leaderId,
    leaderAddress: backend.clientAddress(appended.leaderId),
    duplicate: appended.duplicate,
    appendTimeMs: appended.appendTime,
  });
  /** Appends, and gives up at the deadline or when the caller goes: the outcome is unknown then. */
  const append = (
    prepared: Routed,
    deadline: number,
    done: (outcome: MessageInput<typeof ProduceResponse> | MillraceError) => void,
  ): (() => void) => {
    if (deadline <= clock.monotonic()) {
      done(new MillraceError("DEADLINE_PASSED", "The deadline passed before anything was written"));
      return () => {};
    }
    let over = false;
    const timer = clock.after(deadline - clock.monotonic(), () => {
      if (over) return;
      over = true;
      cancel();
      done(new MillraceError("REQUEST_TIMED_OUT", "The deadline passed before the batch was acknowledged; it may be written"));
    });
    const { backend } = prepared;
    const cancelAppend = backend.append(prepared.target, prepared.batch, { deadline, direct: prepared.request.direct }, (outcome) => {
      if (over) return;
      over = true;
      timer.cancel();
      done(outcome instanceof MillraceError ? outcome : responseOf(backend, outcome));
    });
    const cancel = (): void => {
      timer.cancel();
      cancelAppend();
    };
    return cancel;
  };

  server.register(`${service}/InitProducer`, {
    kind: "unary",
    async handle(bytes, call) {
      InitProducerRequest.decode(bytes);
      return InitProducerResponse.encode({ producerId: await running().allocateProducer(untilOf(call)), producerEpoch: 0 });
    },
  });

  server.register(`${service}/Produce`, {
    kind: "unary",
    async handle(bytes, call) {
      const request = ProduceRequest.decode(bytes);
      const until = untilOf(call);
      const prepared = await prepare(request, until);
      // What was appended stays, whoever goes.
      const response = await whileCalled<MessageInput<typeof ProduceResponse>>(call, (done) => append(prepared, until.deadline, done));
      return ProduceResponse.encode(response);
    },
  });

  server.register(`${service}/ProduceStream`, {
    kind: "bidi",
    handle(stream: ServerStream) {
      const session = new ProduceStreamSession(
        stream,
        {
          prepare: (request) => prepare(request, untilOf(stream.call)),
          append: (prepared, done) => append(prepared as Routed, deadlineOf(stream.call), done),
          leadsHere: (prepared) => (prepared as Routed).backend.leadsHere((prepared as Routed).target),
        },
        clock,
        config.limits.streamCreditBytes,
        streams,
      );
      open.add(session);
      session.start(() => gone(session));
    },
  });

  server.register(`${service}/Fetch`, {
    kind: "unary",
    waits: true,
    async handle(bytes, call) {
      const request = FetchRequest.decode(bytes);
      const deadline = deadlineOf(call);
      readRequestOf(request, config.limits, clock.monotonic(), deadline, config.timings.fetchWaitMaxMs);
      const backend = running();
      const allowed = room.bytesFor(call, request.maxBytes);
      const target = await backend.resolve(request.topic, request.partition, { deadline, caller: call }, request.topicId);
      const maxWaitMs = waitWithin(request.maxWaitMs, clock.monotonic(), deadline);
      const { bytes: maxBytes, done } = room.large(Math.min(allowed, config.limits.fetchMaxBytes));
      try {
        const wanted = { ...request, maxBytes, maxWaitMs };
        const fetched = await whileCalled<FetchResponse>(call, (answered) =>
          backend.read(target, wanted, { deadline, direct: request.direct }, answered),
        );
        room.admit(fetched.batches.reduce((sum, batch) => sum + (batch.records ?? batch.compressedRecords).byteLength, 0));
        return FetchResponse.encode(fetched);
      } finally {
        done();
      }
    },
  });

  server.register(`${service}/Subscribe`, {
    kind: "server-stream",
    handle(stream: ServerStream) {
      stream.handlers = {
        message(bytes) {
          let request: SubscribeRequest;
          let giveBack: () => void;
          try {
            request = SubscribeRequest.decode(bytes);
            requireDistinct(
              request.partitions.map(({ partition }) => partition),
              config.limits.partitionsPerTopicMax,
            );
            giveBack = subscribed.take(request.partitions.length);
          } catch (error) {
            if (!(error instanceof MillraceError)) throw error;
            return stream.end(error);
          }
          const lookups = new OffsetLookups(clock);
          const until = (): Until => ({ deadline: clock.monotonic() + DEFAULT_DEADLINE_MS, caller: stream.call });
          const topicOf: SubscriptionBackend["topicOf"] = (topic, topicId) => running().topicOf(topic, until(), topicId);
          const latestOf: SubscriptionBackend["latestOf"] = (topic) =>
            running().latestOf(topic, { ...until(), deadline: clock.monotonic() + SETTLE_MS });
          const positions: SubscriptionBackend["positions"] = (topic, start) => positionsOf(topic, start, running(), lookups, until());
          const read: SubscriptionBackend["read"] = (wanted, done) =>
            readForSubscription({ running, clock, timings: config.timings, caller: stream.call }, wanted, done);
          const subscription = new Subscription(stream, request, { topicOf, latestOf, read, positions }, clock, {
            creditBytesMax: config.limits.streamCreditBytes,
            room,
          });
          open.add(subscription);
          stream.handlers = { message() {}, ended() {}, drain: () => subscription.drained() };
          subscription.start(() => {
            lookups.end(callerGone());
            giveBack();
            gone(subscription);
          });
        },
        ended() {},
        drain() {},
      };
    },
  });

  server.register(`${service}/ListOffsets`, {
    kind: "unary",
    async handle(bytes, call) {
      const request = ListOffsetsRequest.decode(bytes);
      return room.answer(call, async () =>
        ListOffsetsResponse.encode({ partitions: await listOffsets(request, running(), config, clock, call, deadlineOf(call)) }),
      );
    },
  });

  return async (error, graceMs) => {
    for (const session of [...open]) {
      if (session instanceof ProduceStreamSession) session.drain(error);
      else session.close(error);
    }
    if (open.size > 0) {
      await new Promise<void>((resolve) => {
        const timer = clock.after(graceMs, resolve);
        whenEmpty = () => {
          timer.cancel();
          resolve();
        };
      });
    }
    // What is still unanswered may be written: nobody may be told otherwise.
    for (const session of [...open])
      session.close(new MillraceError("HOP_LOST", "The broker stopped before the batch was answered; it may be written"));
  };
}
