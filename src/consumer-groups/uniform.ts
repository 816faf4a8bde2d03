import { type Assignment, type AssignorInput, type AssignorMember, type AssignorTopic, byId, inOrder } from "./assignor.ts";
import { NumberHeap } from "./number-heap.ts";

/** Places of members in their order fit below this; a load is counted in units of it, so that one number sorts by load, then by place. */
const PLACES = 2 ** 21;
const LOAD_MAX = 2 ** 31;
const NOBODY = -1;

/** Topics with the very same subscribers: for balance, one heap of partitions. */
interface Pool {
  /** Places of members, ascending. */
  readonly subscribers: readonly number[];
  /** Subscribers by load. An entry whose load is not the member's any more is stale and passed over. */
  readonly byLoad: NumberHeap;
  /** Partitions in it that each member has; those it had before stand first. */
  readonly held: Map<number, number[]>;
  readonly partitions: number[];
}

/**
 * Balanced and sticky: the default.
 *
 * Everybody keeps what they had; partitions without an owner go to the subscriber that has least; then, while the one with most that can
 * has at least two more than somebody who could take one of its partitions, it gives one to them. So members with equal subscriptions end
 * within one of each other, and since nobody both gives and takes, no partition moves that balance does not ask for. With unequal ones no
 * single move makes it more even. O((P + M) log M) with equal subscriptions.
 */
export function uniform(input: AssignorInput): Assignment {
  return new Leveling(inOrder(input.members), byId(input.topics), input.previous).run();
}

class Leveling {
  readonly #members: readonly AssignorMember[];
  readonly #topics: readonly AssignorTopic[];
  /** Partitions of all topics, one after the other: place of the owner. */
  readonly #owner: number[] = [];
  /** Partitions by place of the member. */
  readonly #load: number[];
  readonly #pools: readonly Pool[];
  readonly #poolsOf: readonly Pool[][];

  constructor(members: readonly AssignorMember[], topics: readonly AssignorTopic[], previous: Assignment) {
    this.#members = members;
    this.#topics = topics;
    this.#load = members.map(() => 0);
    this.#poolsOf = members.map(() => []);
    const pools = new Map<string, Pool>();
    const placeOf = new Map(members.map(({ id }, place) => [id, place]));
    for (const { id, partitions } of topics) {
      const subscribers = members.flatMap(({ topics: wanted }, place) => (wanted.has(id) ? [place] : []));
      const pool = this.#poolOf(pools, subscribers);
      const before = previous.get(id);
      for (let partition = 0; partition < partitions; partition += 1) {
        const at = this.#owner.length;
        const place = placeOf.get(before?.[partition] ?? "") ?? NOBODY;
        this.#owner.push(NOBODY);
        pool.partitions.push(at);
        if (members[place]?.topics.has(id) === true) this.#give(at, pool, place);
      }
    }
    this.#pools = [...pools.values()].filter(({ subscribers }) => subscribers.length > 0);
    for (const pool of this.#pools) for (const place of pool.subscribers) pool.byLoad.push(this.#keyOf(place));
  }

  run(): Assignment {
    // Who can go to few goes first: the others can make up for it. The sort is stable, the order else that of the topics.
    for (const pool of [...this.#pools].sort((a, b) => a.subscribers.length - b.subscribers.length))
      for (const at of pool.partitions) {
        if (this.#owner[at] !== NOBODY) continue;
        const place = this.#leastLoaded(pool);
        this.#give(at, pool, place);
        this.#told(place);
      }
    while (this.#level());
    return this.#result();
  }

  #poolOf(pools: Map<string, Pool>, subscribers: readonly number[]): Pool {
    const key = subscribers.join();
    let pool = pools.get(key);
    if (pool === undefined) {
      pool = { subscribers, byLoad: new NumberHeap(), held: new Map(), partitions: [] };
      pools.set(key, pool);
      for (const place of subscribers) this.#poolsOf[place]?.push(pool);
    }
    return pool;
  }

  /** From those with most on, everybody gives while it helps. @returns whether anything moved: then somebody may be able to give who was not */
  #level(): boolean {
    let moved = false;
    const byMost = new NumberHeap();
    for (const place of this.#members.keys()) byMost.push(this.#reverseKeyOf(place));
    for (let key = byMost.pop(); key !== undefined; key = byMost.pop()) {
      const giver = key % PLACES;
      if (key !== this.#reverseKeyOf(giver)) continue;
      const pool = this.#poolToGiveFrom(giver);
      const at = pool?.held.get(giver)?.pop();
      if (pool === undefined || at === undefined) continue;
      const taker = this.#leastLoaded(pool);
      this.#load[giver] = this.#loadOf(giver) - 1;
      this.#give(at, pool, taker);
      for (const place of [giver, taker]) {
        this.#told(place);
        byMost.push(this.#reverseKeyOf(place));
      }
      moved = true;
    }
    return moved;
  }

  /** The one with the neediest subscriber, if that one would still have no more than the giver. */
  #poolToGiveFrom(giver: number): Pool | undefined {
    let best: Pool | undefined;
    let least = this.#loadOf(giver) - 1;
    for (const pool of this.#poolsOf[giver] ?? []) {
      if ((pool.held.get(giver)?.length ?? 0) === 0) continue;
      const load = this.#loadOf(this.#leastLoaded(pool));
      if (load >= least) continue;
      least = load;
      best = pool;
    }
    return best;
  }

  #give(at: number, pool: Pool, place: number): void {
    this.#owner[at] = place;
    this.#load[place] = this.#loadOf(place) + 1;
    const held = pool.held.get(place);
    if (held === undefined) pool.held.set(place, [at]);
    else held.push(at);
  }

  /** The member's load changed. */
  #told(place: number): void {
    for (const pool of this.#poolsOf[place] ?? []) pool.byLoad.push(this.#keyOf(place));
  }

  #leastLoaded({ byLoad }: Pool): number {
    for (;;) {
      const key = byLoad.least as number;
      const place = key % PLACES;
      if (key === this.#keyOf(place)) return place;
      byLoad.pop();
    }
  }

  #loadOf(place: number): number {
    return this.#load[place] as number;
  }
  #keyOf(place: number): number {
    return this.#loadOf(place) * PLACES + place;
  }
  #reverseKeyOf(place: number): number {
    return (LOAD_MAX - this.#loadOf(place)) * PLACES + place;
  }

  #result(): Assignment {
    let at = 0;
    return new Map(
      this.#topics.map(({ id, partitions }) => {
        const owners = this.#owner.slice(at, at + partitions).map((place) => this.#members[place]?.id);
        at += partitions;
        return [id, owners];
      }),
    );
  }
}
