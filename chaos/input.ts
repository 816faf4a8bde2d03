import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./cluster.ts";
import { Draws } from "./draws.ts";

/** A file of US flights, one JSON object a line, sorted by departure; beside the clone where acceptance is run by its authors. */
const FLIGHTS = join(root, "..", "shared", "data", "flights-20k.jsonl");

export interface Input {
  /** Said in the report. */
  readonly name: string;
  readonly lines: readonly Buffer[];
}

/** The flights file, or the generator when it is not there. @param count lines; the file is repeated or cut to it */
export function flights(count: number | undefined, seed: number, file: string = FLIGHTS): Input {
  if (!existsSync(file)) return { name: `generated flights, seed ${seed}`, lines: generatedFlights(count ?? 20_000, seed) };
  const lines = cutLines(readFileSync(file));
  const wanted = count ?? lines.length;
  return {
    name: `${file.slice(file.lastIndexOf("/") + 1)} (${lines.length} lines${wanted === lines.length ? "" : `, ${wanted} of them used`})`,
    lines: Array.from({ length: wanted }, (_, i) => lines[i % lines.length] as Buffer),
  };
}

/** Lines as they stand between the line feeds; what follows the last one is a line if it is not empty. */
export function cutLines(bytes: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  let from = 0;
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, from)) {
    lines.push(bytes.subarray(from, at));
    from = at + 1;
  }
  if (from < bytes.length) lines.push(bytes.subarray(from));
  return lines;
}

/** Departures per 1,000 flights of the busiest airports of the file; the rest is spread over two hundred smaller ones. */
const BUSY =
  "DFW 55 ORD 55 ATL 42 LAX 39 PHX 32 STL 28 LAS 23 DTW 23 MSP 23 DEN 23 CLT 22 EWR 22 IAH 22 PHL 20 SFO 19 LGA 19 BOS 18 MCO 18 PIT 17 SEA 17 BWI 17"
    .split(/ (?=[A-Z])/)
    .map((entry) => ({ code: entry.slice(0, 3), share: Number(entry.slice(4)) }));
const SMALL = 200;

/** As skewed by `origin` as the file: twenty airports have half of all flights. Unique lines, by their number `n`. */
export function generatedFlights(count: number, seed: number): Buffer[] {
  const lines: Buffer[] = [];
  for (const line of flightLines(count, seed)) lines.push(line);
  return lines;
}

/** The same, one at a time, for inputs that should not stand in memory. */
export function* flightLines(count: number, seed: number): Generator<Buffer> {
  const draws = new Draws(seed);
  let minutes = 47;
  for (let n = 1; n <= count; n++) {
    minutes += draws.below(7);
    const origin = airport(draws);
    const destination = airport(draws);
    const date = `2001/${two(1 + (Math.floor(minutes / 43_200) % 12))}/${two(1 + (Math.floor(minutes / 1440) % 28))} ${two(Math.floor(minutes / 60) % 24)}:${two(minutes % 60)}`;
    const delay = draws.below(100) < 80 ? draws.below(30) - 15 : draws.below(300);
    yield Buffer.from(
      `{"date":"${date}","delay":${delay},"distance":${60 + draws.below(2500)},"origin":"${origin}","destination":"${destination}","n":${n}}`,
      "latin1",
    );
  }
}

function airport(draws: Draws): string {
  let at = draws.below(1000);
  for (const { code, share } of BUSY) {
    if (at < share) return code;
    at -= share;
  }
  const small = draws.below(SMALL);
  return String.fromCharCode(65 + (small % 26), 65 + (Math.floor(small / 26) % 26), 88 + (small % 3));
}

function two(n: number): string {
  return `${n}`.padStart(2, "0");
}

/** Lines on which programs that decode and encode again stumble. No line feed at the end of the file. */
export function nastyFile(seed: number): Buffer {
  const draws = new Draws(seed);
  const big = `{"origin":"BIG","text":"${"x".repeat(900 * 1024 - 26)}"}`;
  const lines = [
    '{"origin":"CRLF","n":1}\r',
    "",
    "\r",
    "   ",
    '{"origin":"\\u0041\\u00e9\\ud83d\\ude00","escaped":"\\u000a\\u0000\\/"}',
    '{"origin":"Aé😀","plain":"Aé😀"}',
    '{"origin":"INT","n":9007199254740993,"m":-9223372036854775808,"f":1.0,"e":1e400}',
    '{"origin":9007199254740993}',
    '{"origin":9007199254740992}',
    '{"origin":"ONE","origin":"TWO","a":1,"a":2}',
    '{"origin":null}',
    '{"origin":{"a":1}}',
    '{"origin":""}',
    '{"origin":true}',
    "not JSON at all",
    '\ufeff{"origin":"BOM"}',
    '{"__proto__":1,"origin":"__proto__"}',
    "\u0000\u0001\u007f\t tab and nul",
    big,
    "",
    "",
  ];
  const bytes = lines.map((line) => Buffer.from(line, "utf8"));
  // Bytes that are no UTF-8, but for the line feed.
  for (let i = 0; i < 50; i++)
    bytes.push(Buffer.from(Array.from({ length: 1 + draws.below(200) }, () => draws.below(256)).filter((b) => b !== 10)));
  for (let i = 0; i < 200; i++) bytes.push(Buffer.from(`{"origin":"K${draws.below(5)}","n":${i}}${draws.below(2) === 0 ? "\r" : ""}`));
  bytes.push(Buffer.from('{"origin":"LAST","end":"no line feed follows"}'));
  return Buffer.concat(bytes.flatMap((line, i) => (i === 0 ? [line] : [Buffer.from("\n"), line])));
}
