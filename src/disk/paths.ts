import { DiskError } from "../base/ports/disk.ts";

/**
 * Joins a path of the `Disk` port to the data directory. Only plain relative names pass: no `..`, no `.`, no empty part, no NUL,
 * no backslash, so that nothing a file or a peer says can name a place outside (case 44).
 *
 * @throws {DiskError} code "EINVAL"
 */
export function resolveInside(root: string, path: string): string {
  if (path === "") return root;
  for (const part of path.split("/")) {
    if (part === "" || part === "." || part === ".." || part.includes("\0") || part.includes("\\")) {
      throw new DiskError("EINVAL", path, "use a path that leaves the data directory or is not plain:");
    }
  }
  return `${root}/${path}`;
}
