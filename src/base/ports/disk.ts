/** Why a disk call failed. `code` is the errno name ("ENOSPC", "EIO", "ENOENT", "EEXIST" …). */
export class DiskError extends Error {
  override readonly name = "DiskError";
  readonly code: string;
  readonly path: string;
  /** What failed, as words that stand before the path; a failed sync begins with "sync". */
  readonly action: string;
  /** @param advice what to do about it, where that is known */
  constructor(code: string, path: string, action: string, advice?: string) {
    super(`Cannot ${action} ${path}: ${code}${advice === undefined ? "" : ` (${advice})`}`);
    this.code = code;
    this.path = path;
    this.action = action;
  }
}

export interface OpenOptions {
  /** "read": must exist · "write": must exist, read and write · "create": must not exist, read and write */
  readonly mode: "read" | "write" | "create";
  /** Every write returns only when its bytes are durable (O_DSYNC). */
  readonly durable?: boolean;
}

/** One open file. Positions and lengths in bytes. No call is retried by the implementation. */
export interface DiskFile {
  readonly path: string;
  /** Writes all of `chunks`, one after the other, starting at `position`. One system call per 1,024 chunks. @throws {DiskError} */
  write(position: number, chunks: readonly Uint8Array[]): Promise<void>;
  /** Reads up to `into.length` bytes. @returns bytes read; fewer only at the end of the file. @throws {DiskError} */
  read(position: number, into: Uint8Array): Promise<number>;
  /** Makes written bytes (and the size) durable. After a failure the file must not be used again. @throws {DiskError} */
  sync(): Promise<void>;
  truncate(size: number): Promise<void>;
  size(): Promise<number>;
  close(): Promise<void>;
}

export interface DiskEntry {
  readonly name: string;
  readonly kind: "file" | "directory" | "other";
}

/**
 * The file system below one data directory. Paths are relative to it, with `/`; `""` is the directory itself.
 * What `sync` promised survives a power cut; a rename, create or unlink survives one only after `syncDirectory` of the parent.
 */
export interface Disk {
  /** Human-readable place, for messages only. */
  readonly root: string;
  open(path: string, options: OpenOptions): Promise<DiskFile>;
  list(path: string): Promise<readonly DiskEntry[]>;
  /** Makes the directory and its parents; existing ones are fine. */
  makeDirectory(path: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  /** Removes an empty directory. */
  removeDirectory(path: string): Promise<void>;
  syncDirectory(path: string): Promise<void>;
  /** Bytes free for us. */
  freeBytes(): Promise<number>;
  /**
   * Takes the lock that keeps a second process away (design §4: a unix socket `lock.<n>`).
   * @throws {DiskError} code "ELOCKED" when another live process holds it, "ENAMETOOLONG" when the path is over 90 bytes
   */
  lock(): Promise<{ release(): Promise<void> }>;
}
