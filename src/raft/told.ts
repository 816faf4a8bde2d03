import type { LogIndex, ReplicaId, Term } from "../base/ids.ts";
import { invariant } from "../base/invariant.ts";
import type { Ready, RoleName } from "./types.ts";

/** What the shell was told last, so that a `Ready` carries only what changed. */
export class Told {
  #commit: LogIndex;
  #role: RoleName = "follower";
  #term: Term;
  #leader: ReplicaId | undefined;

  constructor(commit: LogIndex, term: Term) {
    this.#commit = commit;
    this.#term = term;
  }

  committed(commit: LogIndex): Ready<never>["committed"] {
    invariant(commit >= this.#commit, () => `the commit index fell from ${this.#commit} to ${commit}`);
    if (commit === this.#commit) return undefined;
    this.#commit = commit;
    return commit;
  }

  role(role: RoleName, term: Term, leader: ReplicaId | undefined): Ready<never>["role"] {
    invariant(term >= this.#term, () => `the term fell from ${this.#term} to ${term}`);
    if (role === this.#role && term === this.#term && leader === this.#leader) return undefined;
    this.#role = role;
    this.#term = term;
    this.#leader = leader;
    return { role, term, leader };
  }
}
