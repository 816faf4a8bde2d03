import type { FileNode } from "./file-node.ts";

export type Node = FileNode | DirectoryNode;

/** Names as programs see them, and as the platter holds them: a change moves from the first to the second by a directory sync. */
export class DirectoryNode {
  readonly kind = "directory";
  entries = new Map<string, Node>();
  readonly stable = new Map<string, Node>();

  /** What programs see below it, all of it on the platter. */
  copy(): DirectoryNode {
    const copy = new DirectoryNode();
    for (const [name, node] of this.entries) {
      const child = node.copy();
      copy.entries.set(name, child);
      copy.stable.set(name, child);
    }
    return copy;
  }

  /** Power is gone: what the platter holds is what there is. */
  powerCut(): void {
    this.entries = new Map(this.stable);
  }
}
