import { counted } from "../base/plural.ts";
import type { SeekPlace } from "../client/index.ts";
import { UsageError } from "./exit-code.ts";
import { openInputFile } from "./input-file.ts";
import { type Line, LineSplitter } from "./line-splitter.ts";

/**
 * Files of committed offsets: a line `topic,partition,offset` for each partition, as `kafka-consumer-groups --reset-offsets` writes (`--export`)
 * and reads (`--from-file`) them. Its other form, with the group in front, is taken too.
 */

/** Nobody has so long a line, nor so many. */
const LINE_BYTES_MAX = 4_096;
const LINES_MAX = 1_000_000;
/** Bad lines that are shown. */
const SHOWN_MAX = 20;
const PARTITION_MAX = 1_000_000;

export interface OffsetsFile {
  readonly name: string;
  readonly positions: readonly SeekPlace[];
  /** Of the nth position. */
  readonly lines: readonly number[];
}

/** One line per partition. */
export function offsetsText(positions: readonly SeekPlace[]): string {
  return positions.map(({ topic, partition, offset }) => `${topic},${partition},${offset}\n`).join("");
}

/** The line that says something of a partition; without a number: of the topic. Undefined: none does. */
export function lineOf({ positions, lines }: OffsetsFile, topic: string, partition: number | undefined): number | undefined {
  const at = positions.findIndex((each) => each.topic === topic && (partition === undefined || each.partition === partition));
  return lines[at];
}

/**
 * @param group that is to be moved: lines that name another one are bad
 * @throws {UsageError} naming the file and every bad line
 */
export async function readOffsetsFile(option: string, name: string, group: string): Promise<OffsetsFile> {
  const positions: SeekPlace[] = [];
  const lines: number[] = [];
  const bad: string[] = [];
  const seen = new Map<string, number>();
  const take = (line: Line): void => {
    if (line.number > LINES_MAX) throw new UsageError(`${name}:${line.number}: a file of offsets has at most ${LINES_MAX} lines`);
    const read = line.cut ? `it has more than ${LINE_BYTES_MAX} bytes` : positionOf(textOf(line), group);
    if (read === undefined) return;
    const why = typeof read === "string" ? read : sayTwice(seen, read, line.number);
    if (why !== undefined) bad.push(`${name}:${line.number}: ${why}`);
    else if (typeof read !== "string") {
      positions.push(read);
      lines.push(line.number);
    }
  };
  const splitter = new LineSplitter(LINE_BYTES_MAX);
  for await (const chunk of await openInputFile(option, name)) for (const line of splitter.push(chunk as Uint8Array)) take(line);
  const last = splitter.end();
  if (last !== undefined) take(last);
  if (bad.length > 0) {
    const head = `${option} ${name} has ${counted(bad.length, "bad line")}; nothing was changed`;
    throw new UsageError([head, ...bad.slice(0, SHOWN_MAX), ...(bad.length > SHOWN_MAX ? ["…"] : [])].join("\n"));
  }
  if (positions.length === 0) throw new UsageError(`${name} has no line of offsets: each is topic,partition,offset`);
  return { name, positions, lines };
}

/** Programs for tables put a byte order mark in front. */
function textOf({ number, bytes }: Line): string {
  const text = new TextDecoder("utf-8", { ignoreBOM: number > 1 }).decode(bytes);
  return text.endsWith("\r") ? text.slice(0, -1) : text;
}

/** @returns why it is bad; undefined: it is empty */
function positionOf(text: string, group: string): SeekPlace | string | undefined {
  if (text.trim() === "") return undefined;
  const fields = fieldsOf(text);
  if (fields === undefined) return "a quote is not closed, or something follows it before the comma";
  if (fields.length === 4 && fields[0] !== group) return `it is of group ${JSON.stringify(fields[0])}, not of ${group}`;
  const [topic, partition, offset] = fields.length === 4 ? fields.slice(1) : fields;
  if (topic === undefined || partition === undefined || offset === undefined || fields.length > 4)
    return `it must be topic,partition,offset: got ${fields.length === 1 ? "1 field" : `${fields.length} fields`}`;
  if (topic === "") return "the name of the topic is empty";
  const number = wholeOf(partition, PARTITION_MAX);
  if (number === undefined) return `the partition must be a whole number from 0 to ${PARTITION_MAX}: got ${JSON.stringify(partition)}`;
  const place = wholeOf(offset, Number.MAX_SAFE_INTEGER);
  if (place === undefined) return `the offset must be a whole number from 0: got ${JSON.stringify(offset)}`;
  return { topic, partition: number, offset: place };
}

function wholeOf(text: string, most: number): number | undefined {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  return value <= most ? value : undefined;
}

/** Names longer than 24 characters are quoted by Kafka's tool (Jackson's rule). @returns undefined: they cannot be told apart */
function fieldsOf(text: string): readonly string[] | undefined {
  const fields: string[] = [];
  for (let at = 0; ; ) {
    if (text[at] !== '"') {
      const end = text.indexOf(",", at);
      fields.push(text.slice(at, end < 0 ? undefined : end).trim());
      if (end < 0) return fields;
      at = end + 1;
      continue;
    }
    const quoted = /^"((?:[^"]|"")*)"(,|$)/.exec(text.slice(at));
    if (quoted === null) return undefined;
    fields.push((quoted[1] as string).replaceAll('""', '"'));
    if (quoted[2] === "") return fields;
    at += quoted[0].length;
  }
}

/** @returns why not */
function sayTwice(seen: Map<string, number>, { topic, partition }: SeekPlace, number: number): string | undefined {
  const key = `${partition}:${topic}`;
  const before = seen.get(key);
  if (before !== undefined) return `partition ${partition} of ${topic} stands in line ${before} already`;
  seen.set(key, number);
  return undefined;
}
