import type { ConsumedRecord } from "../client/index.ts";
import { UsageError } from "./exit-code.ts";

/** What of a record is printed, in pieces; views of it are not copied. */
export type RecordWriter = (record: ConsumedRecord) => readonly (Uint8Array | string)[];

const NOTHING = new Uint8Array(0);

type Letter = (record: ConsumedRecord, nowMs: () => number) => Uint8Array | string;

/** The letters of `kcat -f`, `%v` besides its `%s`, and `%N`. Lengths are -1 for what is absent; what is absent prints nothing. */
const letters: Readonly<Record<string, Letter>> = {
  t: (record) => record.topic,
  p: (record) => String(record.partition),
  o: (record) => String(record.offset),
  k: (record) => record.key ?? NOTHING,
  v: (record) => record.value ?? NOTHING,
  s: (record) => record.value ?? NOTHING,
  K: (record) => String(record.key?.length ?? -1),
  S: (record) => String(record.value?.length ?? -1),
  T: (record) => String(record.timestampMs),
  h: headersText,
  N: (_, nowMs) => String(nowMs()),
};

export const TEMPLATE_HELP =
  "TEMPLATE knows the letters of kcat: %t topic, %p partition, %o offset, %k key, %v or %s value, %T timestamp in milliseconds, %N the time now in milliseconds, %h headers as name=value,…, %K and %S length of key and value (-1: none), %% a percent sign, and \\n \\t \\r \\0 \\\\ \\xHH.";

/** @param nowMs milliseconds since 1970 @throws {UsageError} for a letter or an escape it does not know */
export function recordTemplate(option: string, template: string, nowMs: () => number = Date.now): RecordWriter {
  const pieces = parse(option, template);
  return (record) => pieces.map((piece) => (typeof piece === "function" ? piece(record, nowMs) : piece));
}

type Piece = Uint8Array | Letter;

function parse(option: string, template: string): readonly Piece[] {
  const pieces: Piece[] = [];
  // A percent sign or a backslash with what belongs to it, or a run of anything else.
  for (const [token] of template.matchAll(/%.?|\\x[0-9A-Fa-f]{2}|\\.?|[^%\\]+/gsu)) {
    if (token.startsWith("%")) pieces.push(letter(option, token));
    else if (token.startsWith("\\")) pieces.push(escaped(option, token));
    else pieces.push(Buffer.from(token));
  }
  return pieces;
}

function letter(option: string, token: string): Piece {
  if (token === "%%") return Buffer.from("%");
  const name = token.slice(1);
  const write = Object.hasOwn(letters, name) ? letters[name] : undefined;
  if (write !== undefined) return write;
  const known = Object.keys(letters).map((each) => `%${each}`);
  throw new UsageError(`${option}: ${name === "" ? "a % at the end" : `"${token}"`} says nothing; known are ${known.join(" ")} %%`);
}

const escapes: Readonly<Record<string, number>> = { "\\n": 10, "\\t": 9, "\\r": 13, "\\0": 0, "\\\\": 0x5c };

function escaped(option: string, token: string): Piece {
  if (/^\\x[0-9A-Fa-f]{2}$/.test(token)) return Uint8Array.of(Number.parseInt(token.slice(2), 16));
  const byte = Object.hasOwn(escapes, token) ? escapes[token] : undefined;
  if (byte !== undefined) return Uint8Array.of(byte);
  throw new UsageError(
    `${option}: ${token === "\\" ? "a \\ at the end" : `"${token}"`} says nothing; known are \\n \\t \\r \\0 \\\\ \\xHH`,
  );
}

function headersText(record: ConsumedRecord): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const { key, value } of record.headers) {
    if (parts.length > 0) parts.push(Buffer.from(","));
    parts.push(Buffer.from(`${key}=`), value ?? Buffer.from("NULL"));
  }
  return Buffer.concat(parts);
}
