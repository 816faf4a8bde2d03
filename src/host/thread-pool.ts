/**
 * Threads of libuv's pool, on which every call to the file system waits: one for the write-ahead log and seven for segments, syncs and
 * reads (`LANES`, design §4). With libuv's own four, a sync and two reads can keep a vote from the disk.
 */
export const THREADS = 8;

/**
 * The environment of a broker's process. It must be there when the process starts: Node reads the program itself through the pool, so by
 * the time any of our code runs its size is settled.
 *
 * @param env what else the process is given; a size that somebody chose stays
 */
export function threadPoolEnvironment(env: Readonly<Record<string, string | undefined>>): Record<string, string | undefined> {
  return { UV_THREADPOOL_SIZE: String(THREADS), ...env };
}

/** Threads this process' pool has, as far as its environment says. */
export function threadPoolSize(env: Readonly<Record<string, string | undefined>>): number {
  const size = Number(env["UV_THREADPOOL_SIZE"] ?? 4);
  return Number.isSafeInteger(size) && size > 0 ? size : 4;
}
