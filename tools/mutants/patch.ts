/** A patch that cannot be read, or does not fit the sources any more. */
export class PatchError extends Error {
  override readonly name = "PatchError";
}

/** One place of one file: these lines stand there once, and become those. */
interface Hunk {
  /** Line of the patch, for messages. */
  readonly at: number;
  readonly before: readonly string[];
  readonly after: readonly string[];
}

/** What a patch does to one file. */
export interface FilePatch {
  /** From the root of the repository. */
  readonly path: string;
  readonly hunks: readonly Hunk[];
}

/**
 * Reads a unified diff. Line numbers of its hunks are not looked at: where a hunk belongs is said by its lines, which must stand in the
 * file exactly once, so that a patch outlives changes elsewhere in the file and never lands in another place.
 *
 * @throws {PatchError}
 */
export function parsePatch(text: string): readonly FilePatch[] {
  const files: { path: string; hunks: { at: number; before: string[]; after: string[] }[] }[] = [];
  for (const [number, line] of text.split("\n").entries()) {
    const at = number + 1;
    const hunk = files.at(-1)?.hunks.at(-1);
    if (line.startsWith("--- ")) continue;
    if (line.startsWith("+++ ")) files.push({ path: line.slice(4).replace(/^b\//, "").trim(), hunks: [] });
    else if (line.startsWith("@@")) {
      const file = files.at(-1);
      if (file === undefined) throw new PatchError(`line ${at}: a hunk before the name of its file`);
      file.hunks.push({ at, before: [], after: [] });
    } else if (hunk === undefined) {
      if (line !== "") throw new PatchError(`line ${at} is no part of a unified diff: ${line}`);
    } else if (line.startsWith("-")) hunk.before.push(line.slice(1));
    else if (line.startsWith("+")) hunk.after.push(line.slice(1));
    else if (line.startsWith(" ")) {
      hunk.before.push(line.slice(1));
      hunk.after.push(line.slice(1));
    } else if (line !== "") throw new PatchError(`line ${at} is no part of a unified diff: ${line}`);
  }
  if (files.length === 0) throw new PatchError("changes no file");
  for (const { path, hunks } of files) {
    if (hunks.length === 0) throw new PatchError(`changes nothing in ${path}`);
    for (const { at, before, after } of hunks)
      if (before.length === 0 || before.join("\n") === after.join("\n")) throw new PatchError(`line ${at}: a hunk that changes nothing`);
  }
  return files;
}

/**
 * @param read the text of a file; undefined: there is none
 * @returns the changed texts by path
 * @throws {PatchError} when a file is not there, or the lines of a hunk do not stand in it exactly once
 */
export function applyPatch(patch: readonly FilePatch[], read: (path: string) => string | undefined): ReadonlyMap<string, string> {
  const changed = new Map<string, string>();
  for (const { path, hunks } of patch) {
    const text = changed.get(path) ?? read(path);
    if (text === undefined) throw new PatchError(`there is no ${path}`);
    const lines = text.split("\n");
    for (const { at, before, after } of hunks) {
      const places = lines.flatMap((_, place) => (before.every((line, k) => lines[place + k] === line) ? [place] : []));
      const [place] = places;
      if (place === undefined || places.length > 1)
        throw new PatchError(
          `line ${at}: its lines stand in ${path} ${places.length} times, not once: ${before.find((line) => line !== "")}`,
        );
      lines.splice(place, before.length, ...after);
    }
    changed.set(path, lines.join("\n"));
  }
  return changed;
}
