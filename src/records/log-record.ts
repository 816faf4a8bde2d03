import { readUtf8 } from "../base/utf8.ts";
import { RecordCursor, Tag } from "./cursor.ts";

export interface RecordHeader {
  readonly key: string;
  /** undefined: absent. */
  readonly value: Uint8Array | undefined;
}

/**
 * One `millrace.v1.LogRecord`, read lazily: making it finds where its fields lie, its getters make views and strings.
 * Whoever keeps a view keeps the whole buffer the record came in.
 */
export class LogRecordView {
  readonly #bytes: Uint8Array;
  readonly #at: number;
  readonly #end: number;
  #keyAt = -1;
  #keyEnd = 0;
  #valueAt = -1;
  #valueEnd = 0;
  #headersAt = -1;
  /** Milliseconds since 1970; 0: the append time of its batch. */
  readonly timestampMs: number;

  /** @throws {MillraceError} MALFORMED_RECORD_SET */
  constructor(bytes: Uint8Array, at: number, end: number) {
    this.#bytes = bytes;
    this.#at = at;
    this.#end = end;
    const cursor = new RecordCursor(bytes, at);
    let timestamp = 0;
    while (cursor.at < end) {
      const fieldAt = cursor.at;
      const tag = cursor.tag(end);
      if (tag === Tag.value) {
        this.#valueEnd = cursor.delimited(end);
        this.#valueAt = cursor.at;
        cursor.at = this.#valueEnd;
      } else if (tag === Tag.key) {
        this.#keyEnd = cursor.delimited(end);
        this.#keyAt = cursor.at;
        cursor.at = this.#keyEnd;
      } else if (tag === Tag.timestamp) {
        timestamp = cursor.timestamp(end);
      } else {
        if (tag === Tag.header && this.#headersAt < 0) this.#headersAt = fieldAt;
        cursor.skip(tag & 7, end);
      }
    }
    this.timestampMs = timestamp;
  }

  /** undefined: keyless. */
  get key(): Uint8Array | undefined {
    return this.#keyAt < 0 ? undefined : this.#bytes.subarray(this.#keyAt, this.#keyEnd);
  }

  /** undefined: tombstone. */
  get value(): Uint8Array | undefined {
    return this.#valueAt < 0 ? undefined : this.#bytes.subarray(this.#valueAt, this.#valueEnd);
  }

  /** In the order sent; keys may repeat. */
  get headers(): readonly RecordHeader[] {
    const headers: RecordHeader[] = [];
    if (this.#headersAt < 0) return headers;
    const cursor = new RecordCursor(this.#bytes, this.#headersAt);
    while (cursor.at < this.#end) {
      const tag = cursor.tag(this.#end);
      if (tag === Tag.header) headers.push(readHeader(cursor, cursor.delimited(this.#end)));
      else cursor.skip(tag & 7, this.#end);
    }
    return headers;
  }

  /** Of its serialized form, unknown fields included. */
  get byteLength(): number {
    return this.#end - this.#at;
  }
}

/**
 * The records of a serialized set, in order, one at a time.
 *
 * @throws {MillraceError} MALFORMED_RECORD_SET when it comes to a place that is not well-formed
 */
export function* records(recordSet: Uint8Array): Generator<LogRecordView, void, undefined> {
  const cursor = new RecordCursor(recordSet, 0);
  while (cursor.at < recordSet.length) {
    const tagAt = cursor.at;
    if (cursor.tag(recordSet.length) !== Tag.record) cursor.fail("not a record", tagAt);
    const end = cursor.delimited(recordSet.length);
    yield new LogRecordView(recordSet, cursor.at, end);
    cursor.at = end;
  }
}

function readHeader(cursor: RecordCursor, end: number): RecordHeader {
  let key: string | undefined = "";
  let value: Uint8Array | undefined;
  while (cursor.at < end) {
    const tag = cursor.tag(end);
    if (tag !== Tag.headerKey && tag !== Tag.headerValue) {
      cursor.skip(tag & 7, end);
      continue;
    }
    const fieldEnd = cursor.delimited(end);
    if (tag === Tag.headerValue) value = cursor.bytes.subarray(cursor.at, fieldEnd);
    else key = readUtf8(cursor.bytes, cursor.at, fieldEnd);
    if (key === undefined) cursor.fail("header key is not UTF-8");
    cursor.at = fieldEnd;
  }
  return { key, value };
}
