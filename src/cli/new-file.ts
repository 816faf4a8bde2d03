import { writeFileSync } from "node:fs";
import { UsageError } from "./exit-code.ts";

/** @throws {UsageError} when the file exists: a bundle may be all that is left of yesterday */
export function writeNew(path: string, bytes: Uint8Array | string): void {
  try {
    writeFileSync(path, bytes, { flag: "wx", mode: 0o600 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") throw new UsageError(`--out ${path} exists already: say another name`);
    throw error;
  }
}
