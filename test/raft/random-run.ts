import { isVoter } from "../../src/raft/quorum.ts";
import type { RaftOptions } from "../../src/raft/types.ts";
import { index, type Packet, seededDraw, TestCluster, type TestEntry, type TestReplica, term } from "./harness.ts";
import { Invariants } from "./invariants.ts";

/** Packets under way at most; the network loses what is above. */
const QUEUE_MAX = 120;

export interface RunShape {
  readonly voters: number;
  readonly learners: number;
  readonly steps: number;
  readonly options?: Partial<RaftOptions>;
  /** Members come and go: any of the replicas may learn, vote, or be left out; at least so many vote. */
  readonly votersMin?: number;
  /** Now and then the disk of one replica forgets, while no other is in quarantine. */
  readonly amnesia?: boolean;
  /** Groups rest, and now and then a broker says that another one is not heard any more, or is wrong about what it said. */
  readonly rests?: boolean;
  /** Now and then a follower has room for the first entries of an append only. */
  readonly withholds?: boolean;
}

export interface RunResult {
  readonly committed: number;
  readonly terms: number;
  readonly extended: number;
  readonly reads: number;
  /** Changes of voters that were begun. */
  readonly joint: number;
  /** Quarantines that ended. */
  readonly quarantines: number;
  readonly resets: number;
  /** Times that one replica came to rest with another. */
  readonly rests: number;
  /** Entries that were withheld where the follower had another one. */
  readonly cutFor: number;
}

/**
 * One group under a seeded storm: packets delivered in any order, twice or never, links cut one way, disks that return late and
 * together, power cuts, transfers, reads, bulk catch-up that breaks; R1–R8 are checked after every step. Then all is healed, and
 * the group must commit again.
 *
 * @throws an assertion that names the seed and the step
 */
export function randomRun(seed: number, shape: RunShape): RunResult {
  const run = new RandomRun(seed, shape);
  try {
    return run.run();
  } catch (error) {
    throw new Error(`seed ${seed}, step ${run.stepNumber}: ${(error as Error).message}`, { cause: error });
  }
}

interface Bulk {
  readonly from: TestReplica;
  readonly to: TestReplica;
  readonly fromCore: object;
  entries: TestEntry[];
}

class RandomRun {
  stepNumber = 0;
  readonly #draw: () => number;
  readonly #cluster: TestCluster;
  readonly #invariants: Invariants;
  readonly #replicas: TestReplica[];
  readonly #shape: RunShape;
  #bulk: Bulk[] = [];
  #payload = 0;
  #extended = 0;
  #reads = 0;
  #joint = 0;
  #quarantines = 0;
  #resets = 0;
  #rests = 0;
  #cutFor = 0;
  #reset: { readonly from: TestReplica; readonly fromCore: object; readonly to: TestReplica; readonly start: number }[] = [];

