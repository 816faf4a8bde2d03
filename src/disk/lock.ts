import { readdir, unlink } from "node:fs/promises";
import { connect, createServer, type Server } from "node:net";
import { DiskError } from "../base/ports/disk.ts";
import { errnoOf, toDiskError } from "./disk-error.ts";

/** Socket addresses hold about 104 bytes; a longer path would be cut silently and lock another name. */
const PATH_BYTES_MAX = 90;
/** Two starts that keep meeting each other is already odd; more is a bug or an attack. */
const ATTEMPTS_MAX = 20;
/** How long a live owner may take to say its number before it is refused without one. */
const NUMBER_MS = 500;
/** How long a bound socket may take to listen before it counts as left behind. */
const SECOND_LOOK_MS = 50;

/**
 * Keeps a second process away from a data directory (design §4). The lock is a unix socket `lock.<n>`: the kernel stops answering for
 * it when its process dies, however it dies, and unlike `flock` plain Node can take it. Binding a new name is the atomic step:
 *
 * 1. connect to the highest n; an answer means a live owner
 * 2. refused: bind n + 1 (in use: somebody was faster, look again)
 * 3. list again: a higher one that answers wins, we let go
 * 4. remove the lower ones
 *
 * Whoever connects is told the owner's process id, so that the refusal can name it.
 *
 * @throws {DiskError} "ELOCKED" another live process holds it · "ENAMETOOLONG" the socket's path is over 90 bytes
 */
export async function takeLock(root: string): Promise<{ release(): Promise<void> }> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const highest = (await lockNumbers(root)).at(-1);
    const owner = highest === undefined ? undefined : await ask(lockPath(root, highest));
    if (owner !== undefined) throw held(root, owner);
    const own = (highest ?? 0) + 1;
    const server = await bind(lockPath(root, own));
    if (server === undefined) continue;
    const faster = await higherAnswers(root, own);
    if (faster !== undefined) {
      await closed(server);
      throw held(root, faster);
    }
    await removeLower(root, own);
    return { release: () => closed(server) };
  }
  throw held(root, {});
}

/** A live process that holds a lock; one that is busy does not say its number. */
interface Owner {
  readonly pid?: number;
}

function held(root: string, { pid }: Owner): DiskError {
  const who = pid === undefined ? "another process" : `another process (pid ${pid})`;
  return new DiskError(
    "ELOCKED",
    root,
    `use the data directory while ${who} does:`,
    "stop that broker first, or give this one a directory of its own with --data",
  );
}

function lockPath(root: string, n: number): string {
  const path = `${root}/lock.${n}`;
  if (Buffer.byteLength(path) > PATH_BYTES_MAX) {
    throw new DiskError("ENAMETOOLONG", path, `lock a data directory whose lock has a path over ${PATH_BYTES_MAX} bytes:`);
  }
  return path;
}

/** Ascending. */
async function lockNumbers(root: string): Promise<number[]> {
  let names: string[];
  try {
    names = await readdir(root);
  } catch (error) {
    throw toDiskError(error, root, "list the data directory");
  }
  const numbers = names.map((name) => Number(/^lock\.([1-9][0-9]{0,11})$/.exec(name)?.[1] ?? Number.NaN));
  return numbers.filter(Number.isSafeInteger).sort((a, b) => a - b);
}

async function higherAnswers(root: string, own: number): Promise<Owner | undefined> {
  for (const n of await lockNumbers(root)) {
    if (n <= own) continue;
    const owner = await ask(lockPath(root, n));
    if (owner !== undefined) return owner;
    // Between its bind and its listen a live socket refuses; it gets a second look before it counts as left behind.
    await new Promise((resolve) => setTimeout(resolve, SECOND_LOOK_MS));
    const later = await ask(lockPath(root, n));
    if (later !== undefined) return later;
  }
  return undefined;
}

async function removeLower(root: string, own: number): Promise<void> {
  for (const n of await lockNumbers(root)) {
    if (n >= own) continue;
    try {
      await unlink(lockPath(root, n));
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw toDiskError(error, lockPath(root, n), "remove the old lock");
    }
  }
}

/** @returns undefined when no live process listens there */
function ask(path: string): Promise<Owner | undefined> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    let connected = false;
    let said = "";
    const answer = (owner: Owner | undefined): void => {
      socket.destroy();
      resolve(owner);
    };
    const answerAsSaid = (): void => answer(/^\d{1,10}\n$/.test(said) ? { pid: Number(said) } : {});
    socket.once("connect", () => {
      connected = true;
      socket.setTimeout(NUMBER_MS, answerAsSaid);
    });
    socket.on("data", (bytes) => {
      said += bytes.toString("latin1");
      if (said.includes("\n") || said.length > 16) answerAsSaid();
    });
    socket.once("end", answerAsSaid);
    socket.once("error", (error) => {
      const code = errnoOf(error);
      // A full backlog is an owner that is busy.
      if (connected || code === "EAGAIN") return answer({});
      if (code === "ECONNREFUSED" || code === "ENOENT") return answer(undefined);
      socket.destroy();
      return reject(toDiskError(error, path, "ask the lock"));
    });
  });
}

/** @returns undefined when the name is taken */
function bind(path: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      // Whoever asked may be gone already.
      socket.on("error", () => undefined);
      socket.end(`${process.pid}\n`, () => socket.destroy());
    });
    server.once("error", (error) => {
      if (errnoOf(error) === "EADDRINUSE") resolve(undefined);
      else reject(toDiskError(error, path, "take the lock"));
    });
    server.listen(path, () => {
      // The lock alone keeps no process alive.
      server.unref();
      resolve(server);
    });
  });
}

/** Closing removes the socket's name. */
function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}
