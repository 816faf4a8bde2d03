import { isUtf8 } from "node:buffer";
import { MillraceError, type RecordHeader } from "../client/index.ts";

/** A record as one JSON line describes it. */
export interface Envelope {
  /** undefined: keyless. */
  readonly key: Uint8Array | undefined;
  /** undefined: a tombstone. */
  readonly value: Uint8Array | undefined;
  readonly headers: readonly RecordHeader[];
  readonly partition: number | undefined;
  readonly timestampMs: number | undefined;
}

/** Names of fields, ours and those kcat -J writes. What only says where a record came from is not read. */
const fields: Readonly<Record<string, "key" | "value" | "headers" | "partition" | "timestamp" | "place">> = {
  key: "key",
  value: "value",
  payload: "value",
  headers: "headers",
  partition: "partition",
  timestamp: "timestamp",
  ts: "timestamp",
  topic: "place",
  offset: "place",
  tstype: "place",
  broker: "place",
};

/**
 * Reads a record as `consume --format json` prints it: texts as strings, other bytes as `{"base64":"…"}`, null for none.
 *
 * @throws {MillraceError} INVALID_REQUEST saying which field is wrong, and what it may be
 */
export function readEnvelope(line: Uint8Array): Envelope {
  const object = parseObject(line);
  const found = new Map<string, unknown>();
  for (const [name, value] of Object.entries(object)) {
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (field === undefined) throw refuse(`"${name.slice(0, 100)}" is no field of a record: it has ${Object.keys(fields).join(", ")}`);
    if (field !== "place" && found.has(field)) throw refuse(`its ${field} is given twice, by two names`);
    found.set(field, value);
  }
  // A record without a value deletes its key: nobody should get one for having left the field out.
  if (!found.has("value")) throw refuse('"value" is missing; null makes a tombstone');
  return {
    key: bytesOf("key", found.get("key") ?? null),
    value: bytesOf("value", found.get("value")),
    headers: headersOf(found.get("headers") ?? {}),
    partition: wholeOf("partition", found.get("partition")),
    timestampMs: wholeOf("timestamp", found.get("timestamp")),
  };
}

function parseObject(line: Uint8Array): object {
  // A decoder would put a replacement character where the input is broken, and nobody would see it.
  if (!isUtf8(line)) throw refuse('the line is not UTF-8; bytes are written as {"base64":"…"}');
  try {
    const parsed: unknown = JSON.parse(Buffer.from(line.buffer, line.byteOffset, line.byteLength).toString("utf8"));
    if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)) return parsed;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw refuse(`the line is not JSON: ${error.message}`);
  }
  throw refuse("the line is not a JSON object");
}

function bytesOf(field: string, value: unknown): Uint8Array | undefined {
  if (value === null) return undefined;
  if (typeof value === "string") {
    // Half a pair has no UTF-8, so it would become another text.
    if (/\p{Surrogate}/u.test(value)) throw refuse(`${field} holds half a surrogate pair, which no UTF-8 text can`);
    return Buffer.from(value, "utf8");
  }
  const encoded = typeof value === "object" && "base64" in value && Object.keys(value).length === 1 ? value.base64 : undefined;
  if (typeof encoded === "string" && /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(encoded)) {
    return Buffer.from(encoded, "base64");
  }
  throw refuse(`${field} must be a string, {"base64":"…"} or null`);
}

function headersOf(value: unknown): readonly RecordHeader[] {
  if (Array.isArray(value)) return pairsOf(value);
  if (typeof value !== "object" || value === null) throw refuse("headers must be an object, or a list of name and value in turn");
  return Object.entries(value).flatMap(([key, one]: [string, unknown]) => {
    const values: readonly unknown[] = Array.isArray(one) ? one : [one];
    return values.map((each) => header(key, each));
  });
}

function pairsOf(list: readonly unknown[]): readonly RecordHeader[] {
  const headers: RecordHeader[] = [];
  for (let at = 0; at < list.length; at += 2) {
    const key = list[at];
    if (typeof key !== "string" || at + 1 === list.length) throw refuse("a list of headers is name and value in turn");
    headers.push(header(key, list[at + 1]));
  }
  return headers;
}

function header(key: string, value: unknown): RecordHeader {
  if (/\p{Surrogate}/u.test(key)) throw refuse("the name of a header holds half a surrogate pair, which no UTF-8 text can");
  return { key, value: bytesOf(`header ${JSON.stringify(key.slice(0, 100))}`, value) };
}

function wholeOf(field: string, value: unknown): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw refuse(`${field} must be a whole number from 0`);
}

function refuse(why: string): MillraceError {
  return new MillraceError("INVALID_REQUEST", why, { field: "records" });
}
