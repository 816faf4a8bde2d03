import assert from "node:assert/strict";
import fc from "fast-check";
import { crc32c } from "../../src/base/crc32c.ts";
import { Producers } from "../../src/log/model/producers.ts";
import type { GroupLog, LogStore, LogStoreOptions } from "../../src/log/types.ts";
import type { Frame, FrameDraft } from "../../src/records/frame-types.ts";
import { trimDraft } from "../../src/records/trim.ts";
import { append, draft, EMPTY, framesAfter, group, index, noop, offset, replica, term, text } from "./frames.ts";
import { KiB, Machine } from "./machine.ts";

/** Segments of a few frames: what is written into them is said far more often than files of the ring begin. */
const tiny = { segmentBytes: 2 * KiB, hotTailBytes: 64 * KiB };

type Step =
  | { readonly kind: "append"; readonly group: number; readonly count: number; readonly bytes: number; readonly commits: boolean }
  | { readonly kind: "vote" | "cut" | "commit" | "trim" | "install" | "drop" | "extend"; readonly group: number }
  | { readonly kind: "wait"; readonly ms: number }
  | { readonly kind: "crash"; readonly within: number; readonly power: boolean };

/** @param told of what it refuses the log is told, as a follower does with what a leader inherited: then time must pass */
const steps = (groups: number, told: boolean): fc.Arbitrary<Step[]> => {
  const short = fc.integer({ min: 0, max: 40 });
  const long = fc.integer({ min: 1_000, max: 10_000 });
  const one = fc.integer({ min: 0, max: groups - 1 });
  const within = fc.oneof(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 150 }));
  return fc.array(
    fc.oneof(
      {
        weight: 10,
        arbitrary: fc.record({
          kind: fc.constant("append" as const),
          group: one,
          count: fc.integer({ min: 1, max: 12 }),
          bytes: fc.oneof(fc.integer({ min: 10, max: 1_500 }), fc.integer({ min: 1_000, max: 9_000 })),
          commits: fc.boolean(),
        }),
      },
      { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom("vote" as const, "cut" as const, "commit" as const), group: one }) },
      { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom("trim" as const, "extend" as const), group: one }) },
      { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom("install" as const, "drop" as const), group: one }) },
      { weight: 3, arbitrary: fc.record({ kind: fc.constant("wait" as const), ms: told ? fc.oneof(short, long) : short }) },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant("crash" as const), within, power: fc.boolean() }) },
    ),
    { minLength: 10, maxLength: 60 },
  );
};

const rings = fc.record({
  groups: fc.integer({ min: 1, max: 6 }),
  walFilesMax: fc.integer({ min: 4, max: 6 }),
  walFileBytes: fc.constantFrom(64 * KiB, 128 * KiB),
});

/** One broker's log under the input of a broker: it asks for room before it appends records, and keeps what is not committed small. */
export class Broker {
  readonly machine: Machine;
  readonly #options: Partial<LogStoreOptions>;
  readonly #groups: number;
  readonly #told: boolean;
  #store!: LogStore;
  #logs: GroupLog[] = [];
  /** Highest index that was committed, by group. */
  #committed = new Map<GroupLog, number>();
  /** Highest index that was durable, by id of the group. */
  #durable = new Map<number, number>();
  #cuts = 0;
  #term = 1;
  #serial = 0;
  #nextReplica = 1;
  /** Checksums of what each group was ever given, by id and index; the newest is the last. After a start: of what is there. */
  readonly #given = new Map<number, Map<number, number[]>>();
  /** Groups of which something was begun that has not ended: nothing is appended to them. */
  #busy = new Map<GroupLog, Promise<void>>();
  #failure: unknown;
  /** How often each thing that is begun ended. */
  readonly ended = { install: 0, drop: 0, extend: 0 };
  /** Frames that were read after a start. */
  read = 0;
  /** The newest ones for which there was no room, of a log that is told. */
  readonly #refused: { readonly log: GroupLog; readonly bytes: number }[] = [];
  /** Appends for which there was no room. */
  refused = 0;

