import type { FixedLimit } from "../../src/base/limits.ts";
import type { SettingDescription } from "../../src/config/describe.ts";
import { defaultMemorySettings, memorySum, memorySumBytes, PEERS } from "../../src/config/memory-sum.ts";
import { toRow } from "../checks/markdown.ts";

/** Settings that bound what callers may ask for or leave behind. */
const BOUNDS = /\.max$|\.max\.bytes$|\.max\.ms$|^client\.|^max\.|^disk\.reserve|\.pending\.|credit|fetch\./;
const NO_BOUNDS = new Set(["election.max.ms", "replica.lag.max.ms"]);

/** What a caller sees of the limits that no status can name: on the wire, and through a library. */
const unanswered: readonly (readonly [limit: string, wire: string, library: string])[] = [
  [
    "`client.streams.max`",
    "the number is told when the connection begins (`SETTINGS_MAX_CONCURRENT_STREAMS`); a call beyond it is reset with `REFUSED_STREAM`",
    "nothing: further calls wait inside the library until one ends, or their deadline passes; `UNAVAILABLE` from one that does not wait, and nothing was written",
  ],
  ["`client.connections.max`", "the connection is closed as soon as it is made", "`UNAVAILABLE`; nothing was written"],
  [
    "`stream.pending.max.bytes`",
    "the windows of produce streams are not refilled until there is room",
    "writes wait; what is on its way by then, at most 4 MiB a stream, counts for `request.pending.max.bytes`",
  ],
  ["`read.pending.max.bytes`", "the answer comes later: reads from the disk take turns", "nothing, or its deadline passes"],
  ["`client.preface.timeout.ms`", "the connection is closed", "nothing: a library begins to speak at once"],
  [
    "`request.headers.max.bytes`, `request.headers.max`",
    "up to twice as many are answered with `REQUEST_TOO_LARGE`; a call with more is reset with `ENHANCE_YOUR_CALM`",
    "`RESOURCE_EXHAUSTED`, or an error of its own: twice the bytes is told when the connection begins (`SETTINGS_MAX_HEADER_LIST_SIZE`); nothing was written",
  ],
  [
    "`client.request.timeout.ms`, `request.pending.max.bytes`",
    "answered with `TOO_MANY_REQUESTS`, then reset (the status is lost when the caller does not read); a stream on which an answer has begun is reset with `ENHANCE_YOUR_CALM`",
    "`RESOURCE_EXHAUSTED` with the name of the limit, and nothing was written; without it on such a stream, and what was not answered is unknown",
  ],
  [
    "`client.answer.timeout.ms`",
    "the call is reset with `CANCEL`: its status could only come behind what the caller does not read",
    "`CANCELLED`; the outcome is unknown",
  ],
  [
    "`connection.memory.max.bytes`",
    "a new call is reset with `ENHANCE_YOUR_CALM`",
    "`RESOURCE_EXHAUSTED` without details: nothing was written, which the caller cannot know",
  ],
  ["`client.linger.ms`", "the call is reset with `NO_ERROR`, after its status", "the status it was answered with"],
  [
    "`client.keepalive.ms`, `client.keepalive.timeout.ms`",
    "the connection is closed",
    "`UNAVAILABLE` for its calls; without our `ErrorInfo`, so the outcome is unknown",
  ],
];

/** docs/limits.md: the limits that are settings, and those that are not. */
export function limitsPage(fixed: Readonly<Record<string, FixedLimit>>, settings: readonly SettingDescription[]): string {
  return [
    "# Limits",
    "",
    "<!-- Made by `npm run docs` from src/base/limits.ts and src/config/table.ts; edit those files. -->",
    "",
    "Every size, count, queue and wait has a bound. Where a call reaches one, its error has `limit` among the metadata of its `ErrorInfo`, with the",
    "name below; where there is no call to answer, the last table says what its caller sees instead. Whether to try again says",
    "[errors.md](errors.md).",
    "",
    "## That can be set",
    "",
    "| limit | default | range | meaning |",
    "|---|---|---|---|",
    ...settings
      .filter(({ key }) => BOUNDS.test(key) && !NO_BOUNDS.has(key))
      .map((row) => toRow([`\`${row.key}\``, row.default === undefined ? "none" : `\`${row.default}\``, row.range, row.doc])),
    "",
    "## That cannot",
    "",
    "| limit | value | meaning |",
    "|---|---|---|",
    ...Object.entries(fixed).map(([name, { value, doc }]) => toRow([`\`${name}\``, String(value), doc])),
    "",
    "## Without an answer",
    "",
    "HTTP/2 itself keeps these, and has no place for the words of an error; or who reaches one waits.",
    "",
    "| limit | on the wire | what a gRPC library tells its caller |",
    "|---|---|---|",
    ...unanswered.map((row) => toRow(row)),
    "",
    ...sumSection(),
  ].join("\n");
}

function sumSection(): readonly string[] {
  const mebibytes = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20)} MiB`;
  return [
    "## What they add up to",
    "",
    "All that callers together can make one broker keep in memory, at the worst and all at once: objects and buffers. To it comes what a broker",
    "needs by itself, and what the allocator keeps of what was freed. The values are those of the defaults in a cluster of three.",
    "",
    "| what | at most | by default |",
    "|---|---|---|",
    ...memorySum.map(({ what, formula, bytes }) => toRow([what, formula, mebibytes(bytes(defaultMemorySettings))])),
    toRow(["**together**", `with ${PEERS} other brokers`, `**${mebibytes(memorySumBytes(defaultMemorySettings))}**`]),
    "",
    "Calls that a broker holds for a leader, or forwards to one (`forward.pending.max.bytes`), and what waits for acknowledgement in one",
    "partition (`produce.pending.max.bytes`), are part of the first two lines and of the records that are not committed. A broker with less",
    "memory is given smaller limits: none of them needs more than a few messages.",
    "",
  ];
}
