import { createReadStream, type ReadStream, type Stats, statSync } from "node:fs";
import { UsageError } from "./exit-code.ts";

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

function whyNot(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return reasons[code ?? ""] ?? message;
}
