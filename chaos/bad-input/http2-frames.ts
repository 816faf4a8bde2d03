/** HTTP/2 frames by hand (RFC 9113 §4, §6), for what no library sends. */
export const FrameKind = {
  data: 0,
  headers: 1,
  priority: 2,
  resetStream: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;
export type FrameKind = (typeof FrameKind)[keyof typeof FrameKind];

export const Flag = { endStream: 1, ack: 1, endHeaders: 4 } as const;
export const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");
export const NOTHING = Buffer.alloc(0);

export function frame(kind: number, flags: number, stream: number, payload: Uint8Array = NOTHING): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header.writeUInt8(kind, 3);
  header.writeUInt8(flags, 4);
  header.writeUInt32BE(stream, 5);
  return Buffer.concat([header, payload]);
}

/** A number each: identifier, value. */
export function settings(...pairs: readonly (readonly [id: number, value: number])[]): Buffer {
  const payload = Buffer.alloc(6 * pairs.length);
  for (const [at, [id, value]] of pairs.entries()) {
    payload.writeUInt16BE(id, 6 * at);
    payload.writeUInt32BE(value, 6 * at + 2);
  }
  return frame(FrameKind.settings, 0, 0, payload);
}

/** Identifiers of settings. */
export const Setting = { initialWindowSize: 4 } as const;

export function windowUpdate(stream: number, increment: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(increment);
  return frame(FrameKind.windowUpdate, 0, stream, payload);
}

export function resetStream(stream: number, code = 8): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(code);
  return frame(FrameKind.resetStream, 0, stream, payload);
}

/** HPACK without Huffman and without the dynamic table (RFC 7541 §6.2.2): each field a literal. */
export function headerBlock(fields: readonly (readonly [name: string, value: string])[]): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.of(0), literal(name), literal(value)]));
}

/** A string with its length, 7-bit prefix. */
export function literal(text: string): Buffer {
  const bytes = Buffer.from(text, "latin1");
  return Buffer.concat([prefixed(bytes.length), bytes]);
}

function prefixed(value: number): Buffer {
  if (value < 127) return Buffer.of(value);
  const bytes = [127];
  for (let rest = value - 127; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest]);
    bytes.push((rest % 128) | 128);
  }
}

export function callHeaders(path: string, more: readonly (readonly [string, string])[] = []): Buffer {
  return headerBlock([
    [":method", "POST"],
    [":scheme", "http"],
    [":path", path],
    [":authority", "x"],
    ["content-type", "application/grpc"],
    ["te", "trailers"],
    ...more,
  ]);
}

/** A gRPC message as it goes over the wire: flag, u32 big-endian length, bytes. */
export function framed(bytes: Uint8Array, flag = 0, length = bytes.length): Buffer {
  const header = Buffer.alloc(5);
  header.writeUInt8(flag, 0);
  header.writeUInt32BE(length, 1);
  return Buffer.concat([header, bytes]);
}
