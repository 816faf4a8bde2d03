import { invariant } from "../../../base/invariant.ts";
import type { SimProcess } from "../process.ts";
import type { SimRandom } from "../random.ts";
import type { Scheduler } from "../scheduler.ts";
import type { CutMood, FileNode } from "./file-node.ts";
import { Tree } from "./tree.ts";

export type OperationKind =
  | "open"
  | "write"
  | "read"
  | "sync"
  | "truncate"
  | "size"
  | "close"
  | "list"
  | "makeDirectory"
  | "rename"
  | "unlink"
  | "removeDirectory"
  | "syncDirectory"
  | "lock";

/** One call under way. */
export interface Operation {
  readonly kind: OperationKind;
  readonly path: string;
  /** For the trace. */
  readonly label: string;
  /** Waits for the platter. */
  readonly slow: boolean;
  /** What happens when it completes. @throws {DiskError} */
  readonly complete: () => void;
  /** What may have happened when the process or the machine dies first. */
  readonly interrupted: (random: SimRandom) => void;
}

/** How long calls take, milliseconds. */
export interface DiskSpeed {
  readonly quickMs: readonly [number, number];
  readonly syncMs: readonly [number, number];
}

const SPEED: DiskSpeed = { quickMs: [0.02, 0.3], syncMs: [0.1, 2] };

/** Ways in which a disk can break its promises, for tests that must notice (each is false in every real run). */
export interface DiskLies {
  /** `sync` returns at once and does nothing. */
  readonly sync?: boolean;
  /** Writes of durable files stay in the page cache. */
  readonly durableWrites?: boolean;
  /** `syncDirectory` does nothing, so renames, creates and unlinks are never durable. */
  readonly syncDirectory?: boolean;
  /** A write is answered before it happened. */
  readonly earlyWrites?: boolean;
  /** A process crash takes the page cache with it. */
  readonly forgetfulCache?: boolean;
  /** Everybody gets the lock. */
  readonly lock?: boolean;
  /** "create" opens what exists. */
  readonly create?: boolean;
}

/**
 * One simulated disk. It outlives processes and power cuts; `SimDisk` is one process' view of it.
 *
 * - A process crash keeps the page cache; calls under way happen, do not, or (writes) stop at a page border.
 * - A power cut keeps what was promised; each other sector of 512 bytes is old or new; names not synced come and go in order.
 */
export class DiskDevice {
  readonly name: string;
  readonly scheduler: Scheduler;
  readonly random: SimRandom;
  readonly lies: DiskLies;
  capacityBytes = Number.MAX_SAFE_INTEGER;
  /** Every call takes so many times as long. */
  slowness = 1;
  /** Every call that waits for the platter takes so many milliseconds longer: a drive that tries again, a volume that is throttled. */
  platterMs = 0;
  holder: SimProcess | undefined;
  /** Called as each operation is issued, with its number from 1: the place to crash at any I/O. */
  watch: ((kind: OperationKind, path: string, number: number) => void) | undefined;
  /** Called as each write is asked for. */
  wrote: ((path: string, position: number) => void) | undefined;
  #tree = new Tree();
  #operations = 0;
  #failed = 0;
  readonly #speed: DiskSpeed;
  readonly #underWay = new Set<Operation>();
  readonly #failures: { readonly kind: OperationKind; readonly code: string; readonly under: string }[] = [];

  constructor(scheduler: Scheduler, name: string, options: { readonly speed?: DiskSpeed; readonly lies?: DiskLies } = {}) {
    this.name = name;
    this.scheduler = scheduler;
    this.random = scheduler.random.fork(`disk ${name}`);
    this.#speed = options.speed ?? SPEED;
    this.lies = options.lies ?? {};
  }

  get tree(): Tree {
    return this.#tree;
  }

  /** An empty drive takes this one's place. No process may be using it. */
  replace(): void {
    invariant(this.holder?.alive !== true, "a drive is replaced while its machine is off");
    this.#tree = new Tree();
    this.#underWay.clear();
  }

