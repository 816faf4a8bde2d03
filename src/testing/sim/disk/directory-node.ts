import type { FileNode } from "./file-node.ts";

export type Node = FileNode | DirectoryNode;

/** Names as programs see them, and as the platter holds them: a change moves from the first to the second by a directory sync. */
export class DirectoryNode {
  readonly kind = "directory";
  entries = new Map<string, Node>();
  readonly stable = new Map<string, Node>();

  /** Power is gone: what the platter holds is what there is. */
  powerCut(): void {
    this.entries = new Map(this.stable);
  }
}