  /** @param told the log is told what it refused, and records that may be all uncommitted come too */
  constructor(groups: number, options: Partial<LogStoreOptions>, seed = 72010, told = false) {
    this.#told = told;
    this.machine = new Machine(seed);
    this.#groups = groups;
    this.#options = { ...tiny, ...options };
  }

  async open(): Promise<void> {
    const { machine } = this;
    this.#store = await this.#soon("a start", machine.opening(this.#options));
    assert.deepEqual(
      this.machine.events.filter((event) => !/^log\.ring_(pinned|grew)/.test(event)),
      [],
    );
    this.free = (await this.files) - this.#store.walFilesUsed;
    const known = new Set(this.#store.recovered.map(({ groupId }) => groupId as number));
    this.#logs = [];
    this.#refused.length = 0;
    this.#busy = new Map();
    for (let id = 1; id <= this.#groups; id += 1) {
      const log = known.has(id) ? this.#store.open(group(id)) : await this.#soon("a new group", this.#create(id));
      const durable = this.#durable.get(id) ?? 0;
      assert.ok(log.lastIndex >= durable, `group ${id} ends at ${log.lastIndex}, and ${durable} was durable`);
      await this.#readAll(log, durable);
      this.#logs.push(log);
    }
  }

  #create(id: number): Promise<GroupLog> {
    this.#durable.set(id, 0);
    this.#given.delete(id);
    return this.#store.create(group(id), replica(this.#nextReplica++), EMPTY, text(""));
  }

