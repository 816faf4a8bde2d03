import assert from "node:assert/strict";
import type { ReplicaId } from "../../src/base/ids.ts";
import { majorityOf } from "../../src/raft/quorum.ts";
import type { Ready } from "../../src/raft/types.ts";
import type { Packet, TestCluster, TestReplica } from "./harness.ts";

interface Written {
  readonly term: number;
  readonly payload: string | undefined;
}

/** Index of the first entry, up to `last`, whose term is not the same in both. From the end: equal there is equal before (R3). */
function firstDifference(a: readonly Written[], b: readonly Written[], last: number): number | undefined {
  if (last === 0 || a[last - 1]?.term === b[last - 1]?.term) return undefined;
  for (let at = 0; at < last; at++) if (a[at]?.term !== b[at]?.term) return at + 1;
  return undefined;
}

/**
 * The promises R1–R8 of a Raft group (docs/reliability.md), decided directly from what cores put out and disks hold. It keeps what
 * must never change (who led a term, what stands where once committed, who voted for whom) and compares after every step.
 */
export class Invariants {
  readonly #cluster: TestCluster;
  readonly #leaderOfTerm = new Map<number, ReplicaId>();
  /** What was ever at (index, term): one payload, one term before it. By induction that is log matching. */
  readonly #everAt = new Map<string, { readonly payload: string | undefined; readonly previousTerm: number }>();
  readonly committed: Written[] = [];
  readonly #votes = new Map<string, ReplicaId>();
  readonly #termOf = new Map<ReplicaId, number>();
  readonly #commitOf = new Map<object, number>();
  /** Commit index any confirmed leader has shown to clients. */
  #served = 0;
  readonly #askedAt = new Map<number, number>();

  constructor(cluster: TestCluster) {
    this.#cluster = cluster;
    cluster.beforeDrain = (of) => this.#checkLeaderCommits(of);
  }

  onReady(of: TestReplica, ready: Ready<string>): void {
    if (ready.write !== undefined) {
      if (of.core.role === "leader") assert.equal(ready.write.truncateFrom, undefined, `R5: leader ${of.id} cuts its own log`);
      for (const entry of ready.write.entries) {
        const key = `${entry.index}@${entry.term}`;
        const previousTerm = of.log[entry.index - 2]?.term ?? 0;
        const known = this.#everAt.get(key);
        if (known === undefined) this.#everAt.set(key, { payload: entry.payload, previousTerm });
        else assert.deepEqual({ payload: entry.payload, previousTerm }, known, `R3: two different entries ${key}`);
      }
    }
    for (const read of ready.reads) {
      if (read.index === undefined) continue;
      assert.ok(
        read.index >= (this.#askedAt.get(read.context) ?? 0),
        `read ${read.context} at ${read.index} misses ${this.#askedAt.get(read.context)}`,
      );
    }
    for (const out of ready.send) this.#checkMessage(of, { from: of.id, to: out.to, message: out.message });
  }

  /** The disk of this replica forgot: its term may have fallen, and its votes with it. */
  forgot(of: TestReplica): void {
    this.#termOf.delete(of.id);
    for (const key of this.#votes.keys()) if (key.startsWith(`${of.id}/`)) this.#votes.delete(key);
  }

  /** A read is about to be asked: it must see all that was committed by now. */
  asked(context: number): void {
    this.#askedAt.set(context, this.committed.length);
  }

  /** The core holds back what the disk does not hold yet. */
  #checkMessage(of: TestReplica, { to, message }: Packet): void {
    const { disk } = of;
    const ahead = message.kind === "preVote" || (message.kind === "preVoteReply" && message.granted);
    const told = ahead ? message.term - 1 : message.term;
    if (!(message.kind === "preVoteReply"))
      assert.ok(told <= disk.term, `${message.kind} of term ${message.term} leaves ${of.id}, durable is ${disk.term}`);
    if (message.kind === "vote") assert.equal(disk.votedFor, of.id, "a candidate asks before its own vote is durable");
    if (message.kind === "voteReply" && message.granted && disk.term === message.term)
      assert.equal(disk.votedFor, to, "a vote leaves before it is durable");
    if (message.kind !== "appendReply" && message.kind !== "heartbeatReply") return;
    assert.ok(message.durable <= disk.entries.length, `${of.id} reports ${message.durable} durable, its disk holds ${disk.entries.length}`);
    const leader = this.#cluster.replicas.get(to);
    if (leader === undefined || !leader.up || leader.core.role !== "leader" || leader.core.term !== message.term) return;
    const differs = firstDifference(disk.entries, leader.log, message.durable);
    assert.equal(differs, undefined, `${of.id} acknowledges ${differs}, which differs from the leader's`);
  }

  check(of: TestReplica): void {
    this.#checkDisk(of);
    if (!of.up) return;
    const { core } = of;
    const before = this.#termOf.get(of.id) ?? 0;
    assert.ok(core.term >= before || !of.up, `R6: the term of ${of.id} fell from ${before} to ${core.term}`);
    // A term that was never durable may be forgotten by a crash: only the durable one must not fall.
    this.#termOf.set(of.id, of.disk.term);
    const commitBefore = this.#commitOf.get(core) ?? 0;
    assert.ok(core.commit >= commitBefore, `R6: commit of ${of.id} fell from ${commitBefore} to ${core.commit}`);
    this.#commitOf.set(core, core.commit);
    assert.ok(core.commit <= core.lastIndex, `commit ${core.commit} is above the end ${core.lastIndex}`);
    assert.equal(core.lastIndex, of.log.length, "core and shell disagree about the end of the log");
    assert.ok(core.durable <= of.disk.entries.length, `${of.id} claims ${core.durable} durable, its disk holds ${of.disk.entries.length}`);
    const differs = firstDifference(of.disk.entries, of.log, core.durable);
    assert.equal(differs, undefined, `${of.id} claims ${differs} durable, its disk holds another`);
    this.#checkLeader(of);
    this.#checkCommitted(of, commitBefore);
  }

  #checkDisk(of: TestReplica): void {
    const { term, votedFor } = of.disk;
    if (votedFor === undefined) return;
    const key = `${of.id}/${term}`;
    const vote = this.#votes.get(key);
    assert.ok(vote === undefined || vote === votedFor, `R7: ${of.id} voted for ${vote} and ${votedFor} in term ${term}`);
    this.#votes.set(key, votedFor);
  }

