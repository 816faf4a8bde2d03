import type { SimRandom } from "../../../sim/random.ts";
import type { Topic } from "../../topic.ts";
import type { GroupMember } from "./member.ts";

/** A consumer group of a run. */
export interface GroupOf {
  readonly id: string;
  readonly topics: readonly Topic[];
  /** Has members from the beginning to the end; others have some now and then. */
  readonly lasting: boolean;
}

/** The groups of a run, what is known of them from outside, and what of them must still end. */
export class Groups {
  readonly all: readonly GroupOf[];
  /** Members as they see themselves, of all groups. */
  readonly members = new Set<GroupMember>();
  /** Broker that said last that it coordinates, by group, and when another one did. */
  readonly #coordinators = new Map<string, number>();
  readonly #movedAt = new Map<string, number>();
  #open = 0;
  #used = false;
  #over = false;

  /** @param topics of the run that stay */
  constructor(random: SimRandom, topics: readonly Topic[]) {
    const some = (): readonly Topic[] => random.shuffled(topics).slice(0, random.between(1, topics.length));
    this.all = Array.from({ length: random.between(2, 3) }, (_, i) => ({
      // Names decide who coordinates.
      id: `g${i + 1}-${random.below(1_000)}`,
      topics: some(),
      lasting: i === 0,
    }));
  }

  /** Somebody works with them in this run. */
  get used(): boolean {
    return this.#used;
  }

  /** The run is at its end: members leave. */
  get over(): boolean {
    return this.#over;
  }

  end(): void {
    this.#over = true;
  }

  /** Nobody has anything under way. */
  get settled(): boolean {
    return this.#open === 0;
  }

  begin(): () => void {
    this.#used = true;
    this.#open++;
    return () => {
      this.#open--;
    };
  }

  /** @returns whether it is another one than was heard of last */
  coordinates(group: string, broker: number, now: number): boolean {
    const before = this.#coordinators.get(group);
    this.#coordinators.set(group, broker);
    if (before === undefined || before === broker) return false;
    this.#movedAt.set(group, now);
    return true;
  }

  /** When it was seen that another broker coordinates; once. */
  takeMove(group: string): number | undefined {
    const at = this.#movedAt.get(group);
    this.#movedAt.delete(group);
    return at;
  }
}
