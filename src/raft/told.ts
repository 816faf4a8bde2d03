import type { LogIndex, ReplicaId, Term } from "../base/ids.ts";
import { invariant } from "../base/invariant.ts";
import type { Configuration, Ready, RoleName } from "./types.ts";

/** What the shell was told last, so that a `Ready` carries only what changed. */
export class Told {
  #commit: LogIndex;
  #role: RoleName = "follower";
  #term: Term;
  #leader: ReplicaId | undefined;

  #configuration: Configuration;
  #quarantined: boolean;

  constructor(commit: LogIndex, term: Term, configuration: Configuration, quarantined: boolean) {
    this.#commit = commit;
    this.#term = term;
    this.#configuration = configuration;
    this.#quarantined = quarantined;
  }

  configuration(configuration: Configuration): Configuration | undefined {
    if (configuration === this.#configuration) return undefined;
    this.#configuration = configuration;
    return configuration;
  }

  quarantine(quarantined: boolean): Pick<Ready<never>, "quarantineBegan" | "quarantineEnded"> {
    const before = this.#quarantined;
    this.#quarantined = quarantined;
    return { quarantineBegan: !before && quarantined, quarantineEnded: before && !quarantined };
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
