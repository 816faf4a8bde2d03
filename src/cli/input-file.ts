import { createReadStream, fstatSync, type ReadStream, type Stats, statSync } from "node:fs";
import { UsageError } from "./exit-code.ts";
import type { Terminal } from "./terminal.ts";

/** Bytes read at a time. */
const PIECE_BYTES = 256 * 1024;

/** Why a file cannot be opened, for those reasons that have a plain sentence. */
const reasons: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  ENOTDIR: "a part of its path is no directory",
  EACCES: "this user may not read it",
  EPERM: "this user may not read it",
  ENAMETOOLONG: "its name is too long",
  ELOOP: "its links lead in a circle",
};

/** Opens the file an option names. @throws {UsageError} naming it, and saying why it cannot be read */
export async function openInputFile(option: string, name: string): Promise<ReadStream> {
  const refuse = (why: string): UsageError => new UsageError(`Cannot read ${option} ${name}: ${why}`);
  let found: Stats;
  try {
    found = statSync(name);
  } catch (error) {
    throw refuse(whyNot(error));
  }
  if (found.isDirectory()) throw refuse("it is a directory; name a file, or pipe the lines into stdin");
  const stream = createReadStream(name, { highWaterMark: PIECE_BYTES });
  await new Promise<void>((resolve, reject) => {
    stream.once("ready", resolve);
    stream.once("error", (error) => reject(refuse(whyNot(error))));
  });
  return stream;
}

/** Standard input; a person at a keyboard is told what happens. @throws {UsageError} when it is a directory, which would look empty */
export function openStdin(terminal: Terminal): typeof process.stdin {
  if (process.stdin.isTTY) terminal.say("a record per line; Ctrl-D ends");
  else if (fstatSync(0).isDirectory()) throw new UsageError("Cannot read stdin: it is a directory; name a file with --file");
  return process.stdin;
}

function whyNot(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return reasons[code ?? ""] ?? message;
}
