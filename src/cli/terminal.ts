/** Data leaves in pieces of about so many bytes. */
const PIECE_BYTES = 64 * 1024;

/** Where a command puts data and talk. */
export interface Terminal {
  /** Data, to stdout; buffered. Resolves when the reader keeps up. */
  data(bytes: Uint8Array | string): Promise<void> | undefined;
  flush(): Promise<void>;
  /** One line for people, to stderr. */
  say(line: string): void;
}

/** Whoever read our data has gone (`| head`): nothing is wrong, and there is nothing more to do. */
export class ReaderGone extends Error {
  override readonly name = "ReaderGone";
}

export function processTerminal(): Terminal {
  let pieces: Uint8Array[] = [];
  let bytes = 0;
  let gone = false;
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    gone = true;
  });
  // A closed stderr must not end the command either.
  process.stderr.on("error", () => undefined);
  const write = async (): Promise<void> => {
    const piece = Buffer.concat(pieces);
    pieces = [];
    bytes = 0;
    if (gone) throw new ReaderGone();
    if (piece.length > 0 && !process.stdout.write(piece)) await drained();
    if (gone) throw new ReaderGone();
  };
  return {
    data(data) {
      const piece = typeof data === "string" ? Buffer.from(data) : data;
      pieces.push(piece);
      bytes += piece.length;
      return bytes >= PIECE_BYTES ? write() : undefined;
    },
    flush: write,
    say(line) {
      process.stderr.write(`${line}\n`);
    },
  };
}

/** Resolves when stdout takes more, and also when it never will again. */
function drained(): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      for (const event of ["drain", "close", "error"]) process.stdout.off(event, done);
      resolve();
    };
    for (const event of ["drain", "close", "error"]) process.stdout.on(event, done);
  });
}
