import { Findings, type Verdict } from "../verdict.ts";
import { GroupBook } from "./group-book.ts";
import { ReplicaMemory } from "./replica-memory.ts";
import type { ReplicaView } from "./replica-view.ts";

const rows = {
  R1: "committed prefixes agree",
  R2: "one leader per term",
  R3: "logs that share an entry share all before it",
  R4: "a leader holds everything committed before it",
  R5: "a leader only appends",
  R6: "terms, durable entries and a life's commit index never fall",
  R7: "one durable vote per term",
  R8: "committed means durable on a majority, in the leader's own term",
} as const;

type Row = keyof typeof rows;

/**
 * The invariants R1 to R8, judged on what changed. Call `observe` for every replica after every event, and once more for a replica
 * whose process just died. Votes and terms that a crash could still forget are held against nobody: what counts as durable is what
 * recovery found, what a leader must have had, and terms of entries reported durable.
 */
export class RaftInvariants {
  readonly #findings = new Map<Row, Findings>((Object.keys(rows) as Row[]).map((row) => [row, new Findings()]));
  readonly #groups = new Map<number, Group>();
  #broken: string | undefined;

  /** One verdict per row, for the totals of a run. */
  verdicts(): readonly Verdict[] {
    return [...this.#findings].map(([row, { judged, violations }]) => ({ row, judged, violations }));
  }

  /** The first violation found. */
  get broken(): string | undefined {
    return this.#broken;
  }

  /** The disk of this replica forgets, while no process uses it. What others hold because of it stays judged. */
  forget(group: number, replica: number): void {
    this.#groups.get(group)?.replicas.get(replica)?.forget();
  }

  /** @returns whether there was anything new to judge */
  observe(view: ReplicaView): boolean {
    const group = this.#group(view.group);
    const memory = remembered(group.replicas, view.replica);
    if (memory.isLike(view)) return false;
    const reborn = memory.life !== view.life;
    this.#terms(view, memory, reborn);
    this.#votes(view, memory, reborn);
    this.#log(view, memory, reborn, group);
    this.#leadership(view, memory, group);
    memory.life = view.life;
    memory.term = view.term;
    memory.role = view.role;
    memory.votedFor = view.votedFor;
    this.#commit(view, memory, reborn, group);
    return true;
  }

  #terms(view: ReplicaView, memory: ReplicaMemory, reborn: boolean): void {
    const least = reborn ? memory.durableTerm : memory.term;
    this.#judge("R6", view.term >= least, () => `${at(view)} fell from term ${least} to ${view.term}`);
    if (!reborn) this.#judge("R6", view.commit >= memory.commit, () => `${at(view)} fell from commit ${memory.commit} to ${view.commit}`);
    if (!reborn && memory.role === "leader" && view.role === "leader" && view.term === memory.term && view.commit > memory.commit) {
      // Older entries are committed with one of this term, never by counting (Raft §5.4.2, figure 8).
      this.#judge(
        "R8",
        view.termAt(view.commit) === view.term,
        () => `${at(view)}, leader of term ${view.term}, committed up to ${view.commit}, an entry of term ${view.termAt(view.commit)}`,
      );
    }
    const proof = reborn || view.role === "leader" ? view.term : (view.termAt(view.durable) ?? 0);
    memory.durableTerm = Math.max(memory.durableTerm, proof);
  }

  #votes(view: ReplicaView, memory: ReplicaMemory, reborn: boolean): void {
    if (view.durableTerm !== undefined && view.durableVote !== undefined) memory.given = { term: view.durableTerm, to: view.durableVote };
    const certain = memory.votes.get(view.term);
    if (reborn && certain !== undefined) {
      this.#judge(
        "R7",
        view.votedFor === certain,
        () => `${at(view)} restarted in term ${view.term} with a vote for ${view.votedFor ?? "nobody"}; it had voted for ${certain}`,
      );
    }
    if (view.votedFor === undefined) return;
    if (!reborn && memory.term === view.term && memory.votedFor !== undefined) {
      this.#judge(
        "R7",
        view.votedFor === memory.votedFor,
        () => `${at(view)} voted for ${memory.votedFor} and for ${view.votedFor} in term ${view.term}`,
      );
    }
    this.#judge(
      "R7",
      certain === undefined || view.votedFor === certain,
      () => `${at(view)} votes for ${view.votedFor} in term ${view.term}; it had voted for ${certain}`,
    );
    // A recovered vote is on disk; so is a leader's own, or it could not have asked for others.
    if (reborn || view.role === "leader") memory.votes.set(view.term, view.votedFor);
  }

  #log(view: ReplicaView, memory: ReplicaMemory, reborn: boolean, group: Group): void {
    const { book } = group;
    const shared = memory.sharedUpTo(view);
    if (reborn) {
      this.#judge(
        "R6",
        shared >= memory.proven,
        () => `${at(view)} restarted with its log only up to ${shared}; ${memory.proven} had been durable`,
      );
    } else {
      this.#judge(
        "R1",
        shared >= Math.min(memory.commit, memory.lastIndex),
        () => `${at(view)} truncated to ${shared}, below its commit index ${memory.commit}`,
      );
      if (shared < memory.proven) this.#conflict(view, memory, shared + 1, group);
      if (memory.role === "leader" && view.role === "leader" && memory.term === view.term) {
        this.#judge(
          "R5",
          shared === memory.lastIndex,
          () => `${at(view)}, leader of term ${view.term}, truncated its log from ${memory.lastIndex} to ${shared}`,
        );
      }
    }
    for (let index = Math.max(shared, view.startIndex) + 1; index <= view.lastIndex; index++) {
      const term = view.termAt(index);
      // Of a hole's terms nobody is told, and what is said of them here is no claim.
      if (term === undefined || view.unproved?.(index) || view.unproved?.(index - 1)) continue;
      const wrong = book.entry(index, term, view.termAt(index - 1) ?? 0, view.hashAt(index));
      this.#judge("R3", wrong === undefined, () => `${at(view)}: entry ${index} of term ${term} ${wrong}`);
    }
    memory.takeLog(view, shared);
  }

  /** An entry that was durable is cut only where its leader has another: the same one may be committed because it is here. */
  #conflict(view: ReplicaView, memory: ReplicaMemory, cut: number, { book, replicas }: Group): void {
    const leader = replicas.get(book.leaders.get(view.term) ?? 0);
    if (leader === undefined || leader.role !== "leader" || leader.term !== view.term || leader === memory) return;
    const term = memory.termAt(cut);
    this.#judge(
      "R6",
      term === undefined || leader.termAt(cut) !== term,
      () =>
        `${at(view)} cut entry ${cut} of term ${term} off its log, which was durable and which ${leader.replica}, leader of term ${view.term}, has too`,
    );
  }

  #leadership(view: ReplicaView, memory: ReplicaMemory, group: Group): void {
    if (view.role !== "leader" || (memory.role === "leader" && memory.term === view.term && memory.life === view.life)) return;
    const { book } = group;
    if (view.durableTerm !== undefined) this.#elected(view, group);
    const before = book.leaders.get(view.term);
    book.leaders.set(view.term, view.replica);
    this.#judge("R2", before === undefined || before === view.replica, () => `${at(view)} leads term ${view.term}, which ${before} led`);
    // One that was elected late, by votes that were long on their way, may lead a term that is over: it commits nothing any more.
    const highest = book.highestChosenBefore(view.term);
    if (highest <= view.startIndex) return;
    this.#judge(
      "R4",
      view.termAt(highest) === book.chosenTerm(highest),
      () => `${at(view)} leads term ${view.term} without the committed entry ${highest} of term ${book.chosenTerm(highest)}`,
    );
  }

  /** Whoever elected it has said so to its disk, in this term or before it went on to a later one: a vote is durable before it is told. */
  #elected(view: ReplicaView, group: Group): void {
    for (const voters of [view.voters, view.oldVoters ?? []]) {
      if (voters.length === 0) continue;
      const gave = voters.filter((voter) => {
        const given = group.replicas.get(voter)?.given;
        return given !== undefined && (given.term > view.term || (given.term === view.term && given.to === view.replica));
      });
      this.#judge(
        "R7",
        gave.length * 2 > voters.length,
        () =>
          `${at(view)} leads term ${view.term}, and only the disks of ${gave.join(" ") || "none"} of ${voters.join(" ")} have their vote for it`,
      );
    }
  }

  #commit(view: ReplicaView, memory: ReplicaMemory, reborn: boolean, group: Group): void {
    memory.commit = reborn ? view.commit : Math.max(memory.commit, view.commit);
    for (let index = Math.max(memory.compared, view.startIndex) + 1; index <= view.commit; index++) {
      const term = view.termAt(index);
      if (term === undefined || view.unproved?.(index)) continue;
      const chosen = group.book.chosenTerm(index);
      if (chosen !== undefined) {
        this.#judge(
          "R1",
          chosen === term,
          () => `${at(view)} committed entry ${index} of term ${term}; term ${chosen} was committed there`,
        );
        continue;
      }
      group.book.choose(index, term, view.term);
      this.#majority(view, index, term, group);
      this.#laterLeaders(view, index, term, group);
    }
    memory.compared = Math.max(memory.compared, view.commit);
  }

  #majority(view: ReplicaView, index: number, term: number, group: Group): void {
    for (const voters of [view.voters, view.oldVoters ?? []]) {
      if (voters.length === 0) continue;
      const holders = voters.filter((voter) => {
        const memory = group.replicas.get(voter);
        return memory !== undefined && memory.proven >= index && memory.termAt(index) === term;
      });
      this.#judge(
        "R8",
        holders.length * 2 > voters.length,
        () => `${at(view)} committed entry ${index} of term ${term}, durable only on ${holders.join(" ") || "none"} of ${voters.join(" ")}`,
      );
    }
  }

  /** Somebody who leads a later term must have had it all along. */
  #laterLeaders(view: ReplicaView, index: number, term: number, group: Group): void {
    for (const other of group.replicas.values()) {
      if (other.role !== "leader" || other.term <= view.term || other.replica === view.replica) continue;
      this.#judge(
        "R4",
        other.termAt(index) === term,
        () => `${at(view)} committed entry ${index} of term ${term}, which ${other.replica}, leader of term ${other.term}, does not hold`,
      );
    }
  }

  #judge(row: Row, holds: boolean, message: () => string): void {
    const findings = this.#findings.get(row);
    findings?.judge(holds, message);
    if (!holds) this.#broken ??= `${row} (${rows[row]}): ${findings?.violations[0]}`;
  }

  #group(number: number): Group {
    let group = this.#groups.get(number);
    if (group === undefined) {
      group = { book: new GroupBook(), replicas: new Map() };
      this.#groups.set(number, group);
    }
    return group;
  }
}

interface Group {
  readonly book: GroupBook;
  readonly replicas: Map<number, ReplicaMemory>;
}

function remembered(replicas: Map<number, ReplicaMemory>, replica: number): ReplicaMemory {
  let memory = replicas.get(replica);
  if (memory === undefined) {
    memory = new ReplicaMemory(replica);
    replicas.set(replica, memory);
  }
  return memory;
}

function at(view: ReplicaView): string {
  return `group ${view.group}, replica ${view.replica}`;
}