  constructor(seed: number, shape: RunShape) {
    this.#shape = shape;
    this.#draw = seededDraw(seed);
    const voters = Array.from({ length: shape.voters }, (_, at) => at + 1);
    const learners = Array.from({ length: shape.learners }, (_, at) => shape.voters + at + 1);
    const contact = shape.rests === true ? { contact: () => this.#cluster.now } : {};
    this.#cluster = TestCluster.of(voters, { draw: seededDraw(seed ^ 0x5bd1e995), ...contact, ...shape.options }, learners);
    this.#invariants = new Invariants(this.#cluster);
    this.#replicas = [...this.#cluster.replicas.values()];
    for (const each of this.#replicas) each.slowDisk = true;
    this.#cluster.onReady = (of, ready) => {
      this.#invariants.onReady(of, ready);
      for (const { to, from, upTo } of ready.extend) {
        this.#bulk.push({ from: of, to: this.#cluster.at(to), fromCore: of.core, entries: of.log.slice(from - 1, upTo) });
      }
      for (const { to, start } of ready.reset)
        this.#reset.push({ from: of, fromCore: of.core, to: this.#cluster.at(to), start: start.index });
      if (ready.quarantineEnded) this.#quarantines += 1;
      for (const { on } of ready.rest) if (on) this.#rests += 1;
    };
  }

  run(): RunResult {
    for (; this.stepNumber < this.#shape.steps; this.stepNumber++) {
      this.#step();
      for (const each of this.#replicas) this.#invariants.check(each);
    }
    this.#healAndCommit();
    const terms = Math.max(...this.#replicas.map((each) => each.core.term));
    return {
      committed: this.#invariants.committed.length,
      terms,
      extended: this.#extended,
      reads: this.#reads,
      joint: this.#joint,
      quarantines: this.#quarantines,
      resets: this.#resets,
      rests: this.#rests,
      cutFor: this.#cutFor,
    };
  }

  #below(bound: number): number {
    return Math.floor(this.#draw() * bound);
  }
  #pick<T>(of: readonly T[]): T {
    return of[this.#below(of.length)] as T;
  }

  #step(): void {
    const cluster = this.#cluster;
    const any = this.#pick(this.#replicas);
    // A step of its own: what was committed is judged by the configuration in which it was.
    if (this.#membershipStep(any)) return;
    const chance = this.#draw();
    // Weights are chosen so that most runs elect several leaders and commit, extend and lose something.
    if (chance < 0.5) for (let i = this.#replicas.length - 2; i > 0; i--) this.#deliver();
    else if (chance < 0.72) this.#finishWrites(any);
    else if (chance < 0.84) this.#passTime();
    else if (chance < 0.93) this.#propose();
    else if (chance < 0.935 || (!any.up && chance < 0.945)) this.#crashOrRestart(any);
    else if (chance < 0.945) cluster.cut(any.id, this.#pick(this.#replicas).id);
    else if (chance < 0.96) cluster.heal();
    else if (chance < 0.963) for (const each of cluster.leaders()) this.#transfer(each);
    else if (chance < 0.975) this.#read();
    else if (chance < 0.978) this.#evidence(any);
    else if (chance < 0.983) this.#forget(any);
    else this.#moveBulk();

    if (cluster.queue.length > QUEUE_MAX) cluster.queue.splice(this.#below(cluster.queue.length), 1);
  }

  #membershipStep(any: TestReplica): boolean {
    if (this.#shape.votersMin === undefined) return false;
    const chance = this.#draw();
    if (chance < 0.02) this.#change();
    else if (chance < 0.022) this.#loseMemory(any);
    else if (chance < 0.026) this.#trim(any);
    return chance < 0.026;
  }

  #deliver(): void {
    const { queue } = this.#cluster;
    if (queue.length === 0) return;
    // Mostly in order, sometimes from anywhere; sometimes kept for a second delivery, sometimes lost.
    const at = this.#draw() < 0.7 ? 0 : this.#below(queue.length);
    const packet = queue[at] as Packet;
    const fate = this.#draw();
    if (fate > 0.1) queue.splice(at, 1);
    if (fate < 0.9) this.#cluster.deliver(this.#withheld(packet));
  }

  #withheld(packet: Packet): Packet {
    const { message } = packet;
    if (this.#shape.withholds !== true || message.kind !== "append" || this.#draw() < 0.7) return packet;
    const kept = this.#below(message.entries.length);
    const first = message.entries[kept];
    if (first === undefined) return packet;
    const withheld = { index: first.index, term: first.term };
    if ((this.#cluster.at(packet.to).core.termAt(first.index) ?? first.term) !== first.term) this.#cutFor += 1;
    return { ...packet, message: { ...message, entries: message.entries.slice(0, kept), withheld } };
  }

  #finishWrites(of: TestReplica): void {
    if (of.up && of.writes.length > 0) of.finishTogether(1 + this.#below(of.writes.length));
  }

  #passTime(): void {
    this.#cluster.now += this.#below(this.#draw() < 0.2 ? 700 : 60);
    for (const each of this.#replicas) if (each.up && each.core.nextDeadline <= this.#cluster.now && this.#draw() < 0.9) each.tick();
  }

  #propose(): void {
    for (const each of this.#cluster.leaders()) {
      const count = 1 + this.#below(4);
      each.propose(...Array.from({ length: count }, () => `p${this.#payload++}`));
    }
  }

  #crashOrRestart(of: TestReplica): void {
    if (of.up) {
      of.syncedCommit = Math.max(of.syncedCommit, Math.min(of.core.commit, of.core.durable) - this.#below(4));
      of.crash(this.#below(of.writes.length + 1));
    } else {
      of.restart();
      of.pump();
    }
  }

  #transfer(leader: TestReplica): void {
    leader.core.transfer(this.#pick(this.#replicas).id, this.#cluster.now);
    leader.pump();
  }

  #read(): void {
    for (const each of this.#cluster.leaders()) {
      this.#reads += 1;
      this.#invariants.asked(this.#reads);
      each.readIndex(this.#reads);
    }
  }

  #evidence(of: TestReplica): void {
    const about = this.#pick(this.#replicas).id;
    if (!of.up || about === of.id) return;
    if (this.#shape.rests === true && this.#draw() < 0.5) of.core.restEnded(about, this.#cluster.now);
    if (this.#draw() < 0.5) of.core.peerGone(about, this.#cluster.now);
    else of.core.peerBack(about, this.#cluster.now);
    of.pump();
  }

  #forget(of: TestReplica): void {
    if (of.up)
      of.forgetBelow(of.core.commit + 1 - this.#below(3) > 0 ? of.core.commit + 1 - this.#below(Math.min(3, of.core.commit + 1)) : 1);
  }

  /** Leaders that wait for nothing are given a new set of members: learners first, then voters of those who vote or learn. */
  #change(): void {
    const { votersMin = 1 } = this.#shape;
    for (const leader of this.#cluster.leaders()) {
      const { voters, learners } = leader.core.configuration;
      const all = this.#replicas.map((each) => each.id);
      if (this.#draw() < 0.5) {
        leader.change(
          voters,
          all.filter((id) => !voters.includes(id) && this.#draw() < 0.7),
        );
        continue;
      }
      const next = [...voters, ...learners].filter(() => this.#draw() < 0.7);
      if (next.length < votersMin) continue;
      if (leader.change(next).kind === "accepted" && leader.core.configuration.old !== undefined) this.#joint += 1;
    }
  }

  #loseMemory(of: TestReplica): void {
    // Two that forgot at the same time may be a majority.
    if (this.#shape.amnesia !== true || this.#replicas.some((each) => each.amnesiac)) return;
    if (of.up) of.syncedCommit = Math.max(of.syncedCommit, Math.min(of.core.commit, of.core.durable) - this.#below(4));
    of.forget(this.#below(6));
    this.#bulk = this.#bulk.filter(({ from, to }) => from !== of && to !== of);
    this.#reset = this.#reset.filter(({ from, to }) => from !== of && to !== of);
    this.#invariants.forgot(of);
  }

  /** Retention: the log begins later. What goes away is in segments. */
  #trim(of: TestReplica): void {
    if (!of.up) return;
    const start = Math.min(of.core.commit, of.core.durable) - this.#below(4);
    if (start <= of.start) return;
    of.core.trimmed({ index: index(start), term: of.core.termAt(index(start)) ?? term(0) });
    of.start = start;
    of.syncedCommit = Math.max(of.syncedCommit, start);
    of.forgotBelow = Math.max(of.forgotBelow, start + 1);
    of.pump();
  }

  #moveReset(): void {
    const [reset] = this.#reset.splice(0, 1);
    if (reset === undefined) return;
    const { from, fromCore, to, start } = reset;
    // A process that stopped is not given anything; neither is one whose log goes through the start: it may have acknowledged what follows.
    const has = to.up && to.core.termAt(index(start)) === from.log[start - 1]?.term;
    const done = this.#draw() < 0.8 && to.up && to.core.commit < start && !has && to.bulk === undefined;
    if (done) {
      this.#resets += 1;
      to.install(from, start);
    }
    if (!from.up || from.core !== fromCore) return;
    from.core.resetDone(to.id, done ? { index: index(start), term: term(from.log[start - 1]?.term ?? 0) } : undefined, this.#cluster.now);
    from.pump();
  }

  /** Streams the pieces of one bulk catch-up: each is written in its own time, and may be the last that arrives. */
  #moveBulk(): void {
    this.#moveReset();
    const writing = this.#replicas.find((each) => each.bulk !== undefined);
    if (writing !== undefined) {
      const written = this.#draw() < 0.9;
      if (written) this.#extended += writing.bulk?.length ?? 0;
      writing.finishBulk(written);
      return;
    }
    const bulk = this.#bulk[0];
    if (bulk === undefined) return;
    const { from, to, fromCore, entries } = bulk;
    const piece = entries.splice(0, 1 + this.#below(entries.length));
    const goesOn = this.#draw() < 0.8 && to.up && to.startBulk(piece);
    if (goesOn && entries.length > 0) return;
    this.#bulk.shift();
    if (!from.up || from.core !== fromCore) return;
    if (goesOn) to.finishBulk();
    from.core.extended(to.id, goesOn ? piece.at(-1)?.index : undefined, this.#cluster.now);
    from.pump();
  }

  /** Safety held so far; now the faults stop, and everything must come to rest with one log. */
  #healAndCommit(): void {
    const cluster = this.#cluster;
    cluster.heal();
    for (const each of this.#replicas) {
      if (!each.up) each.restart();
      for (const other of this.#replicas) if (other !== each) each.core.peerBack(other.id, cluster.now);
      each.slowDisk = false;
      each.pump();
      each.finishWrites();
    }
    const converged = (): boolean => {
      while (this.#bulk.length + this.#reset.length > 0 || this.#replicas.some((each) => each.bulk !== undefined)) this.#moveBulk();
      cluster.settle();
      for (const each of this.#replicas) this.#invariants.check(each);
      // Here messages overtake each other: what one thinks of another's rest may be wrong for ever. On a connection the end of it would end both.
      if (this.#shape.rests === true)
        for (const each of this.#replicas)
          for (const { id } of this.#replicas) if (each.up && id !== each.id) each.core.restEnded(id, cluster.now);
      const leader = cluster.leaders().sort((a, b) => b.core.term - a.core.term)[0];
      if (leader === undefined) return false;
      if (leader.log.at(-1)?.payload !== "last") {
        leader.propose("last");
        return false;
      }
      if (
        leader.core.configuration.old !== undefined ||
        this.#replicas.some((each) => each.amnesiac && isVoter(leader.core.configuration, each.id))
      )
        return false;
      const { voters, learners } = leader.core.configuration;
      return [...voters, ...learners].every((id) => {
        const each = cluster.at(id);
        return each.core.commit === leader.core.lastIndex && each.log.at(-1)?.payload === "last";
      });
    };
    cluster.until(converged, 6_000);
  }
}