  /** A copy of everything, as a snapshot of the volume has it. */
  backUp(): Tree {
    return this.#tree.copy();
  }

  /** A drive with that copy on it takes this one's place. No process may be using it. */
  restore(copy: Tree): void {
    this.replace();
    this.#tree = copy.copy();
  }

  /** The drive of another machine that is off takes this one's place; that machine gets an empty one. */
  takeFrom(other: DiskDevice): void {
    this.replace();
    this.#tree = other.#tree;
    other.replace();
  }

  /** Operations issued so far. */
  get operations(): number {
    return this.#operations;
  }

  /** Calls that were made to fail so far. */
  get failed(): number {
    return this.#failed;
  }

  /** The next call of this kind fails with this errno ("EIO", "ENOSPC"). @param under only one on a path that begins so */
  failNext(kind: OperationKind, code: string, under = ""): void {
    this.#failures.push({ kind, code, under });
  }

  /** What was planned to fail and has not come up does not fail any more. */
  forgetFailures(): void {
    this.#failures.length = 0;
  }

  /** Takes the failure planned for this call. */
  failureFor(kind: OperationKind, path: string): string | undefined {
    const at = this.#failures.findIndex((failure) => failure.kind === kind && path.startsWith(failure.under));
    if (at < 0) return undefined;
    this.#failed++;
    return this.#failures.splice(at, 1)[0]?.code;
  }

  get usedBytes(): number {
    let sum = 0;
    for (const { node } of this.tree.walk()) if (node.kind === "file") sum += node.size;
    return sum;
  }

  /** 0 also when more is used than there is: somebody else filled the rest. */
  get freeBytes(): number {
    return this.capacityBytes === Number.MAX_SAFE_INTEGER ? this.capacityBytes : Math.max(0, this.capacityBytes - this.usedBytes);
  }

  /** So much is free from now on; what is written takes of it, what is removed gives back. */
  leaveFree(bytes: number): void {
    this.capacityBytes = this.usedBytes + bytes;
  }

  /** Puts an operation under way: it completes after a drawn time, unless its process or the power dies first. */
  start(operation: Operation): void {
    this.#operations++;
    this.#underWay.add(operation);
    const [least, most] = operation.slow ? this.#speed.syncMs : this.#speed.quickMs;
    const drawn = (least + ((most - least) * this.random.below(4096)) / 4096) * this.slowness;
    const delay = operation.slow ? drawn + this.platterMs : drawn;
    this.scheduler.after(delay, operation.label, () => {
      if (this.#underWay.delete(operation)) operation.complete();
    });
    this.watch?.(operation.kind, operation.path, this.#operations);
  }

  /** The process that used this disk died; the machine lives on. */
  processCrash(): void {
    this.#interrupt();
    if (this.lies.forgetfulCache === true) this.tree.powerCut("nothing", this.random);
  }

  powerCut(): void {
    const mood: CutMood = this.random.pick(["nothing", "everything", "some", "some"] as const);
    this.scheduler.trace.note(this.scheduler.now, `${this.name} loses power and ${mood} survives of what was not promised`);
    this.#interrupt();
    this.tree.powerCut(mood, this.random);
  }

  /** The kernel writes back some dirty pages, unasked. */
  writeBack(): void {
    for (const { node } of this.tree.walk()) if (node.kind === "file") node.writeBack(this.random);
  }

  files(): { readonly path: string; readonly file: FileNode }[] {
    const files: { path: string; file: FileNode }[] = [];
    for (const { path, node } of this.tree.walk()) if (node.kind === "file") files.push({ path, file: node });
    return files;
  }

  #interrupt(): void {
    this.holder = undefined;
    const underWay = [...this.#underWay];
    this.#underWay.clear();
    for (const operation of underWay) {
      if (this.random.chance(1, 2)) operation.interrupted(this.random);
    }
  }
}
