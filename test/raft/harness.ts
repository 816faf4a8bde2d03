import type { LogIndex, ReplicaId, Term } from "../../src/base/ids.ts";
import { toGroupId, toLogIndex, toReplicaId, toTerm } from "../../src/base/ids.ts";
import { createRaft } from "../../src/raft/raft.ts";
import type {
  ChangeResult,
  Configuration,
  Entry,
  Message,
  Outgoing,
  PlacedConfiguration,
  RaftCore,
  RaftOptions,
  RaftRecovered,
  RaftWrite,
  Ready,
} from "../../src/raft/types.ts";
import { FrameType } from "../../src/records/frame-types.ts";

export type TestEntry = Entry<string>;
export type TestMessage = Message<string>;
export interface Packet {
  readonly from: ReplicaId;
  readonly to: ReplicaId;
  readonly message: TestMessage;
}

export const replica = (n: number): ReplicaId => toReplicaId(n);
export const index = (n: number): LogIndex => toLogIndex(n);
export const term = (n: number): Term => toTerm(n);

/** Same numbers every time for the same seed (mulberry32). */
export function seededDraw(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function optionsFor(self: number, configuration: Configuration, changes: Partial<RaftOptions> = {}): RaftOptions {
  return {
    group: toGroupId(7),
    self: replica(self),
    configuration,
    heartbeatMs: 100,
    electionMinMs: 500,
    electionMaxMs: 1000,
    inflightMessagesMax: 16,
    inflightBytesMax: 4096,
    appendBytesMax: 1024,
    uncommittedBytesMax: 16384,
    entryBytesMax: 1024,
    draw: seededDraw(self),
    ...changes,
  };
}

export function voters(...ids: number[]): Configuration {
  return { voters: ids.map(replica), learners: [] };
}

export const EMPTY: RaftRecovered = recoveredFrom([], 0, undefined, 0);

/** What recovery would say of these entries. */
export function recoveredFrom(
  entries: readonly { readonly term: number; readonly configuration?: Configuration }[],
  atTerm: number,
  votedFor: number | undefined,
  commit = 0,
  start = 0,
): RaftRecovered {
  const runs: { term: Term; firstIndex: LogIndex }[] = [];
  const configurations: PlacedConfiguration[] = [];
  for (const [at, entry] of entries.entries()) {
    if (at < start) continue;
    if (runs.at(-1)?.term !== entry.term) runs.push({ term: term(entry.term), firstIndex: index(at + 1) });
    if (entry.configuration !== undefined) configurations.push({ index: index(at + 1), configuration: entry.configuration });
  }
  return {
    term: term(atTerm),
    votedFor: votedFor === undefined ? undefined : replica(votedFor),
    start: { index: index(start), term: term(entries[start - 1]?.term ?? 0) },
    configurations,
    terms: runs,
    lastIndex: index(entries.length),
    commit: index(commit),
    quarantined: false,
  };
}

export const entryOf = (at: number, inTerm: number, payload = `${at}@${inTerm}`, bytes = 100): TestEntry => ({
  index: index(at),
  term: term(inTerm),
  type: FrameType.data,
  bytes,
  payload,
});

/** Entries 1, 2, … of these terms. */
export const entriesOf = (...terms: number[]): TestEntry[] => terms.map((inTerm, at) => entryOf(at + 1, inTerm));

/** One replica: a core, the log its shell holds in memory, and a disk whose writes return when told. */
export class TestReplica {
  readonly id: ReplicaId;
  readonly cluster: TestCluster;
  options: RaftOptions;
  core: RaftCore<string>;
  /** As the shell holds it in memory; entry i at position i - 1. */
  log: TestEntry[] = [];
  disk: { term: Term; votedFor: ReplicaId | undefined; entries: TestEntry[] } = { term: term(0), votedFor: undefined, entries: [] };
  /** Handed to the disk, not yet durable. */
  writes: RaftWrite<string>[] = [];
  /** Writes return only by `finishWrite`. */
  slowDisk = false;
  up = true;
  /** Everything this replica ever put out in this life, for tests to read. */
  readies: Ready<string>[] = [];
  reads: { context: number; index: LogIndex | undefined }[] = [];
  /** Frames below are not in memory: only bulk catch-up may carry them. */
  forgotBelow = 0;
  /** A piece of bulk frames being written. */
  bulk: readonly TestEntry[] | undefined;
  /** The commit index the segments hold: survives a crash. */
  syncedCommit = 0;
  /** In force before the first entry. */
  base: Configuration;
  /** Everything at or below was removed, or never here: it came as a state. */
  start = 0;
  /** What the disk held before it forgot. */
  forgotten: TestEntry[] = [];
  /** Found to have forgotten something: quarantined at every start until that ends. */
  amnesiac = false;

  constructor(
    cluster: TestCluster,
    options: RaftOptions,
    entries: readonly TestEntry[],
    atTerm: number,
    votedFor: number | undefined,
    commit: number,
    quarantined = false,
  ) {
    this.cluster = cluster;
    this.id = options.self;
    this.options = options;
    this.base = options.configuration;
    this.log = [...entries];
    this.disk = {
      term: term(atTerm),
      votedFor: votedFor === undefined ? undefined : replica(votedFor),
      entries: [...entries],
    };
    this.syncedCommit = commit;
    this.core = createRaft(options, { ...recoveredFrom(entries, atTerm, votedFor, commit), quarantined }, cluster.now);
  }

  /** Performs Readies until there is none. */
  pump(): void {
    if (!this.up) return;
    for (;;) {
      this.cluster.beforeDrain?.(this);
      const ready = this.core.drain();
      if (ready === undefined) return;
      this.readies.push(ready);
      if (ready.quarantineBegan) this.amnesiac = true;
      if (ready.quarantineEnded) this.amnesiac = false;
      this.reads.push(...ready.reads);
      if (ready.write !== undefined) this.#startWrite(ready.write);
      for (const out of ready.send)
        this.cluster.post({
          from: this.id,
          to: out.to,
          message: this.#fill(out),
        });
      this.cluster.onReady?.(this, ready);
      if (!this.slowDisk) while (this.writes.length > 0) this.#endWrite();
    }
  }

  #startWrite(write: RaftWrite<string>): void {
    if (this.bulk !== undefined && (write.truncateFrom !== undefined || write.entries.length > 0)) {
      throw new Error("the log is written while bulk frames are written to its end");
    }
    if (write.truncateFrom !== undefined) this.log.length = write.truncateFrom - 1;
    for (const entry of write.entries) {
      if (entry.index !== this.log.length + 1) throw new Error(`entry ${entry.index} written behind ${this.log.length}`);
      this.log.push(entry);
    }
    this.writes.push(write);
  }

  #endWrite(): void {
    const write = this.writes.shift();
    if (write === undefined) throw new Error("nothing to finish");
    this.applyToDisk(write);
    this.core.ioDone(write.seq, this.cluster.now);
  }

  applyToDisk(write: RaftWrite<string>): void {
    if (write.state !== undefined) {
      this.disk.term = write.state.term;
      this.disk.votedFor = write.state.votedFor;
    }
    if (write.truncateFrom !== undefined) this.disk.entries.length = Math.min(this.disk.entries.length, write.truncateFrom - 1);
    this.disk.entries.push(...write.entries);
  }

  finishWrite(): void {
    this.#endWrite();
    this.pump();
  }

  finishWrites(): void {
    while (this.writes.length > 0) this.finishWrite();
  }

  /** The first `count` writes return as one completion. */
  finishTogether(count: number): void {
    const done = this.writes.splice(0, count);
    for (const write of done) this.applyToDisk(write);
    const last = done.at(-1);
    if (last === undefined) return;
    this.core.ioDone(last.seq, this.cluster.now);
    this.pump();
  }

  /** The shell drops frames below `at` from memory. */
  forgetBelow(at: number): void {
    this.core.forgetBelow(index(at));
    this.forgotBelow = Math.max(this.forgotBelow, at);
  }

  /** A piece of bulk frames arrives and is being written into segments. */
  startBulk(entries: readonly TestEntry[]): boolean {
    const first = entries[0];
    if (first === undefined || !this.core.extendLocally(first.index)) return false;
    this.bulk = entries;
    return true;
  }

  /** It is synced, behind every write handed out before; or it failed. */
  finishBulk(written = true): void {
    const entries = this.bulk ?? [];
    this.finishWrites();
    this.bulk = undefined;
    if (written) {
      if (this.disk.entries.length !== this.log.length || entries[0]?.index !== this.log.length + 1)
        throw new Error("bulk frames do not follow the log");
      this.log.push(...entries);
      this.disk.entries.push(...entries);
      this.syncedCommit = Math.max(this.syncedCommit, this.log.length);
    }
    const metadata = written ? entries.map(({ payload: _, ...rest }) => rest) : [];
    this.core.extendedLocally(metadata, this.cluster.now);
    this.pump();
  }

  takeBulk(entries: readonly TestEntry[]): void {
    if (!this.startBulk(entries)) throw new Error("bulk frames come unasked");
    this.finishBulk();
  }

  #fill(out: Outgoing<string>): TestMessage {
    if (out.message.kind !== "append" || out.range === undefined) return out.message;
    const { first, last } = out.range;
    if (first < this.forgotBelow) throw new Error(`range ${first}..${last} was forgotten below ${this.forgotBelow}`);
    if (last > this.log.length) throw new Error(`range ${first}..${last} is not in the log`);
    return { ...out.message, entries: this.log.slice(first - 1, last) };
  }

  /** Power cut: what is not durable is gone; of the writes in flight the first `kept` made it. */
  crash(kept = 0): void {
    for (const write of this.writes.slice(0, kept)) this.applyToDisk(write);
    this.writes = [];
    this.bulk = undefined;
    this.up = false;
  }

  restart(changes: Partial<RaftOptions> = {}): void {
    this.up = true;
    this.log = [...this.disk.entries];
    const configuration = this.log.slice(0, this.start).findLast((entry) => entry.configuration !== undefined)?.configuration ?? this.base;
    this.options = { ...this.options, configuration, ...changes };
    this.readies = [];
    this.reads = [];
    this.forgotBelow = 0;
    this.core = createRaft(
      this.options,
      {
        ...recoveredFrom(this.log, this.disk.term, this.disk.votedFor, Math.min(this.syncedCommit, this.log.length), this.start),
        quarantined: this.amnesiac,
      },
      this.cluster.now,
    );
  }

  /** Crashes, and the disk forgets the last `count` entries (none of those in segments), and the vote. Nothing sent before reaches this life, or leaves the last. */
  forget(count: number): void {
    this.crash();
    this.forgotten = [...this.disk.entries];
    this.disk.entries.length = Math.max(this.syncedCommit, this.start, this.disk.entries.length - count);
    this.disk.term = this.disk.entries.at(-1)?.term ?? term(0);
    this.disk.votedFor = undefined;
    this.amnesiac = true;
    this.cluster.queue = this.cluster.queue.filter(({ from, to }) => from !== this.id && to !== this.id);
  }

  /** The log is given a new beginning by a leader's state, what it held goes away (reset). Term and vote stay. */
  install(from: TestReplica, start: number): void {
    this.finishWrites();
    this.log = from.log.slice(0, start);
    this.disk.entries = [...this.log];
    this.start = start;
    this.syncedCommit = start;
    this.base = from.base;
    this.restart();
    this.pump();
  }

  change(voterIds: readonly number[], learnerIds: readonly number[] = []): ChangeResult {
    const result = this.core.changeMembership({ voters: voterIds.map(replica), learners: learnerIds.map(replica) }, this.cluster.now);
    this.pump();
    return result;
  }

  propose(...payloads: string[]): ReturnType<RaftCore<string>["propose"]> {
    const result = this.core.propose(
      payloads.map((payload) => ({
        type: FrameType.data,
        bytes: 100,
        payload,
      })),
      this.core.term,
    );
    this.pump();
    return result;
  }

  step(from: number, message: TestMessage): void {
    this.core.step(replica(from), message, this.cluster.now);
    this.pump();
  }

  tick(): void {
    this.core.tick(this.cluster.now);
    this.pump();
  }

  /** Lets the election deadline of this replica pass, as if it heard nothing. */
  timeOut(): void {
    this.cluster.now = Math.max(this.cluster.now, this.core.nextDeadline);
    this.tick();
  }

  readIndex(context: number): void {
    this.core.readIndex(context, this.cluster.now);
    this.pump();
  }

  payloads(): (string | undefined)[] {
    return this.log.map((entry) => entry.payload);
  }
}

