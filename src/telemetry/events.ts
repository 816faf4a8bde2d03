/**
 * Every event a broker, client or tool may log, by stable id `area.what_happened`, with one sentence for docs and operators.
 * `test/telemetry/events.test.ts` refuses an id used in `src/` that is missing here.
 */
export const events = {
  "client.call_repeated": "A call was sent again after a failure that left nothing behind.",
  "consumer.stream_broke": "A subscription broke and is being opened again from where it was.",
  "grpc.handler_failed": "A handler threw what is no expected failure: a bug. The caller saw INTERNAL without details.",
  "producer.batch_failed": "A batch was given up; its records were told why.",
  "producer.no_identity": "No idempotent producer id could be had; it is asked for again.",
  "producer.resend": "A batch is sent again under the same sequence.",
  "process.node_old": "This Node gets no security fixes any more.",
  "process.listening_openly": "A listener can be reached from other machines without encryption or authentication.",
} as const satisfies Readonly<Record<string, string>>;

export type EventId = keyof typeof events;

/** Every counter, by the name given to `Telemetry.count`; `a.b` is exported as `millrace_a_b_total`. */
export const counters = {
  "grpc.handler_failed": "Handlers that threw a bug.",
} as const satisfies Readonly<Record<string, string>>;

export type CounterId = keyof typeof counters;
