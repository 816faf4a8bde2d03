import { constants, gunzip, gzip } from "node:zlib";
import type { Deflate } from "../base/ports/deflate.ts";
import type { Inflate } from "../base/ports/inflate.ts";
import { Slots } from "./slots.ts";

/** zlib works in the thread pool the disk works in too, so it may take only so much of it (design §4). */
const RUNNING_MAX = 2;
/** Each holds its compressed bytes. */
const WAITING_MAX = 1024;
/** Output is made in pieces of this; each costs a turn through the pool. Bytes. */
const CHUNK_BYTES = 128 * 1024;

/** Inflates gzip in the thread pool, at most two at once over all callers of this object, first come first served. */
export class GzipInflate implements Inflate {
  readonly #slots = new Slots("compression.inflate.waiting", RUNNING_MAX, WAITING_MAX);

  /**
   * Members that follow each other are one stream (RFC 1952); anything else behind the last one is MALFORMED.
   *
   * @throws {MillraceError} TOO_MANY_REQUESTS when too many wait
   */
  gunzip(bytes: Uint8Array, limitBytes: number): ReturnType<Inflate["gunzip"]> {
    return this.#slots.run(() => inflate(bytes, limitBytes));
  }
}

/** Deflates gzip in the thread pool; the level is zlib's default. */
export class GzipDeflate implements Deflate {
  readonly #slots = new Slots("compression.deflate.waiting", RUNNING_MAX, WAITING_MAX);

  /** @throws {MillraceError} TOO_MANY_REQUESTS when too many wait */
  gzip(bytes: Uint8Array): Promise<Uint8Array> {
    return this.#slots.run(
      () =>
        new Promise((resolve, reject) => {
          gzip(bytes, { chunkSize: CHUNK_BYTES, level: constants.Z_DEFAULT_COMPRESSION }, (error, deflated) => {
            if (error === null) resolve(deflated);
            else reject(error);
          });
        }),
    );
  }
}

/** What the callback of `gunzip` gets with `info: true`. */
interface Inflated {
  readonly buffer: Uint8Array;
  /** `bytesWritten`: bytes of input the engine took. */
  readonly engine: { readonly bytesWritten: number };
}

function inflate(bytes: Uint8Array, limitBytes: number): ReturnType<Inflate["gunzip"]> {
  return new Promise((resolve) => {
    // zlib wants at least 1; whatever comes out of a limit of 0 is too large by the check below.
    const options = { maxOutputLength: Math.max(1, limitBytes), chunkSize: CHUNK_BYTES, info: true };
    gunzip(bytes, options, (error: NodeJS.ErrnoException | null, result: object) => {
      if (error !== null) {
        resolve({ failed: error.code === "ERR_BUFFER_TOO_LARGE" ? "TOO_LARGE" : "MALFORMED" });
        return;
      }
      const { buffer, engine } = result as Inflated;
      if (engine.bytesWritten !== bytes.length) resolve({ failed: "MALFORMED" });
      else if (buffer.length > limitBytes) resolve({ failed: "TOO_LARGE" });
      else resolve({ bytes: buffer });
    });
  });
}
