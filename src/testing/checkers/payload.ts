import { crc32 } from "node:zlib";

/**
 * A record value that names itself and proves its own bytes: `run/producer/n/length/crc32` in text, a line feed, and filler that
 * follows from n. Whoever reads it knows whether it is what somebody sent, without asking anybody.
 */
export function makePayload(
  run: string,
  producer: string,
  n: number,
  bytes: number,
): { readonly value: string; readonly body: Uint8Array } {
  const filler = fillerOf(n, bytes);
  const value = nameOf(run, producer, n, filler);
  const head = Buffer.from(`${value}\n`, "latin1");
  const body = new Uint8Array(head.length + bytes);
  body.set(head);
  body.set(filler, head.length);
  return { value, body };
}

/** Takes a value apart again. `value` names what it says it is, `intact` whether every byte fits. */
export function readPayload(body: Uint8Array): { readonly value: string; readonly intact: boolean } {
  const end = body.indexOf(10);
  if (end < 0) return { value: `unreadable (${body.length} bytes)`, intact: false };
  const value = Buffer.from(body.buffer, body.byteOffset, end).toString("latin1");
  const [run = "", producer = "", n] = value.split("/");
  const filler = body.subarray(end + 1);
  return { value, intact: isFiller(filler, Number(n)) && nameOf(run, producer, Number(n), filler) === value };
}

function nameOf(run: string, producer: string, n: number, filler: Uint8Array): string {
  return `${run}/${producer}/${n}/${filler.length}/${(crc32(filler) ^ crc32(`${run}/${producer}/${n}`)) >>> 0}`;
}

function fillerOf(n: number, bytes: number): Uint8Array {
  const filler = new Uint8Array(bytes);
  let state = firstState(n);
  for (let i = 0; i < bytes; i++) {
    state = nextState(state);
    filler[i] = state >>> 24;
  }
  return filler;
}

function isFiller(filler: Uint8Array, n: number): boolean {
  let state = firstState(n);
  for (let i = 0; i < filler.length; i++) {
    state = nextState(state);
    if (filler[i] !== state >>> 24) return false;
  }
  return true;
}

function firstState(n: number): number {
  return Math.imul(n + 1, 0x9e3779b1) | 0;
}

function nextState(state: number): number {
  return (Math.imul(state, 1664525) + 1013904223) | 0;
}
