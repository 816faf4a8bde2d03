import assert from "node:assert/strict";
import type { LogIndex, ProducerId, ReplicaId, Term } from "../../src/base/ids.ts";
import { ByteReader, ByteWriter } from "../../src/log/model/bytes.ts";
import { Producers } from "../../src/log/model/producers.ts";
import type { GroupLog, LogStore, LogStoreOptions, StartPoint } from "../../src/log/types.ts";
import { type Frame, nextOffsetOf } from "../../src/records/frame-types.ts";
import { trimDraft, trimOf } from "../../src/records/trim.ts";
import type { DiskLies } from "../../src/testing/sim/disk/device.ts";
import type { SimRandom } from "../../src/testing/sim/random.ts";
import { append, draft, EMPTY, framesAfter, fromProducer, group, index, noop, offset, replica, term, text } from "./frames.ts";
import { KiB, Machine } from "./machine.ts";

const PENDING_BYTES_MAX = 40 * KiB;
/** Four of the largest, with what is around them. */
const APPEND_BYTES_MAX = 4 * (9_000 + 200);

/** One group as it is after some write. */
interface Version {
  readonly term: Term;
  readonly votedFor: ReplicaId | undefined;
  /** Where the log begins, and the producers as of there. */
  readonly start: StartPoint;
  readonly producers: Uint8Array;
  readonly frames: readonly Frame[];
}

/** Each takes a few frames: far more is said of them than of files of the ring. */
export const TINY_SEGMENTS: Partial<LogStoreOptions> = { segmentBytes: 2 * KiB };

/** Tells `count` stories; the seed of one that fails is in its error. */
export async function runStories(first: number, count: number, log: Partial<LogStoreOptions> = {}): Promise<void> {
  let durables = 0;
  for (let seed = first; seed < first + count; seed += 1) {
    const story = new Story({ seed, crashes: 6, log });
    await story.run().catch((error: unknown) => {
      throw new Error(`seed ${seed}`, { cause: error });
    });
    durables += story.durables;
  }
  assert.ok(durables > 0, "nothing was ever durable: the stories test nothing");
}

/** What a group may look like after a crash: the version of any write from the last durable one on. */
interface Expected {
  readonly groupId: number;
  readonly replicaId: number;
  /** By number of write; those below `durable` were forgotten. */
  versions: Version[];
  /** Number of the first of `versions`. */
  durable: number;
  committed: number;
  /** Committed once, also before a crash: Raft never takes it back, so nothing below is truncated as long as it is there. */
  promised: number;
  /** Highest trim that was ever committed. */
  trimmed: number;
  log: GroupLog | undefined;
  /** Made, or dropped, by a call that has not returned. */
  unsure: boolean;
}

export interface StoryOptions {
  readonly seed: number;
  readonly crashes: number;
  readonly lies?: DiskLies;
  readonly log?: Partial<LogStoreOptions>;
  /** Called before each life with the machine, to break things. */
  readonly before?: (machine: Machine, life: number) => void;
}

/**
 * Random writes, truncations, commits, trims, extensions, creations and drops on a few groups, with crashes and power cuts at random disk
 * operations (also while the log is being opened). After each the log must be one that was written: nothing that was called durable
 * is missing, nothing truncated is back, no term or vote fell.
 */
export class Story {
  readonly #machine: Machine;
  readonly #random: SimRandom;
  readonly #options: StoryOptions;
  readonly #groups = new Map<number, Expected>();
  #nextReplica = 1;
  #nextGroup = 1;
  #serial = 0;
  #crashed = false;
  #sequence = 0;
  #durableSequence = 0;
  lives = 0;
  writes = 0;
  durables = 0;

  constructor(options: StoryOptions) {
    this.#options = options;
    this.#machine = new Machine(options.seed, options.lies);
    this.#random = this.#machine.scheduler.random.fork("story");
  }

