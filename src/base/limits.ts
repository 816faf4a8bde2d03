/**
 * Limits that are no settings: they follow from formats, or must be the same everywhere. Where one is reached the error's `limit`
 * (`ErrorInfo.metadata`) has its name, as it has that of a setting; docs/limits.md is made from this table.
 */
export interface FixedLimit {
  readonly value: number;
  readonly doc: string;
}

const KiB = 1024;
const MiB = 1024 * KiB;

export const limits = {
  "topic.name.max": { value: 249, doc: "Characters of a topic's name: `INVALID_NAME`." },
  "describe.topics.max": { value: 1_000, doc: "Topics named in one call that describes them: `INVALID_REQUEST`." },
  "configs.max": { value: 100, doc: "Settings in one request: `INVALID_CONFIG`." },
  "produce.stream.partitions.max": {
    value: 10_000,
    doc: "Partitions of one produce stream with something unanswered or failed: `TOO_MANY_REQUESTS`.",
  },
  "produce.stream.batches.max": { value: 20_000, doc: "Batches in one message of a produce stream: `INVALID_REQUEST`." },
  "producers.per.partition.max": {
    value: 10_000,
    doc: "Idempotent producers a partition remembers; the least recently written is forgotten: `UNKNOWN_PRODUCER` for its next batch.",
  },
  "producer.batches.max": { value: 5, doc: "Batches of a producer whose offset a retry is told; older ones are `ALREADY_WRITTEN`." },
  "compression.inflate.waiting": { value: 1_024, doc: "Compressed batches that wait to be verified: `TOO_MANY_REQUESTS`." },
  "time.searches.waiting": { value: 1_024, doc: "Searches by time that wait for their turn at a leader: `TOO_MANY_REQUESTS`." },
  "record.headers.max": { value: 1_000, doc: "Headers of one record: `MALFORMED_RECORD_SET`." },
  "records.unknown.fields.max": {
    value: 10_000,
    doc: "Fields this version does not know, in the records of one set: `MALFORMED_RECORD_SET`.",
  },
  "request.unknown.fields.max": { value: 10_000, doc: "Fields this version does not know, in one request: `INVALID_REQUEST`." },
  "request.elements.max": { value: 262_144, doc: "Elements of all lists and maps of one request: `INVALID_REQUEST`." },
  "request.max.bytes": {
    value: 3 * MiB + 64 * KiB,
    doc: "One request message: the largest record set, and what stands around it: `REQUEST_TOO_LARGE`.",
  },
  "probe.request.max.bytes": { value: 4 * KiB, doc: "One question about health or reflection: `REQUEST_TOO_LARGE`." },
  "request.headers.max.bytes": { value: 16 * KiB, doc: "Headers of one call, 32 more for each of them: `REQUEST_TOO_LARGE`." },
  "request.headers.max": { value: 64, doc: "Headers of one call: `REQUEST_TOO_LARGE`." },
  "connection.memory.max.bytes": { value: 256 * MiB, doc: "What HTTP/2 keeps for one client connection; new calls on it are reset." },
  "client.linger.ms": { value: 5_000, doc: "Time a caller has to stop sending once it was answered." },
  "client.keepalive.ms": { value: 60_000, doc: "A client connection is pinged so often." },
  "client.keepalive.timeout.ms": { value: 20_000, doc: "And closed when the ping is not answered for so long." },
  "group.name.max": { value: 249, doc: "Characters of the name of a consumer group: `INVALID_NAME`." },
  "group.member.id.max": { value: 255, doc: "Characters of a member id or an instance id: `INVALID_REQUEST`." },
  "group.topic.pattern.max": { value: 500, doc: "Characters of a pattern that a member subscribes by: `INVALID_REQUEST`." },
  "group.topic.pattern.program.max": {
    value: 1_000,
    doc: "Parts of such a pattern, with its repetitions written out: `INVALID_REQUEST`.",
  },
  "group.epochs.max": {
    value: 2 ** 31 - 2 ** 24,
    doc: "Epochs of a consumer group, which it takes two thousand million joins to use up: `TOO_MANY_REQUESTS` to who joins.",
  },
  "session.first.heartbeat.ms": {
    value: 45_000,
    doc: "Time a `Session` has for its first heartbeat; then it is ended: `DEADLINE_PASSED`, and nothing was changed.",
  },
  "session.heartbeats.waiting": { value: 64, doc: "Heartbeats of one `Session` that were read and not answered: `TOO_MANY_REQUESTS`." },
  "group.answer.max.bytes": {
    value: 3 * MiB,
    doc: "What is told of one group, or of all in a list without pages, in one answer: `REQUEST_TOO_LARGE`.",
  },
  "timestamp.ahead.max.ms": { value: 3_600_000, doc: "How far ahead of the leader's clock a record may be stamped: `TIMESTAMP_TOO_NEW`." },
} as const satisfies Readonly<Record<string, FixedLimit>>;

export type LimitName = keyof typeof limits;
