const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/** Above this a `TextDecoder` call is cheaper than joining characters one by one. */
const SHORT_BYTES = 48;

/** Bytes `text` takes as UTF-8; a lone surrogate counts as U+FFFD, which is what is written for it. */
export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    if (unit < 0x800) bytes += 1;
    else if (unit >= 0xd800 && unit < 0xdc00 && isLowSurrogate(text, i + 1)) {
      bytes += 2; // Two units become four bytes.
      i++;
    } else bytes += 2;
  }
  return bytes;
}

function isLowSurrogate(text: string, at: number): boolean {
  const unit = at < text.length ? text.charCodeAt(at) : 0;
  return unit >= 0xdc00 && unit < 0xe000;
}

/** Writes `text` at `at`; the caller made room for `utf8Length(text)` bytes. @returns the position after it */
export function writeUtf8(text: string, into: Uint8Array, at: number): number {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit >= 0x80) return at + i + encoder.encodeInto(text.slice(i), into.subarray(at + i)).written;
    into[at + i] = unit;
  }
  return at + text.length;
}

/** @returns the text, or undefined when the bytes are not well-formed UTF-8 (RFC 3629: overlong forms and surrogates are not) */
export function readUtf8(bytes: Uint8Array, from: number, to: number): string | undefined {
  if (to - from <= SHORT_BYTES) {
    let text = "";
    let at = from;
    for (; at < to; at++) {
      const byte = bytes[at] as number;
      if (byte >= 0x80) break;
      text += String.fromCharCode(byte);
    }
    if (at === to) return text;
  }
  try {
    return decoder.decode(bytes.subarray(from, to));
  } catch {
    return undefined;
  }
}
