import type { ProducerRecord, RecordHeader } from "../client/index.ts";
import { RECORD_SET_BYTES_MAX } from "../records/record-set.ts";
import { readEnvelope } from "./envelope.ts";
import { UsageError } from "./exit-code.ts";
import { jsonField } from "./json-field.ts";

/** What becomes of a line: a record but for its topic. */
export type Outgoing = Omit<ProducerRecord, "topic">;

/** How `produce` makes a record of a line. */
export interface LineFormat {
  /** Bytes of the longest line that could be a record. */
  readonly lineBytesMax: number;
  /** @throws {MillraceError} when no record can be made of it */
  readonly read: (line: Uint8Array) => Outgoing;
}

export interface LineOptions {
  readonly format: "text" | "json";
  readonly key: string | undefined;
  readonly keyField: string | undefined;
  readonly headers: readonly RecordHeader[];
  /** Wins over what a line says. */
  readonly partition: number | undefined;
}

/** A byte takes at most so many in JSON: `\u0000`. */
const JSON_BYTES_PER_BYTE = 6;
/** For the names of fields, numbers and brackets. */
const ENVELOPE_BYTES = 1024;

/** @throws {UsageError} for options that do not go together */
export function lineFormat({ format, key, keyField, headers, partition }: LineOptions): LineFormat {
  if (format === "text") {
    const keyOf = keyField === undefined ? () => key : keyFromField(keyField);
    const read = (line: Uint8Array): Outgoing => ({ key: keyOf(line), value: line, headers, partition });
    return { lineBytesMax: RECORD_SET_BYTES_MAX, read };
  }
  if (key !== undefined || keyField !== undefined)
    throw new UsageError("--format json takes the key of each record from its line: leave --key and --key-field out");
  return {
    lineBytesMax: RECORD_SET_BYTES_MAX * JSON_BYTES_PER_BYTE + ENVELOPE_BYTES,
    read(line) {
      const record = readEnvelope(line);
      return { ...record, headers: [...record.headers, ...headers], partition: partition ?? record.partition };
    },
  };
}

function keyFromField(name: string): (line: Uint8Array) => string | undefined {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  return (line) => {
    try {
      return jsonField(decoder.decode(line), name);
    } catch {
      return undefined;
    }
  };
}

/** `NAME:VALUE`; the value is what follows the first colon, as it stands. @throws {UsageError} */
export function headersFlag(texts: readonly string[] | undefined): readonly RecordHeader[] {
  return (texts ?? []).map((text) => {
    const at = text.indexOf(":");
    if (at <= 0) throw new UsageError(`--header must be NAME:VALUE: got "${text}"`);
    return { key: text.slice(0, at), value: Buffer.from(text.slice(at + 1)) };
  });
}
