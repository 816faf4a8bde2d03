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
  const value = `${run}/${producer}/${n}/${bytes}/${(crc32(filler) ^ crc32(`${run}/${producer}/${n}`)) >>> 0}`;
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
  const value = Buffer.from(body.subarray(0, end)).toString("latin1");
  const [run, producer, n, bytes] = value.split("/");
  const made = makePayload(run ?? "", producer ?? "", Number(n), Math.min(Number(bytes) || 0, 1 << 24));
  return { value, intact: made.value === value && Buffer.compare(made.body, body) === 0 };
}

function fillerOf(n: number, bytes: number): Uint8Array {
  const filler = new Uint8Array(bytes);
  let state = Math.imul(n + 1, 0x9e3779b1) | 0;
  for (let i = 0; i < bytes; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    filler[i] = state >>> 24;
  }
  return filler;
}