/** Cores on a network and disks that do as they are told. */
export class TestCluster {
  now = 0;
  readonly replicas = new Map<number, TestReplica>();
  queue: Packet[] = [];
  /** Every packet that was put on the network, in order. */
  sent: Packet[] = [];
  /** A packet it says true to is lost. */
  loses: (packet: Packet) => boolean = () => false;
  /** A core took an input, and has not yet put out what follows from it. */
  beforeDrain: ((of: TestReplica) => void) | undefined;
  onReady: ((of: TestReplica, ready: Ready<string>) => void) | undefined;
  onDelivered: ((packet: Packet) => void) | undefined;
  readonly #cut = new Set<string>();

  static of(ids: readonly number[], changes: Partial<RaftOptions> = {}, learners: readonly number[] = []): TestCluster {
    const cluster = new TestCluster();
    const configuration = {
      voters: ids.map(replica),
      learners: learners.map(replica),
    };
    for (const id of [...ids, ...learners]) cluster.add(optionsFor(id, configuration, changes));
    return cluster;
  }

  add(
    options: RaftOptions,
    entries: readonly TestEntry[] = [],
    atTerm = 0,
    votedFor?: number,
    commit = 0,
    quarantined = false,
  ): TestReplica {
    const added = new TestReplica(this, options, entries, atTerm, votedFor, commit, quarantined);
    this.replicas.set(options.self, added);
    return added;
  }

