import { murmur2, partitionOf } from "../../src/records/murmur2.ts";
import { toRow } from "../checks/markdown.ts";

/** Partition counts that divide nothing, a power of two, and a large one. */
const counts = [1, 3, 6, 12, 64, 1000];

/** Kafka's own examples; keys of real life; every length of tail, with bytes above 127, which some languages take for negative. */
const texts = [
  ...["", "a", "ab", "abc", "abcd", "abcde"],
  ...["21", "foobar", "a-little-bit-long-string", "a-little-bit-longer-string", "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8"],
  ...["user-1", "user-2", "user-3", "JFK", "Zürich", "東京", "9007199254740993"],
];
const hexes = ["00", "ff", "80ff", "80ff7f", "ff80ff7f", "ff80ff7f80", "ffffffffffffffff", "00000000000000000000"];
const keys: readonly Uint8Array[] = [...texts.map((text) => new TextEncoder().encode(text)), ...hexes.map(bytesOf)];

interface Vector {
  readonly key_hex: string;
  /** Signed, 32 bits. */
  readonly murmur2: number;
  /** In the order of `partition_counts`. */
  readonly partitions: readonly number[];
}

const vectors: readonly Vector[] = keys.map((key) => ({
  key_hex: Buffer.from(key).toString("hex"),
  murmur2: murmur2(key),
  partitions: counts.map((count) => partitionOf(key, count)),
}));

/** docs/partitioner.json: what an implementation in another language is tested against. */
export function partitionerVectors(): string {
  const lines = vectors.map((vector) => `    ${JSON.stringify(vector)}`);
  return `{\n  "partition_counts": ${JSON.stringify(counts)},\n  "vectors": [\n${lines.join(",\n")}\n  ]\n}\n`;
}

/** docs/partitioner.md: the rule, and the same vectors for people. */
export function partitionerPage(): string {
  return [
    "# Which partition a key goes to",
    "",
    "<!-- Made by `npm run docs` from tools/docs/partitioner-page.ts; edit that file. -->",
    "",
    "The producer chooses the partition; a broker takes what the request names. Producers that share a topic must therefore choose alike, or",
    "the records of one key lose their order. The rule of `millrace produce`, of `millrace/client` and of Kafka's Java client is:",
    "",
    "```text",
    "partition = (murmur2(key) & 0x7fffffff) % partitions",
    "```",
    "",
    "`murmur2` is 32-bit Murmur2 over the bytes of the key (not its text) with the seed `0x9747b28c`. The sign bit is dropped, the number is not",
    "negated. An empty key is a key. Records without a key may go anywhere. More partitions spread the keys anew, from then on.",
    "",
    "It is a screenful in any language: [TypeScript](../src/records/murmur2.ts), [Python](../examples/python/partitioner.py),",
    "[Go](../examples/go/partitioner.go). [partitioner.json](partitioner.json) has the vectors below for a test.",
    "",
    toRow(["key", "key, hex", "murmur2", ...counts.map((count) => `of ${count}`)]),
    `|---|---|---:|${counts.map(() => "---:|").join("")}`,
    ...vectors.map((vector, at) =>
      toRow([
        textOf(keys[at]),
        vector.key_hex === "" ? "" : `\`${vector.key_hex}\``,
        ...[vector.murmur2, ...vector.partitions].map(String),
      ]),
    ),
    "",
  ].join("\n");
}

function bytesOf(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, "hex"));
}

/** The key as text, where it is text. */
function textOf(key: Uint8Array = new Uint8Array()): string {
  if (key.length === 0) return "*empty*";
  const text = new TextDecoder().decode(key);
  return /[\uFFFD\p{Cc}]/u.test(text) ? "" : `\`${text}\``;
}