  #checkLeader(of: TestReplica): void {
    const { core } = of;
    if (core.role !== "leader") return;
    const known = this.#leaderOfTerm.get(core.term);
    assert.ok(known === undefined || known === of.id, `R2: ${known} and ${of.id} lead term ${core.term}`);
    if (known === undefined) {
      this.#leaderOfTerm.set(core.term, of.id);
      for (const [at, entry] of this.committed.entries()) {
        assert.deepEqual(this.#entryOf(of, at), entry, `R4: leader ${of.id} of term ${core.term} lacks committed entry ${at + 1}`);
      }
    }
    // What a confirmed leader serves never falls; an older leader that has not noticed yet is not asked.
    const newest = Math.max(...this.#leaderOfTerm.keys());
    if (core.term === newest && core.noopIndex !== undefined && core.commit >= core.noopIndex) {
      assert.ok(core.commit >= this.#served, `R6: clients saw ${this.#served}, leader ${of.id} serves ${core.commit}`);
      this.#served = core.commit;
    }
  }

  #checkCommitted(of: TestReplica, from: number): void {
    const { commit } = of.core;
    for (let at = Math.min(from, this.committed.length); at < commit; at++) {
      const entry = this.#entryOf(of, at);
      assert.ok(at < this.committed.length, `R8: ${of.id} commits entry ${at + 1}@${entry?.term}, which no leader has committed`);
      assert.deepEqual(entry, this.committed[at], `R1: ${of.id} commits another entry ${at + 1}`);
    }
  }

  /**
   * Newly committed: a majority of each voter set has it on disk now. Judged at the leader, who decides it, and before what it appends next:
   * its configuration is the one in force when it counted. A follower learns of it with another one in force, an earlier one or a later.
   */
  #checkLeaderCommits(of: TestReplica): void {
    const { commit, configuration, role } = of.core;
    if (role !== "leader") return;
    for (let at = this.committed.length; at < commit; at++) {
      const entry = this.#entryOf(of, at);
      for (const set of [configuration.voters, configuration.old]) {
        if (set === undefined) continue;
        // What a disk forgot after it was acknowledged was durable when it counted.
        const holders = set.filter((voter) => {
          const { disk, forgotten } = this.#cluster.at(voter);
          return disk.entries[at]?.term === entry?.term || forgotten[at]?.term === entry?.term;
        });
        assert.ok(
          holders.length >= majorityOf(set.length),
          `R8: entry ${at + 1}@${entry?.term} is committed by ${of.id} and durable only on ${holders} of ${set}`,
        );
      }
      this.committed.push(entry as Written);
    }
  }

  #entryOf(of: TestReplica, at: number): Written | undefined {
    const entry = of.log[at];
    return entry && { term: entry.term, payload: entry.payload };
  }
}
