const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/** Above this a `TextDecoder` call is cheaper than joining characters one by one. */
const SHORT_BYTES = 48;
/** Above this a call of the encoder is cheaper than looking at each character (UTF-16 units). */
const SHORT_TEXT = 48;
/** Where longer texts are measured, by writing them: nothing else in the language counts UTF-8 bytes faster. */
const scratch = new Uint8Array(16 * 1024);

/** Bytes `text` takes as UTF-8; a lone surrogate counts as U+FFFD, which is what is written for it. */
export function utf8Length(text: string): number {
  if (text.length > SHORT_TEXT && text.length * 3 <= scratch.length) return encoder.encodeInto(text, scratch).written;
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
  if (text.length > SHORT_TEXT) return at + encoder.encodeInto(text, into.subarray(at)).written;
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

/** Whether the bytes are well-formed UTF-8 (Unicode table 3-7), without making a string. */
export function isUtf8(bytes: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; ) {
    const lead = bytes[at] as number;
    if (lead < 0x80) {
      at++;
      continue;
    }
    const length = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    if (length === 0 || length > to - at) return false;
    // The second byte's range shuts out overlong forms, surrogates and what lies above U+10FFFF.
    const second = bytes[at + 1] as number;
    const least = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
    const most = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
    if (second < least || second > most) return false;
    for (let next = at + 2; next < at + length; next++) if (((bytes[next] as number) & 0xc0) !== 0x80) return false;
    at += length;
  }
  return true;
}
