import { type DiskEntry, DiskError } from "../../../base/ports/disk.ts";
import type { SimRandom } from "../random.ts";
import { DirectoryNode, type Node } from "./directory-node.ts";
import { type CutMood, FileNode } from "./file-node.ts";

/** A change of names that a power cut may undo until `directory` is synced. */
interface NameChange {
  readonly directory: DirectoryNode;
  readonly harden: () => void;
}

/** The names of one disk. All calls are synchronous and either happen whole or throw a `DiskError`. */
export class Tree {
  #root = new DirectoryNode();
  /** Oldest first. */
  #changes: NameChange[] = [];

  /** As a backup has it: what programs see now, on a disk of its own. */
  copy(): Tree {
    const copy = new Tree();
    copy.#root = this.#root.copy();
    return copy;
  }

  file(path: string, action: string): FileNode {
    const node = this.#find(path, action);
    if (node.kind !== "file") throw new DiskError("EISDIR", path, action);
    return node;
  }

  create(path: string): FileNode {
    const { directory, name } = this.#parent(path, "create");
    if (directory.entries.has(name)) throw new DiskError("EEXIST", path, "create");
    const file = new FileNode();
    this.#put(directory, name, file);
    return file;
  }

  makeDirectory(path: string): void {
    let directory = this.#root;
    for (const name of partsOf(path, "make directory")) {
      let next = directory.entries.get(name);
      if (next === undefined) {
        next = new DirectoryNode();
        this.#put(directory, name, next);
      }
      if (next.kind !== "directory") throw new DiskError("EEXIST", path, "make directory");
      directory = next;
    }
  }

  rename(from: string, to: string): void {
    const action = `rename to ${to}:`;
    const source = this.#parent(from, action);
    const target = this.#parent(to, action);
    const node = source.directory.entries.get(source.name);
    if (node === undefined) throw new DiskError("ENOENT", from, action);
    const replaced = target.directory.entries.get(target.name);
    if (replaced === node) return;
    if (replaced?.kind === "directory" && node.kind === "file") throw new DiskError("EISDIR", from, action);
    if (replaced?.kind === "file" && node.kind === "directory") throw new DiskError("ENOTDIR", from, action);
    if (replaced?.kind === "directory" && replaced.entries.size > 0) throw new DiskError("ENOTEMPTY", from, action);
    source.directory.entries.delete(source.name);
    target.directory.entries.set(target.name, node);
    // Journals write a rename whole: never both names, never none. It is the new name's parent that must be synced.
    this.#changes.push({
      directory: target.directory,
      harden() {
        if (source.directory.stable.get(source.name) === node) source.directory.stable.delete(source.name);
        target.directory.stable.set(target.name, node);
      },
    });
  }

  unlink(path: string): void {
    const { directory, name } = this.#parent(path, "remove");
    const node = directory.entries.get(name);
    if (node === undefined) throw new DiskError("ENOENT", path, "remove");
    if (node.kind !== "file") throw new DiskError("EISDIR", path, "remove");
    this.#remove(directory, name);
  }

  removeDirectory(path: string): void {
    const { directory, name } = this.#parent(path, "remove directory");
    const node = directory.entries.get(name);
    if (node === undefined) throw new DiskError("ENOENT", path, "remove directory");
    if (node.kind !== "directory") throw new DiskError("ENOTDIR", path, "remove directory");
    if (node.entries.size > 0) throw new DiskError("ENOTEMPTY", path, "remove directory");
    this.#remove(directory, name);
  }

  /** In the order names were made: callers shuffle it, as file systems do. */
  list(path: string): DiskEntry[] {
    return [...this.#directory(path, "list").entries].map(([name, node]) => ({ name, kind: node.kind }));
  }

  syncDirectory(path: string): void {
    const directory = this.#directory(path, "sync directory");
    this.#changes = this.#changes.filter((change) => {
      if (change.directory !== directory) return true;
      change.harden();
      return false;
    });
  }

  /** Some of the unsynced changes made it: none, all, or those up to some moment, as journals do. */
  powerCut(mood: CutMood, random: SimRandom): void {
    const kept = mood === "nothing" ? 0 : mood === "everything" ? this.#changes.length : random.below(this.#changes.length + 1);
    for (const change of this.#changes.slice(0, kept)) change.harden();
    this.#changes = [];
    for (const { node } of this.walk()) {
      if (node.kind === "directory") node.powerCut();
    }
    for (const { node } of this.walk()) {
      if (node.kind === "file") node.powerCut(mood, random);
    }
  }

  /** Every node that has a name, parents first. */
  *walk(): Generator<{ readonly path: string; readonly node: Node }> {
    const left: { path: string; node: Node }[] = [{ path: "", node: this.#root }];
    for (let at = left.pop(); at !== undefined; at = left.pop()) {
      yield at;
      if (at.node.kind === "file") continue;
      for (const [name, node] of at.node.entries) left.push({ path: at.path === "" ? name : `${at.path}/${name}`, node });
    }
  }

  #put(directory: DirectoryNode, name: string, node: Node): void {
    directory.entries.set(name, node);
    this.#changes.push({ directory, harden: () => void directory.stable.set(name, node) });
  }

  #remove(directory: DirectoryNode, name: string): void {
    directory.entries.delete(name);
    this.#changes.push({ directory, harden: () => void directory.stable.delete(name) });
  }

  #find(path: string, action: string): Node {
    const parts = partsOf(path, action);
    return this.#walkTo(parts, parts.length, path, action);
  }

  /** Along the first `depth` of these names. @param path they make */
  #walkTo(parts: readonly string[], depth: number, path: string, action: string): Node {
    let node: Node = this.#root;
    for (let i = 0; i < depth; i++) {
      const next: Node | undefined = node.kind === "directory" ? node.entries.get(parts[i] as string) : undefined;
      if (next === undefined) throw new DiskError("ENOENT", path, action);
      node = next;
    }
    return node;
  }

  #directory(path: string, action: string): DirectoryNode {
    const node = this.#find(path, action);
    if (node.kind !== "directory") throw new DiskError("ENOTDIR", path, action);
    return node;
  }

  #parent(path: string, action: string): { directory: DirectoryNode; name: string } {
    const parts = partsOf(path, action);
    const name = parts.at(-1);
    if (name === undefined) throw new DiskError("EBUSY", path, action);
    const directory = this.#walkTo(parts, parts.length - 1, path.slice(0, -name.length - 1), action);
    if (directory.kind !== "directory") throw new DiskError("ENOTDIR", path, action);
    return { directory, name };
  }
}

/** Paths come again and again, and few are in use at a time. */
const PARTS_KNOWN_MAX = 4096;
const known = new Map<string, readonly string[]>();

/** The same names pass as on a real disk (`src/disk/paths.ts`; the contract suite holds both to it). */
function partsOf(path: string, action: string): readonly string[] {
  let parts = known.get(path);
  if (parts !== undefined) return parts;
  parts = path === "" ? [] : path.split("/");
  for (const part of parts) {
    const plain = part !== "" && part !== "." && part !== ".." && !part.includes("\0") && !part.includes("\\");
    if (!plain) throw new DiskError("EINVAL", path, action);
  }
  if (known.size >= PARTS_KNOWN_MAX) known.clear();
  known.set(path, parts);
  return parts;
}
