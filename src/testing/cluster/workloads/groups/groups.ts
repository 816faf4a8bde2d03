import type { SimRandom } from "../../../sim/random.ts";
import { partitionName, partitionsOf, type Topic } from "../../topic.ts";
import { ChangingTopic, type NamedPlace } from "./changing-topic.ts";

/** A consumer group of a run. */
export interface GroupOf {
  readonly id: string;
  /** Those of them that stay. */
  readonly topics: readonly Topic[];
  /** It reads this one, too. */
  readonly changing: ChangingTopic | undefined;
  /** Has members from the beginning to the end; others have some now and then. */
  readonly lasting: boolean;
}

export type MemberEnding = "leaves" | "leaves for a while" | "dies";

/** A process that is a member, in one life of it. */
export interface Member {
  readonly group: GroupOf;
  /** Its id. */
  readonly member: string;
  /** What it takes for its own; undefined: it is no member, as far as it knows. */
  readonly tenure:
    | {
        readonly places: readonly { readonly name: string }[];
        /** Nothing is to be given back, and it knows where to begin with everything. */
        readonly steady: boolean;
        /** How far a partition is committed that it holds. */
        holdOf(group: string, name: string): { readonly committed: number } | undefined;
      }
    | undefined;
  /** Works for `lifeMs`; while no workload works any more, until the run ends. */
  run(lifeMs: number, ending: MemberEnding): Promise<void>;
}

/** The groups of a run, what is known of them from outside, and what of them must still end. */
export class Groups {
  readonly all: readonly GroupOf[];
  /** In every second run. */
  readonly changing: ChangingTopic | undefined;
  /** Of so many members out of four each is a `GroupConsumer` of the client library; the others speak by themselves. */
  readonly real: number;
  /** Who had a fencing token. */
  readonly #fences = new Map<string, string>();
  /** Members as they see themselves, of all groups. */
  readonly members = new Set<Member>();
  /** Broker that said last that it coordinates, by group, and when another one did. */
  readonly #coordinators = new Map<string, number>();
  readonly #movedAt = new Map<string, number>();
  #open = 0;
  #used = false;
  #over = false;

  /** @param topics of the run that stay */
  constructor(random: SimRandom, topics: readonly Topic[]) {
    this.changing = random.chance(1, 2) ? new ChangingTopic("h") : undefined;
    this.real = random.pick([0, 0, 2, 4]);
    const some = (): readonly Topic[] => random.shuffled(topics).slice(0, random.between(1, topics.length));
    this.all = Array.from({ length: random.between(2, 3) }, (_, i) => ({
      // Names decide who coordinates.
      id: `g${i + 1}-${random.below(1_000)}`,
      topics: some(),
      changing: i === 0 || random.chance(1, 2) ? this.changing : undefined,
      lasting: i === 0,
    }));
  }

  /** As histories name a partition: of a topic that changes by its id. */
  nameOf({ topic, topicId, partition }: NamedPlace): string {
    return topic === this.changing?.name ? this.changing.partition(topicId, partition) : partitionName(topic, partition);
  }

  /** Topics that were there under this name, of one that changes. */
  idsOf(topic: string): readonly string[] {
    return topic === this.changing?.name ? this.changing.ids : [];
  }

  /**
   * Calls `note` for each partition that a call may have been about which names no topic id, as histories name it.
   *
   * @param over the call has ended
   * @param note told the name, and whether it can have been no other
   */
  meant({ topic, partition }: Omit<NamedPlace, "topicId">, over: boolean, note: (name: string, alone: boolean) => void): void {
    const { changing } = this;
    if (changing === undefined || topic !== changing.name) return note(partitionName(topic, partition), true);
    const { only } = changing;
    if (over && only !== undefined) return note(changing.partition(only, partition), true);
    changing.meant(over, (id) => note(changing.partition(id, partition), false));
  }

  /** A member is given records with this token. @returns who had it before: tokens rise with each owner */
  fence(group: string, partition: string, epoch: number, proc: string): string | undefined {
    const key = `${group} ${partition} ${epoch}`;
    const before = this.#fences.get(key);
    this.#fences.set(key, proc);
    return before === proc ? undefined : before;
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

/** What its members subscribe to. */
export function topicsOf({ topics, changing }: GroupOf): readonly string[] {
  return [...topics.map(({ name }) => name), ...(changing === undefined ? [] : [changing.name])];
}

/** Every partition of the topics that it reads, as far as they are known to be there. */
export function placesOf({
  topics,
  changing,
}: GroupOf): readonly (Omit<NamedPlace, "topicId"> & { readonly name: string; readonly topicId?: string })[] {
  const now = changing?.now;
  const numbers = Array.from({ length: now?.partitions ?? 0 }, (_, partition) => partition);
  return [
    ...partitionsOf(topics),
    ...numbers.flatMap((partition) =>
      changing === undefined || now === undefined
        ? []
        : [{ topic: changing.name, topicId: now.id, partition, name: changing.partition(now.id, partition) }],
    ),
  ];
}
