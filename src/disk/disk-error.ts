import { DiskError } from "../base/ports/disk.ts";

/** Turns what `node:fs` threw into a `DiskError`; `action` completes "Cannot … PATH". */
export function toDiskError(error: unknown, path: string, action: string): DiskError {
  if (error instanceof DiskError) return error;
  return new DiskError(errnoOf(error), path, action);
}

/** The errno name of a system error, "EIO" for anything that names none. */
export function errnoOf(error: unknown): string {
  if (error instanceof Error && "code" in error && typeof error.code === "string") return error.code;
  return "EIO";
}
