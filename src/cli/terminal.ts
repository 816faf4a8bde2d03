import { CommandFailed, ExitCode } from "./exit-code.ts";
import { ProgressLine } from "./progress-line.ts";

/** Data leaves in pieces of about so many bytes. */
const PIECE_BYTES = 64 * 1024;

/** Where a command puts data and talk. */
export interface Terminal {
  /** Data, to stdout; buffered. Resolves when the reader keeps up. */
  data(bytes: Uint8Array | string): Promise<void> | undefined;
  flush(): Promise<void>;
  /** One line for people, to stderr. */
  say(line: string): void;
  /** How far long work has come, in place of what was shown before; only on a terminal. @param line undefined: nothing any more */
  progress?(line: string | undefined): void;
  /** Data is shown on a terminal too: a progress line would stand in the middle of it. */
  readonly showsData?: boolean;
}

/** Whoever read our data has gone (`| head`): nothing is wrong, and there is nothing more to do. */
export class ReaderGone extends Error {
  override readonly name = "ReaderGone";
}

export function processTerminal(): Terminal {
  let pieces: Uint8Array[] = [];
  let bytes = 0;
  let failure: NodeJS.ErrnoException | undefined;
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    failure ??= error;
  });
  const refuseFailed = (): void => {
    if (failure === undefined) return;
    if (failure.code === "EPIPE") throw new ReaderGone();
    throw new CommandFailed(ExitCode.failure, `Cannot write to stdout: ${failure.message}`);
  };
  // A closed stderr must not end the command either.
  process.stderr.on("error", () => undefined);
  const taken = (): Buffer => {
    const piece = Buffer.concat(pieces);
    pieces = [];
    bytes = 0;
    return piece;
  };
  const write = async (): Promise<void> => {
    refuseFailed();
    if (!process.stdout.write(taken())) await drained();
    refuseFailed();
  };
  const flush = async (): Promise<void> => {
    refuseFailed();
    const piece = taken();
    // Whether the last piece could be written is known only when it was.
    if (piece.length > 0) await new Promise<void>((resolve) => process.stdout.write(piece, () => resolve()));
    refuseFailed();
  };
  const progress = new ProgressLine(process.stderr);
  return {
    showsData: process.stdout.isTTY === true,
    progress: (line) => progress.show(line),
    data(data) {
      const piece = typeof data === "string" ? Buffer.from(data) : data;
      pieces.push(piece);
      bytes += piece.length;
      return bytes >= PIECE_BYTES ? write() : undefined;
    },
    flush,
    say(line) {
      progress.clear();
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
