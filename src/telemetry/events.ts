/**
 * Every event a broker, client or tool may log, by stable id `area.what_happened`, with one sentence for docs and operators.
 * `test/telemetry/events.test.ts` refuses an id used in `src/` that is missing here.
 */
export const events = {
  "broker.heartbeat_failed": "The controller did not take a heartbeat; it is repeated.",
  "broker.registered": "The controller has registered this broker.",
  "broker.running": "The broker listens and has joined its cluster.",
  "broker.stopping": "The broker hands over its leaderships and stops.",
  "client.call_repeated": "A call was sent again after a failure that left nothing behind.",
  "consumer.stream_broke": "A subscription broke and is being opened again from where it was.",
  "controller.active": "This broker leads the metadata group: it is the controller.",
  "formation.formed": "A cluster was formed; this directory belongs to it from now on.",
  "formation.joined": "A cluster was joined; this directory belongs to it from now on.",
  "formation.unreachable": "A seed could not be asked whether there is a cluster.",
  "formation.waiting": "Formation waits for seeds that have not answered yet.",
  "grpc.handler_failed": "A handler threw what is no expected failure: a bug. The caller saw INTERNAL without details.",
  "log.index_rebuilt": "The index of a segment was missing or bad and was made again from the segment.",
  "log.ring_pinned": "Much of the oldest file of the write-ahead log waits to be committed, so the file cannot be used again yet.",
  "log.segment_damaged": "A segment does not hold what was promised: damage, not a torn tail.",
  "log.unknown_folder": "A folder of groups belongs to a replica that this log never knew; it is left alone.",
  "log.wal_damaged": "A reader found the write-ahead log damaged; the read failed with DATA_LOSS.",
  "log.write_failed": "A write or sync of the log failed; the broker stops.",
  "metadata.role": "This broker's role in the metadata group changed.",
  "metadata.tail_failed": "The metadata log could not be followed from a broker; another one is tried.",
  "partition.deleted": "A replica and its files were removed, because its topic was deleted.",
  "partition.role": "This broker's role in a partition changed.",
  "peer.back": "A broker that was gone answers again.",
  "peer.bad_message": "A broker sent what cannot be read; its connection was closed.",
  "peer.gone": "A broker lost all its connections and counts as dead until it is back.",
  "peer.handshake_failed": "A connection was refused by the hello of one side.",
  "peer.unreachable": "A broker cannot be dialled; it is tried again.",
  "process.listening_openly": "A listener can be reached from other machines without encryption or authentication.",
  "process.dies": "The broker cannot go on: its storage failed, or there is a bug. It ends at once, exit 1.",
  "process.node_old": "This Node gets no security fixes any more.",
  "producer.batch_failed": "A batch was given up; its records were told why.",
  "producer.no_identity": "No idempotent producer id could be had; it is asked for again.",
  "producer.resend": "A batch is sent again under the same sequence.",
} as const satisfies Readonly<Record<string, string>>;

export type EventId = keyof typeof events;

/** Every counter, by the name given to `Telemetry.count`; `a.b` (as well as `a_b_total`) is exported as `millrace_a_b_total`. */
export const counters = {
  "grpc.handler_failed": "Handlers that threw a bug.",
  log_segment_damaged_total: "Segments found damaged.",
} as const satisfies Readonly<Record<string, string>>;

export type CounterId = keyof typeof counters;
