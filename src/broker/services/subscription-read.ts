import type { BrokerConfig } from "../../base/broker-config.ts";
import { MillraceError } from "../../base/errors.ts";
import type { Clock } from "../../base/ports/clock.ts";
import type { Caller } from "../../base/until.ts";
import type { FetchRequest, FetchResponse } from "../../protocol/public.ts";
import type { LogBackend, Target } from "./log-service.ts";
import type { SubscriptionFetch } from "./subscription.ts";

export interface SubscriptionReader {
  /** The broker's parts; throws NOT_READY or SHUTTING_DOWN while it does not serve. */
  readonly running: () => Pick<LogBackend, "resolve" | "read">;
  readonly clock: Clock;
  readonly timings: Pick<BrokerConfig["timings"], "fetchWaitMaxMs" | "forwardWaitMs">;
  readonly caller: Caller;
}

/**
 * One fetch of a subscription: it waits for records as long as it may; the loop asks again.
 *
 * @param done exactly once unless given up; maybe before this returns
 * @returns gives it up. The topic may be looked for behind a barrier still, which then ends unheard
 */
export function readForSubscription(
  { running, clock, timings: { fetchWaitMaxMs, forwardWaitMs }, caller }: SubscriptionReader,
  wanted: SubscriptionFetch,
  done: (outcome: FetchResponse | MillraceError) => void,
): () => void {
  const deadline = clock.monotonic() + fetchWaitMaxMs + forwardWaitMs;
  const request: FetchRequest = { ...wanted, minBytes: 1, maxWaitMs: fetchWaitMaxMs, direct: false };
  let cancelled = false;
  let cancel = (): void => {};
  const start = (backend: Pick<LogBackend, "read">, target: Target): void => {
    if (!cancelled) cancel = backend.read(target, request, { deadline, direct: false }, done);
  };
  const refuse = (error: unknown): void => {
    if (!(error instanceof MillraceError)) throw error;
    if (!cancelled) done(error);
  };
  try {
    const backend = running();
    const target = backend.resolve(wanted.topic, wanted.partition, { deadline, caller }, wanted.topicId);
    if (target instanceof Promise) target.then((late) => start(backend, late), refuse);
    else start(backend, target);
  } catch (error) {
    refuse(error);
  }
  return () => {
    cancelled = true;
    cancel();
  };
}