  async run(): Promise<void> {
    for (let life = 0; life <= this.#options.crashes; life += 1) {
      this.#options.before?.(this.#machine, life);
      this.#crashed = false;
      if (life < this.#options.crashes) this.#planCrash();
      else this.#machine.device.watch = undefined;
      await this.#live(life);
      this.lives += 1;
    }
  }

  #planCrash(): void {
    const { device } = this.#machine;
    const at = device.operations + 1 + this.#random.below(this.#random.pick([12, 60, 250]));
    const power = this.#random.chance(1, 2);
    device.watch = (_kind, _path, number) => {
      if (number !== at) return;
      device.watch = undefined;
      this.#crashed = true;
      this.#machine.crash(power);
      if (this.#random.chance(1, 3)) device.writeBack();
    };
  }

  async #live(life: number): Promise<void> {
    const opened = await this.#until(this.#machine.opening(this.#options.log));
    if (opened === undefined) return;
    assert.ok(opened.durableBlockSequence >= this.#durableSequence, "the durable block sequence never falls");
    await this.#check(opened);
    const steps = 20 + this.#random.below(120);
    for (let step = 0; step < steps && !this.#crashed; step += 1) {
      await this.#step(opened);
      this.#noteSequence(opened);
    }
    assert.deepEqual(this.#machine.failures, []);
    if (this.#crashed) return;
    if (this.#random.chance(1, 2)) {
      await this.#until(Promise.all([...this.#groups.values()].map((one) => this.#readBack(one))));
      if (!this.#crashed) await this.#until(opened.close().then(() => true));
    }
    if (!this.#crashed && life < this.#options.crashes) {
      this.#machine.device.watch = undefined;
      this.#machine.crash(this.#random.chance(1, 2));
    }
  }

  #noteSequence(store: LogStore): void {
    if (this.#crashed) return;
    assert.ok(store.durableBlockSequence >= this.#sequence || this.#sequence === 0);
    this.#durableSequence = store.durableBlockSequence;
  }

  /** Virtual time runs until the promise settles or the process dies. */
  async #until<T>(work: Promise<T>): Promise<T | undefined> {
    let over = false;
    let result: T | undefined;
    let failure: unknown;
    work
      .then(
        (value) => {
          result = value;
        },
        (error: unknown) => {
          failure = error ?? new Error("rejected");
        },
      )
      .finally(() => {
        over = true;
      });
    const { scheduler } = this.#machine;
    const done = await scheduler.run(scheduler.now + 600_000, () => over || this.#crashed);
    if (this.#crashed) return undefined;
    if (failure !== undefined) throw failure;
    assert.ok(done, "the log stands still");
    return result;
  }

  async #step(store: LogStore): Promise<void> {
    // As a broker does: what waits for commit is bounded, far below the ring.
    const pending = (): number => [...this.#groups.values()].reduce((sum, other) => sum + (other.log?.pendingBytes ?? 0), 0);
    if (pending() > PENDING_BYTES_MAX) for (const other of this.#groups.values()) this.#commit(other, 0);
    // Nor does it take more while so much waits for the disk.
    const { scheduler } = this.#machine;
    if (pending() > 2 * PENDING_BYTES_MAX) await scheduler.run(scheduler.now + 20, () => this.#crashed);
    if (this.#crashed) return;
    const kind = this.#random.below(100);
    const all = [...this.#groups.values()];
    const one = all[this.#random.below(all.length + 1)];
    if (kind < 4 || one === undefined) await this.#create(store);
    else if (kind < 5 && this.#groups.size > 2) await this.#drop(store, one);
    else if (kind < 51) this.#append(store, one);
    else if (kind < 55) this.#trim(one);
    else if (kind < 65) this.#truncate(one);
    else if (kind < 72) this.#vote(one);
    else if (kind < 85) this.#commit(one);
    else if (kind < 88) await this.#extend(one);
    else if (kind < 90) await this.#install(one);
    else if (kind < 92) await this.#until(this.#readBack(one));
    else await scheduler.run(scheduler.now + this.#random.below(8), () => this.#crashed);
  }

  async #create(store: LogStore): Promise<void> {
    if (this.#groups.size >= 4) return;
    const groupId = this.#nextGroup++;
    const replicaId = this.#nextReplica++;
    const start = this.#random.chance(1, 3) ? { index: index(10), term: term(1), offset: offset(17) } : EMPTY;
    const one: Expected = {
      groupId,
      replicaId,
      versions: [{ term: term(0), votedFor: undefined, start, producers: baseOf(new Producers()), frames: [] }],
      durable: 0,
      committed: start.index,
      promised: start.index,
      trimmed: start.offset,
      log: undefined,
      unsure: true,
    };
    this.#groups.set(groupId, one);
    const log = await this.#until(store.create(group(groupId), replica(replicaId), start, text(`config ${groupId}`)));
    if (log === undefined) return;
    one.unsure = false;
    one.log = log;
  }

  async #drop(store: LogStore, one: Expected): Promise<void> {
    one.unsure = true;
    const done = await this.#until(store.drop(group(one.groupId)).then(() => true));
    if (done === true) this.#groups.delete(one.groupId);
  }

  /** A version that becomes certain when the callback comes. */
  #wrote(one: Expected, version: Version): () => void {
    one.versions.push(version);
    const number = one.durable + one.versions.length - 1;
    this.writes += 1;
    return () => {
      this.durables += 1;
      assert.ok(number >= one.durable, "durable callbacks come in the order of the writes");
      one.versions.splice(0, number - one.durable);
      one.durable = number;
    };
  }

  #append(store: LogStore, one: Expected): void {
    const { log } = one;
    // As a broker does: what there is no room for is not handed over.
    if (log === undefined || !store.takes(APPEND_BYTES_MAX)) return;
    const before = one.versions.at(-1) as Version;
    const at = term(Math.max(1, before.term, before.frames.at(-1)?.term ?? 0, log.start.term));
    const count = 1 + this.#random.below(4);
    const drafts = Array.from({ length: count }, () => {
      this.#serial += 1;
      if (this.#random.chance(1, 6)) return noop();
      const bytes = this.#random.pick([0, 50, 700, 700, 4000, 9000]);
      return this.#random.chance(1, 3)
        ? fromProducer(this.#random.below(3), this.#serial, this.#serial, bytes)
        : draft(this.#serial, bytes);
    });
    const frames: Frame[] = [];
    let callback = (): void => {};
    // The version is known before the callback can come: nothing is durable in the same turn.
    frames.push(...append(log, at, drafts, () => callback()));
    // Each draft is a write of its own.
    for (let i = 1; i < frames.length; i += 1) this.#wrote(one, { ...before, frames: [...before.frames, ...frames.slice(0, i)] });
    callback = this.#wrote(one, { ...before, frames: [...before.frames, ...frames] });
  }

  /** To any committed offset; it counts from its commit on. */
  #trim(one: Expected): void {
    const { log } = one;
    const before = one.versions.at(-1) as Version;
    const committed = before.frames.filter((frame) => frame.index <= one.committed);
    if (log === undefined || committed.length === 0) return;
    const at = term(Math.max(1, before.term, before.frames.at(-1)?.term ?? 0, log.start.term));
    const last = this.#random.pick(committed);
    let callback = (): void => {};
    const to = offset(last.baseOffset + this.#random.below(last.recordCount + 1));
    const frames = append(log, at, [trimDraft(to)], () => callback());
    callback = this.#wrote(one, { ...before, frames: [...before.frames, ...frames] });
    if (this.#random.chance(2, 3)) this.#commit(one, 0);
  }

  #truncate(one: Expected): void {
    const { log } = one;
    const kept = Math.max(one.committed, one.promised);
    if (log === undefined || log.lastIndex <= kept) return;
    const from = kept + 1 + this.#random.below(log.lastIndex - kept);
    const before = one.versions.at(-1) as Version;
    const left = before.frames.filter((frame) => frame.index < from);
    const at = term(Math.max(before.term, before.frames.at(-1)?.term ?? 0, log.start.term) + 1);
    // A follower: a new leader's entries replace what conflicts.
    const last = left.at(-1);
    const after = {
      groupId: log.groupId,
      index: from - 1,
      offset: last === undefined ? log.start.offset : nextOffsetOf(last),
      appendTime: log.lastAppendTime,
    };
    const frames = framesAfter(
      after,
      Array.from({ length: this.#random.below(3) }, () => at),
      this.#serial,
    );
    this.#serial += 3;
    let callback = (): void => {};
    const state = { term: at, votedFor: undefined };
    const lying = log.write({ state, truncateFrom: index(from), frames }, () => callback());
    // A write may fall into two blocks: a beginning of it may be all that is left.
    this.#wrote(one, { ...before, ...state });
    for (let i = 0; i < lying.length; i += 1) this.#wrote(one, { ...before, ...state, frames: [...left, ...lying.slice(0, i)] });
    callback = this.#wrote(one, { ...before, ...state, frames: [...left, ...lying] });
  }

  #vote(one: Expected): void {
    const { log } = one;
    if (log === undefined) return;
    const before = one.versions.at(-1) as Version;
    const state = { term: term(before.term + 1), votedFor: this.#random.chance(1, 2) ? replica(1 + this.#random.below(3)) : undefined };
    let callback = (): void => {};
    log.write({ state, truncateFrom: undefined, frames: [] }, () => callback());
    callback = this.#wrote(one, { ...before, ...state });
  }

  #commit(one: Expected, behind = this.#random.below(4)): void {
    const { log } = one;
    if (log === undefined) return;
    one.committed = Math.max(one.committed, log.lastIndex - behind);
    one.promised = Math.max(one.promised, one.committed);
    const before = log.startOffset;
    log.commit(index(one.committed));
    const trimmed = trimmedBy((one.versions.at(-1) as Version).frames, one.committed);
    one.trimmed = Math.max(one.trimmed, trimmed);
    assert.equal(log.startOffset, Math.max(before, trimmed));
  }

  async #extend(one: Expected): Promise<void> {
    const { log } = one;
    if (log === undefined) return;
    const before = one.versions.at(-1) as Version;
    const first = Math.max(before.frames.at(-1)?.term ?? 0, log.start.term, 1);
    const terms = Array.from({ length: 1 + this.#random.below(12) }, (_, i) => term(first + Math.floor(i / 4)));
    const frames = framesAfter(
      { groupId: log.groupId, index: log.lastIndex, offset: log.endOffset, appendTime: log.lastAppendTime },
      terms,
      this.#serial,
    );
    this.#serial += frames.length;
    // It commits all that is there.
    one.committed = log.lastIndex;
    one.promised = Math.max(one.promised, log.lastIndex + frames.length);
    one.trimmed = Math.max(one.trimmed, trimmedBy(before.frames, one.committed));
    // A segment that was sealed on the way makes a part of it durable first.
    for (let i = 1; i < frames.length; i += 1) this.#wrote(one, { ...before, frames: [...before.frames, ...frames.slice(0, i)] });
    const durable = this.#wrote(one, { ...before, frames: [...before.frames, ...frames] });
    if ((await this.#until(log.extend(frames).then(() => true))) !== true) return;
    durable();
    one.committed = log.lastIndex;
  }

  /** The log begins elsewhere: behind its end, or where its own entry, not committed, is another one. */
  async #install(one: Expected): Promise<void> {
    const { log } = one;
    if (log === undefined) return;
    const before = one.versions.at(-1) as Version;
    const kept = Math.max(one.committed, one.promised);
    const inside = log.lastIndex > kept && this.#random.chance(1, 2);
    const at = inside ? kept + 1 + this.#random.below(log.lastIndex - kept) : Math.max(log.lastIndex, kept) + 1 + this.#random.below(20);
    const last = before.frames.at(-1)?.term ?? log.start.term;
    const start = { index: index(at), term: term(last + 1), offset: offset(log.endOffset + this.#random.below(50)) };
    const producers = new Producers();
    for (let id = 0; id < this.#random.below(3); id += 1) {
      const batch = { baseSequence: at, recordCount: 1, baseOffset: offset(id), index: index(1 + id), term: term(1), appendTime: 1 };
      producers.append({ ...batch, producerId: id as ProducerId, producerEpoch: 0 });
    }
    producers.advance(start.index);
    const base = baseOf(producers);
    const durable = this.#wrote(one, { ...before, start, producers: base, frames: [] });
    const point = { start, terms: [], config: text(`config ${one.groupId}`), producers, appendTime: log.lastAppendTime + 1 };
    // What lies below it is gone, so is the log start offset: a trim that moved it further comes with the frames.
    one.trimmed = Math.max(one.trimmed, start.offset);
    one.promised = start.index;
    if ((await this.#until(log.install(point))) === undefined) return;
    durable();
    one.committed = start.index;
  }

  /** The whole log, read in pieces of random size, and looked up in every way. */
  async #readBack(one: Expected): Promise<void> {
    const { log } = one;
    if (log === undefined) return;
    const upTo = log.lastIndex;
    const begin = log.start.index;
    const frames = (one.versions.at(-1) as Version).frames.filter((frame) => frame.index > begin);
    const found: Frame[] = [];
    for (let next = begin + 1; next <= upTo; ) {
      const result = await log.read(index(next), this.#random.pick([1, 4 * KiB, 64 * KiB, 1024 * KiB]), upTo);
      // Segments may go while it is read; what comes then is checked the next time.
      if (result.kind === "below-start" && log.start.index > begin) return;
      assert.ok(result.kind === "frames" && result.frames.length > 0, `nothing is read at ${next}`);
      if (result.kind === "frames") found.push(...result.frames);
      next = (found.at(-1) as Frame).index + 1;
    }
    assertFrames(found, frames.slice(0, found.length));
    assert.ok(found.length === frames.length || this.#crashed);
    if (frames.length === 0) return;
    const sought = this.#random.pick(frames);
    const from = sought.baseOffset + (sought.recordCount > 0 ? this.#random.below(sought.recordCount) : 0);
    if (from < log.startOffset) {
      assert.equal((await log.readFrom(offset(from), 1, upTo)).kind, "below-start");
      return;
    }
    const readable = log.startOffset;
    const holder = frames.find((frame) => nextOffsetOf(frame) > from);
    const result = await log.readFrom(offset(from), 1, upTo);
    assert.ok(result.kind === "frames");
    if (result.kind === "frames") assertFrames(result.frames, holder === undefined ? [] : [holder]);
    const timed = await log.findTime(sought.maxTimestamp, upTo);
    if (log.startOffset !== readable) return;
    const first = frames.find(
      (frame) => frame.recordCount > 0 && frame.maxTimestamp >= sought.maxTimestamp && nextOffsetOf(frame) > readable,
    );
    assert.equal(timed?.index, first?.index);
  }

  async #check(store: LogStore): Promise<void> {
    const found = new Map(store.recovered.map((one) => [one.groupId as number, one]));
    for (const [groupId, one] of [...this.#groups]) {
      const recovered = found.get(groupId);
      found.delete(groupId);
      if (recovered === undefined) {
        assert.ok(one.unsure, `group ${groupId} is gone`);
        this.#groups.delete(groupId);
        continue;
      }
      assert.equal(recovered.replicaId, one.replicaId);
      assert.deepEqual(recovered.config, text(`config ${groupId}`));
      const log = store.open(group(groupId));
      one.log = log;
      one.unsure = false;
      let begin: number = recovered.start.index;
      const read: Frame[] = [];
      for (let next = begin + 1; next <= log.lastIndex; ) {
        const result = await this.#until(Promise.resolve(log.read(index(next), 256 * KiB, log.lastIndex)));
        if (result === undefined) return;
        if (result.kind === "frames") {
          assert.ok(result.frames.length > 0);
          read.push(...result.frames);
          next = (read.at(-1) as Frame).index + 1;
        } else {
          // What a trim had left for later goes as soon as the log is open.
          assert.ok(log.start.index > begin);
          begin = log.start.index;
          read.length = 0;
          next = begin + 1;
        }
      }
      const same = one.versions.findIndex(
        (version) =>
          version.term === recovered.term &&
          version.votedFor === recovered.votedFor &&
          // An install moved it there, or a trim, which leaves frames.
          (version.start.index === begin || (version.start.index < begin && read.length > 0)) &&
          sameFrames(
            version.frames.filter((frame) => frame.index > begin),
            read,
          ),
      );
      assert.ok(
        same >= 0,
        `group ${groupId} recovered as nothing that was written: ${describe(one, recovered.term, recovered.votedFor, read)}`,
      );
      // What was recovered is durable from now on.
      one.versions = [one.versions[same] as Version];
      one.committed = Math.min(Math.max(recovered.syncedIndex, log.start.index), log.lastIndex);
      one.promised = Math.min(one.promised, log.lastIndex);
      if (begin === recovered.start.index) assert.deepEqual(termsOf(read), recovered.terms);
      const version = one.versions[0] as Version;
      this.#checkProducers(log, version);
      // A trim that is not in a synced segment is committed anew; no other may be forgotten.
      assert.ok(log.startOffset >= trimmedBy(version.frames, recovered.syncedIndex), `group ${groupId} forgot a trim`);
      assert.ok(log.startOffset <= one.trimmed, `group ${groupId} starts at ${log.startOffset}, was trimmed to ${one.trimmed}`);
      assert.ok(log.start.offset <= log.startOffset);
    }
    assert.equal(found.size, 0, `groups came back: ${[...found.keys()].join()}`);
  }

  #checkProducers(log: GroupLog, { producers, frames }: Version): void {
    const expected = Producers.read(new ByteReader(producers));
    for (const frame of frames) expected.append(frame);
    for (let id = 0; id < 3; id += 1) assert.deepEqual(log.producers.get(id), expected.get(id));
    assert.equal(log.producers.size, expected.size);
  }
}

function baseOf(producers: Producers): Uint8Array {
  const out = new ByteWriter();
  producers.write(out);
  return out.done();
}

/** Log start offset that the trims up to an index ask for. */
function trimmedBy(frames: readonly Frame[], upTo: number): number {
  return frames.reduce((most, frame) => (frame.index <= upTo ? Math.max(most, trimOf(frame) ?? 0) : most), 0);
}

function termsOf(frames: readonly Frame[]): { term: Term; firstIndex: LogIndex }[] {
  return frames.filter((frame, i) => frame.term !== frames[i - 1]?.term).map((frame) => ({ term: frame.term, firstIndex: frame.index }));
}

function sameFrames(left: readonly Frame[], right: readonly Frame[]): boolean {
  return left.length === right.length && left.every((frame, i) => Buffer.compare(frame.bytes, (right[i] as Frame).bytes) === 0);
}

function assertFrames(found: readonly Frame[], expected: readonly Frame[]): void {
  assert.deepEqual(
    found.map((frame) => frame.index),
    expected.map((frame) => frame.index),
  );
  assert.ok(sameFrames(found, expected), "the bytes are those that were written");
}

function describe(one: Expected, at: Term, votedFor: ReplicaId | undefined, read: readonly Frame[]): string {
  const show = (frames: readonly Frame[]): string =>
    frames
      .slice(-6)
      .map((frame) => `${frame.index}@${frame.term}`)
      .join(" ");
  const versions = one.versions.slice(0, 8).map((version) => `term ${version.term} voted ${version.votedFor} ${show(version.frames)}`);
  return `term ${at} voted ${votedFor} ${show(read)}; of ${one.versions.length} allowed: ${versions.join(" | ")}`;
}