  /** What a start found is what was given, byte for byte; of what was durable the newest. */
  async #readAll(log: GroupLog, durable: number): Promise<void> {
    const given = this.#given.get(log.groupId) ?? new Map<number, number[]>();
    const found = new Map<number, number[]>();
    let at = index(log.start.index + 1);
    while (at <= log.lastIndex) {
      const read = await this.#soon("a read", Promise.resolve(log.read(at, 256 * KiB, log.lastIndex)));
      // It was trimmed meanwhile.
      if (read.kind === "below-start" && read.start.index >= at) {
        at = index(read.start.index + 1);
        continue;
      }
      assert.ok(read.kind === "frames" && read.frames[0]?.index === at, `group ${log.groupId} has no frame ${at}`);
      for (const frame of read.frames) {
        const crcs = given.get(frame.index) ?? [];
        const crc = crc32c(frame.payload);
        const may = frame.index <= durable ? crcs.slice(-1) : crcs;
        assert.ok(may.includes(crc) && crc === frame.payloadCrc, `frame ${frame.index} of group ${log.groupId} is not what was given`);
        found.set(frame.index, [crc]);
        at = index(frame.index + 1);
      }
    }
    this.read += found.size;
    this.#given.set(log.groupId, found);
  }

  async step(step: Step): Promise<void> {
    const { scheduler, device } = this.machine;
    if (step.kind === "wait") await this.#wait(step.ms);
    else if (step.kind === "crash") {
      const at = device.operations + step.within;
      let crashed = false;
      device.watch = (_kind, _path, number) => {
        if (number !== at) return;
        crashed = true;
        this.machine.crash(step.power);
      };
      for (const log of this.#logs) if (!this.#busy.has(log)) this.#commit(log);
      if (!this.#busy.has(this.#logs[0] as GroupLog)) this.#fill(this.#logs[0] as GroupLog, 4, 900);
      await scheduler.run(scheduler.now + 200, () => crashed);
      device.watch = undefined;
      if (!crashed) this.machine.crash(step.power);
      await this.open();
    } else {
      const log = this.#logs[step.group] as GroupLog;
      if (this.#busy.has(log)) return;
      if (step.kind === "append") {
        this.#fill(log, step.count, step.bytes, this.#told && step.bytes % 2 === 1 ? Number.POSITIVE_INFINITY : undefined);
        if (step.commits) this.#commit(log);
      } else if (step.kind === "vote") void this.#vote(log);
      else if (step.kind === "commit") this.#commit(log);
      else if (step.kind === "trim") this.#trim(log);
      else if (step.kind === "extend") this.#begin(log, "extend", () => this.#extend(log, 20));
      else if (step.kind === "install") this.#begin(log, "install", () => this.#install(log));
      else if (step.kind === "drop") this.#begin(log, "drop", () => this.#drop(step.group));
      else if (log.pendingBytes > 0 && log.unwrittenSince !== undefined) this.#cut(log);
    }
  }

  /** What was refused comes again and again, as from a leader. */
  async #wait(ms: number): Promise<void> {
    const { scheduler } = this.machine;
    const end = scheduler.now + ms;
    for (const { log, bytes } of this.#refused) {
      for (
        let ask = true;
        ask && this.#logs.includes(log) && !this.#busy.has(log) && scheduler.now + 300 < end;
        await scheduler.run(scheduler.now + 300)
      ) {
        const before = this.refused;
        this.#fill(log, 1, bytes, Number.POSITIVE_INFINITY);
        ask = this.refused > before;
      }
    }
    this.#refused.length = 0;
    await scheduler.run(Math.max(scheduler.now, end));
  }

  /** Records that are not committed, until none is taken: as a follower gets them, which looks at nothing but the room. */
  async fillUp(): Promise<void> {
    const { scheduler } = this.machine;
    for (let i = 0; this.refused === 0; i += 1) {
      this.#fill(this.#logs[i % this.#logs.length] as GroupLog, 1, 3_700, Number.POSITIVE_INFINITY);
      await scheduler.run(scheduler.now + 20);
    }
  }

  /** Votes one by one, each a block: until no more than `free` files are, and then `more`. */
  async votes(free: number, more: number): Promise<void> {
    const files = await this.files;
    const vote = (): Promise<void> => this.#soon("a vote", this.#vote(this.#logs[0] as GroupLog));
    while (files - this.#store.walFilesUsed > free) await vote();
    for (let i = 0; i < more; i += 1) await vote();
  }

  /** Everything is committed, which lets files go; the process dies in the block `after` that at the head of the last file. @returns whether it came so far */
  async dieInBlock(after: number, power: boolean): Promise<boolean> {
    const { scheduler, device } = this.machine;
    const files = await this.files;
    let operations = 0;
    let crashed = false;
    device.watch = (kind, path) => {
      if (crashed || kind !== "write" || !path.startsWith("wal/") || this.#store.walFilesUsed < files) return;
      operations += 1;
      if (operations <= after) return;
      crashed = true;
      this.machine.crash(power);
    };
    for (const log of this.#logs) this.#commit(log);
    this.#store.takes(KiB);
    await scheduler.run(scheduler.now + 2_000, () => crashed);
    device.watch = undefined;
    return crashed;
  }

  /** Files that no needed block lies in, of those there were when it was opened. */
  free = 0;

  get files(): Promise<number> {
    return this.machine.run(this.machine.disk.list("wal")).then((names) => names.length);
  }

  /** A frame goes into a segment, which is said, and lets no file go. */
  async sayInVain(): Promise<void> {
    this.#logs[0]?.commit(index(1));
    // Asking is what makes it look for files to free.
    assert.ok(!this.#store.takes(KiB));
    await this.machine.settle();
    assert.equal((await this.files) - this.#store.walFilesUsed, 1, "the last file is free, the oldest is kept");
  }

  /** Frames come to a group past the log. */
  async extend(): Promise<void> {
    const log = this.#logs[1] as GroupLog;
    const before = log.lastIndex;
    for (let i = 0; i < 2; i += 1) await this.#soon("an extension", this.#extend(log, 20));
    assert.equal(log.lastIndex, before + 40);
  }

  /** Something that ends by itself, while everything else goes on. */
  #begin(log: GroupLog, what: keyof Broker["ended"], work: () => Promise<void>): void {
    const { process } = this.machine;
    const ended = work().then(
      () => {
        this.ended[what] += 1;
      },
      (error: unknown) => {
        if (process === this.machine.process) this.#failure ??= error;
      },
    );
    this.#busy.set(
      log,
      ended.then(() => {
        this.#busy.delete(log);
        if (this.#failure !== undefined) throw this.#failure;
      }),
    );
    this.#busy.get(log)?.catch(() => {});
  }

  async #extend(log: GroupLog, count: number): Promise<void> {
    const after = { groupId: log.groupId, index: log.lastIndex, offset: log.endOffset, appendTime: log.lastAppendTime };
    const frames = framesAfter(after, Array(count).fill(term(this.#term)), this.#serial);
    this.#serial += count;
    this.#give(log, frames);
    await log.extend(frames);
    this.#durable.set(log.groupId, log.lastIndex);
    this.#committed.set(log, log.lastIndex);
  }

  async #install(log: GroupLog): Promise<void> {
    const start = { index: index(log.lastIndex + 10), term: term(this.#term), offset: offset(log.endOffset + 10) };
    const point = { start, terms: [], config: text(""), producers: new Producers(), appendTime: log.lastAppendTime };
    assert.equal(await log.install(point), "installed");
    this.#durable.set(log.groupId, start.index);
    this.#committed.set(log, start.index);
  }

  /** Another replica takes the place of the one that goes. */
  async #drop(slot: number): Promise<void> {
    const { groupId } = this.#logs[slot] as GroupLog;
    // What is said to be durable of it from now on is nobody's.
    this.#cuts += 1;
    await this.#store.drop(groupId);
    this.#logs[slot] = await this.#create(groupId);
  }

  #trim(log: GroupLog): void {
    this.#commit(log);
    this.#append(log, [trimDraft(log.endOffset)]);
    this.#commit(log);
  }

  #append(log: GroupLog, drafts: readonly FrameDraft[], durable: () => void = () => {}): void {
    const [at, cuts] = [log.lastIndex + drafts.length, this.#cuts];
    const frames = append(log, term(this.#term), drafts, () => {
      if (cuts === this.#cuts) this.#durable.set(log.groupId, at);
      durable();
    });
    this.#give(log, frames);
  }

  #give(log: GroupLog, frames: readonly Frame[]): void {
    const given = this.#given.get(log.groupId) ?? new Map<number, number[]>();
    this.#given.set(log.groupId, given);
    for (const { index: at, payloadCrc } of frames) given.set(at, [...(given.get(at) ?? []), payloadCrc]);
  }

  /** A group is dropped and another begins anew while frames of the first are not committed and what is said of its segments waits. */
  async dropAndInstall(): Promise<void> {
    const [, second, third] = this.#logs as [GroupLog, GroupLog, GroupLog];
    await this.sayInVain();
    await this.#soon("a drop", this.#store.drop(third.groupId));
    await this.#soon("a new beginning", this.#install(second));
    assert.ok(this.#store.uncommittedBytes > 0);
  }

  /** No more input but what ends every open question: then there is room again, and what is appended becomes durable. */
  async requireRoom(): Promise<void> {
    const idle = this.#logs.filter((log) => !this.#busy.has(log));
    await this.#end(idle);
    // What was begun may have waited for that.
    await this.#soon("what was begun", Promise.all(this.#busy.values()));
    await this.#end(this.#logs.filter((log) => !idle.includes(log)));
    const bytes = 2 * KiB;
    for (let tries = 0; !this.#store.takes(bytes) && tries < 20; tries += 1) await this.machine.settle();
    assert.ok(this.#store.takes(bytes), `no room: ${this.#store.walFilesUsed} files are in use`);
    const log = this.#logs.at(-1) as GroupLog;
    await this.#soon("an append", new Promise<void>((durable) => this.#append(log, [draft(1, bytes - 200)], durable)));
    this.#commit(log);
    for (const one of this.#logs) await this.#readAll(one, this.#durable.get(one.groupId) ?? 0);
    await this.#soon("the end", this.#store.close());
    assert.deepEqual(this.machine.failures, []);
  }

  /** Nothing of these groups is open any more. */
  async #end(logs: readonly GroupLog[]): Promise<void> {
    for (const log of logs) {
      // As a new leader does: its vote, its no-op, then all of it is committed.
      await this.#soon("a vote", this.#vote(log));
      await this.#soon("a no-op", new Promise<void>((durable) => this.#append(log, [noop()], durable)));
      this.#commit(log);
    }
  }

  #fill(log: GroupLog, count: number, bytes: number, uncommittedMax = this.#store.uncommittedBytesMax): void {
    for (let i = 0; i < count; i += 1) {
      const inherited = this.#told ? { groupId: log.groupId, term: term(1), index: index(log.lastIndex + 1) } : undefined;
      if (this.#store.uncommittedBytes > uncommittedMax || !this.#store.takes(bytes + 200, inherited)) {
        this.refused += 1;
        if (inherited !== undefined) {
          this.#store.refusedAppend(inherited);
          this.#refused.push({ log, bytes });
        }
        return;
      }
      this.#append(log, [draft(++this.#serial, bytes)]);
    }
  }

  #vote(log: GroupLog): Promise<void> {
    this.#term += 1;
    const state = { term: term(this.#term), votedFor: replica(1) };
    return new Promise((durable) => log.write({ state, truncateFrom: undefined, frames: [] }, durable));
  }

  #commit(log: GroupLog): void {
    log.commit(log.lastIndex);
    this.#committed.set(log, log.lastIndex);
  }

  /** Half of what is not committed. */
  #cut(log: GroupLog): void {
    const committed = this.#committed.get(log) ?? this.#store.recovered.find(({ groupId }) => groupId === log.groupId)?.syncedIndex ?? 0;
    if (log.lastIndex <= committed) return;
    const from = committed + 1 + Math.floor((log.lastIndex - committed) / 2);
    this.#cuts += 1;
    this.#durable.set(log.groupId, Math.min(this.#durable.get(log.groupId) ?? 0, from - 1));
    log.write({ state: undefined, truncateFrom: index(from), frames: [] }, () => {});
  }

  /** Virtual time runs until it is done; a minute of it is for ever. */
  async #soon<T>(what: string, work: Promise<T>): Promise<T> {
    const { scheduler } = this.machine;
    let done = false;
    let failure: unknown;
    let value: T | undefined;
    work.then(
      (result) => {
        value = result;
        done = true;
      },
      (error: unknown) => {
        failure = error;
        done = true;
      },
    );
    await scheduler.run(scheduler.now + 60_000, () => done);
    if (failure !== undefined) throw failure;
    assert.ok(done, `${what} waits for ever: ${this.#store?.walFilesUsed} files are in use`);
    return value as T;
  }
}

/** From whatever state any input leaves: once nothing more comes the ring has free files again, and takes records. */
export async function requireRoomAgain(seed: number, numRuns: number, told = false): Promise<void> {
  let refused = 0;
  let grown = 0;
  let read = 0;
  const ended = { install: 0, drop: 0, extend: 0 };
  await fc.assert(
    fc.asyncProperty(
      rings.chain(({ groups, ...options }) => fc.tuple(fc.constant({ groups, options }), steps(groups, told))),
      async ([{ groups, options }, all]) => {
        const broker = new Broker(groups, options, undefined, told);
        await broker.open();
        if (told) {
          await broker.fillUp();
          await broker.step({ kind: "wait", ms: 8_000 });
        }
        for (const step of all) await broker.step(step);
        refused += broker.refused;
        await broker.requireRoom();
        read += broker.read;
        for (const what of ["install", "drop", "extend"] as const) ended[what] += broker.ended[what];
        const files = await broker.files;
        assert.ok(files <= options.walFilesMax * (told ? 2 : 1), `${files} files`);
        if (files > options.walFilesMax) grown += 1;
      },
    ),
    { seed, numRuns, endOnFailure: true, includeErrorInReport: true },
  );
  assert.ok(read > 50 * numRuns, `${read} frames were read`);
  for (const [what, count] of Object.entries(ended)) assert.ok(count > numRuns / 4, `${count} ${what}s ended`);
  if (told) assert.ok(grown > numRuns / 4, `${grown} rings grew`);
  assert.ok(refused > 10, `${refused} refused: the ring was never full`);
}