  at(id: number): TestReplica {
    const found = this.replicas.get(id);
    if (found === undefined) throw new Error(`no replica ${id}`);
    return found;
  }

  post(packet: Packet): void {
    this.sent.push(packet);
    this.queue.push(packet);
  }

  cut(from: number, to: number): void {
    this.#cut.add(`${from}>${to}`);
  }
  isolate(id: number): void {
    for (const other of this.replicas.keys()) {
      if (other === id) continue;
      this.cut(id, other);
      this.cut(other, id);
    }
  }
  heal(): void {
    this.#cut.clear();
    this.loses = () => false;
  }

  passes(packet: Packet): boolean {
    return !this.#cut.has(`${packet.from}>${packet.to}`) && !this.loses(packet) && this.replicas.get(packet.to)?.up === true;
  }

  deliver(packet: Packet): void {
    if (!this.passes(packet)) return;
    const to = this.at(packet.to);
    to.core.step(packet.from, packet.message, this.now);
    to.pump();
    this.onDelivered?.(packet);
  }

  /** Delivers all that is under way, and what follows from it, in order; time stands still. */
  settle(): void {
    for (const each of this.replicas.values()) each.pump();
    for (let rounds = 0; this.queue.length > 0; rounds++) {
      if (rounds > 100_000) throw new Error("the network does not come to rest");
      this.deliver(this.queue.shift() as Packet);
    }
  }

