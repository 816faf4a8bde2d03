import type { MillraceError } from "../../../src/base/errors.ts";
import type { ServerStream } from "../../../src/base/ports/rpc-server.ts";

/** What became of a stream whose other side is the test. */
export interface StreamSeen {
  paused: boolean;
  /** Undefined: it goes on; true: it ended well. */
  ended: undefined | true | MillraceError;
  /** How often the session said that it is over. */
  gone: number;
}

export interface StreamFake {
  readonly stream: ServerStream;
  readonly seen: StreamSeen;
  /** The caller goes away. */
  cancel(): void;
  /** Whether the next write finds room. */
  room(is: boolean): void;
}

/** @param written every message, in order */
export function fakeStream(written: (message: Uint8Array) => void): StreamFake {
  const seen: StreamSeen = { paused: false, ended: undefined, gone: 0 };
  const runs = new Set<() => void>();
  let room = true;
  const stream: ServerStream = {
    call: {
      deadline: undefined,
      peer: "test",
      principal: "anonymous",
      cancelled: false,
      unsentBytes: 0,
      onCancel: (run) => {
        runs.add(run);
        return () => void runs.delete(run);
      },
    },
    handlers: { message() {}, ended() {}, drain() {} },
    unsentBytesMax: 0,
    unsentBytes: 0,
    write: (message) => {
      written(message);
      return room;
    },
    pause: () => {
      seen.paused = true;
    },
    resume: () => {
      seen.paused = false;
    },
    end: (error) => {
      seen.ended = error ?? true;
    },
  };
  return {
    stream,
    seen,
    cancel: () => {
      for (const run of [...runs]) run();
      runs.clear();
    },
    room: (is) => {
      room = is;
    },
  };
}
