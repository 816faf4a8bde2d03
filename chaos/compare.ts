import { hash } from "node:crypto";

/** SHA-256 of a line, in hexadecimal. */
export function digestOf(line: Uint8Array): string {
  return hash("sha256", line, "hex");
}

const HASH_BYTES = 32;

/** Lines of one key in order: their numbers and digests side by side, so that millions fit in memory. */
class Column {
  #digests = Buffer.allocUnsafe(16 * HASH_BYTES);
  #lines = new Uint32Array(16);
  count = 0;

  add(line: number, digest: string): void {
    if (this.count === this.#lines.length) {
      const digests = Buffer.allocUnsafe(2 * this.#digests.length);
      this.#digests.copy(digests);
      this.#digests = digests;
      const lines = new Uint32Array(2 * this.#lines.length);
      lines.set(this.#lines);
      this.#lines = lines;
    }
    this.#digests.write(digest, this.count * HASH_BYTES, "hex");
    this.#lines[this.count++] = line;
  }

  line(at: number): number {
    return this.#lines[at] as number;
  }

  digest(at: number): string {
    return this.#digests.toString("hex", at * HASH_BYTES, (at + 1) * HASH_BYTES);
  }

  /** Same digests in the same order and, where `other` knows line numbers, the same numbers. */
  equals(other: Column): boolean {
    const bytes = this.count * HASH_BYTES;
    if (this.count !== other.count || this.#digests.compare(other.#digests, 0, bytes, 0, bytes) !== 0) return false;
    for (let i = 0; i < this.count; i++) if (other.line(i) !== 0 && other.line(i) !== this.line(i)) return false;
    return true;
  }
}

/** Which lines there are of each key, in order. */
export class Ledger {
  readonly columns = new Map<string, Column>();
  count = 0;

  /** @param key undefined for records without one @param line its number, from 1; 0 when the record does not tell */
  add(key: string | undefined, line: number, bytes: Uint8Array): void {
    const name = key === undefined ? "" : `=${key}`;
    let column = this.columns.get(name);
    if (column === undefined) {
      column = new Column();
      this.columns.set(name, column);
    }
    column.add(line, digestOf(bytes));
    this.count++;
  }
}

export interface Differences {
  /** Lines compared. */
  readonly lines: number;
  readonly keys: number;
  /** Sent, and not there. */
  readonly missing: number;
  /** There, and not sent, or there once more. */
  readonly extra: number;
  /** There, but after a line of its key that was sent later. */
  readonly reordered: number;
  /** There under its number with other bytes; where numbers are not known, one missing and one extra of a key. */
  readonly changed: number;
  /** The first few, in words. */
  readonly examples: readonly string[];
}

const EXAMPLES_MAX = 10;

/** Per key, by (line number, SHA-256 of the line). */
export function compare(sent: Ledger, read: Ledger): Differences {
  let missing = 0;
  let extra = 0;
  let reordered = 0;
  let changed = 0;
  const examples: string[] = [];
  const say = (text: string): void => {
    if (examples.length < EXAMPLES_MAX) examples.push(text);
  };
  const none = new Column();
  for (const key of new Set([...sent.columns.keys(), ...read.columns.keys()])) {
    const wanted = sent.columns.get(key) ?? none;
    const found = read.columns.get(key) ?? none;
    if (wanted.equals(found)) continue;
    const name = key === "" ? "(no key)" : key.slice(1);
    const told = compareColumn(wanted, found);
    missing += told.missing.length;
    extra += told.extra.length;
    changed += told.changed.length;
    reordered += told.reordered.length;
    for (const line of told.missing) say(`${name}: line ${line} is missing`);
    for (const at of told.extra) say(`${name}: record ${at} of the key is extra`);
    for (const line of told.changed) say(`${name}: line ${line} has other bytes`);
    for (const line of told.reordered) say(`${name}: line ${line} comes after a later one`);
  }
  return { lines: sent.count, keys: sent.columns.size, missing, extra, reordered, changed, examples };
}

interface ColumnDifferences {
  readonly missing: number[];
  readonly extra: number[];
  readonly changed: number[];
  readonly reordered: number[];
}

function compareColumn(wanted: Column, found: Column): ColumnDifferences {
  const open = new Map<string, number[]>();
  const digestOfLine = new Map<number, string>();
  for (let i = 0; i < wanted.count; i++) {
    const digest = wanted.digest(i);
    digestOfLine.set(wanted.line(i), digest);
    const lines = open.get(digest);
    if (lines === undefined) open.set(digest, [wanted.line(i)]);
    else lines.push(wanted.line(i));
  }
  const seen = new Set<number>();
  const extra: number[] = [];
  const changed: number[] = [];
  const order: number[] = [];
  for (let i = 0; i < found.count; i++) {
    const told = found.line(i);
    const digest = found.digest(i);
    const line = told !== 0 ? told : open.get(digest)?.shift();
    if (line === undefined || !digestOfLine.has(line) || seen.has(line)) {
      extra.push(i);
      continue;
    }
    seen.add(line);
    order.push(line);
    if (digestOfLine.get(line) !== digest) changed.push(line);
  }
  const missing = [...digestOfLine.keys()].filter((line) => !seen.has(line));
  let latest = 0;
  const reordered = order.filter((line) => {
    if (line < latest) return true;
    latest = line;
    return false;
  });
  // Without numbers a changed line looks like one that is missing and one that nobody sent.
  if (found.count > 0 && found.line(0) === 0) {
    while (missing.length > 0 && extra.length > 0) {
      changed.push(missing.shift() as number);
      extra.shift();
    }
  }
  return { missing, extra, changed, reordered };
}

export function isClean(differences: Differences): boolean {
  return differences.missing + differences.extra + differences.reordered + differences.changed === 0;
}

export function differencesText({ lines, keys, missing, extra, reordered, changed }: Differences): string {
  return `${lines} lines of ${keys} keys: missing ${missing}, extra ${extra}, reordered ${reordered}, changed ${changed}`;
}