  /** Time goes on; every deadline on the way is met, every message arrives at once. */
  advance(ms: number): void {
    const end = this.now + ms;
    this.settle();
    for (let still = 0; ; ) {
      let next = Number.POSITIVE_INFINITY;
      for (const each of this.replicas.values()) if (each.up) next = Math.min(next, each.core.nextDeadline);
      if (next > end) break;
      still = next > this.now ? 0 : still + 1;
      if (still > 1000) throw new Error(`a deadline at ${next} is not met by ticking at ${this.now}`);
      this.now = Math.max(this.now, next);
      for (const each of this.replicas.values()) if (each.up && each.core.nextDeadline <= this.now) each.tick();
      this.settle();
    }
    this.now = end;
  }

  /** Advances until `holds`, at most `ms`. */
  until(holds: () => boolean, ms = 10_000): void {
    const end = this.now + ms;
    while (!holds()) {
      if (this.now >= end) throw new Error(`did not happen within ${ms} ms`);
      this.advance(10);
    }
  }

  /** Lets `id` be elected: its deadline passes while the others have not heard a leader. */
  elect(id: number): TestReplica {
    const candidate = this.at(id);
    if (candidate.core.role !== "leader") {
      this.now += candidate.options.electionMaxMs + 1;
      candidate.tick();
      this.settle();
    }
    if (candidate.core.role !== "leader") throw new Error(`replica ${id} was not elected: it is ${candidate.core.role}`);
    return candidate;
  }

  leaders(): TestReplica[] {
    return [...this.replicas.values()].filter((each) => each.up && each.core.role === "leader");
  }

  /** The one leader of the highest term. */
  leader(): TestReplica {
    const leaders = this.leaders().sort((a, b) => b.core.term - a.core.term);
    if (leaders[0] === undefined) throw new Error("there is no leader");
    return leaders[0];
  }
}
