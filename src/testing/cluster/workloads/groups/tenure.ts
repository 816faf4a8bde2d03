import type { RpcChannel } from "../../../../base/ports/rpc-client.ts";
import type { MemberState } from "../../../../protocol/public.ts";
import { wait } from "../../clients.ts";
import { partitionName } from "../../topic.ts";
import type { WorkloadContext } from "../workload.ts";
import { commitOnce } from "./commit.ts";
import type { GroupOf } from "./groups.ts";
import { HeldPartition, type Place } from "./held-partition.ts";

/** Commits of a partition that is to be given back, before that is done without. */
const LAST_COMMITS = 3;

/** Who is a member, and how it works. */
export interface Worker {
  readonly group: GroupOf;
  readonly member: string;
  readonly proc: string;
  readonly channels: readonly RpcChannel[];
  readonly handlerMs: number;
  /** Resolves when its process runs: at once, unless it hangs. */
  awake(): Promise<void>;
  /** A heartbeat has something to say. */
  hurry(): void;
}

/** A member from one joining on: what it holds, and what it commits. */
export class Tenure {
  /** The newest it was told. */
  epoch: number;
  readonly #context: WorkloadContext;
  readonly #worker: Worker;
  readonly #joined: number;
  readonly #holds = new Map<string, HeldPartition>();
  /** Partitions of topics that were deleted, and are made anew, that it had given back: what it has of them is of the former one. */
  readonly #former = new Map<string, HeldPartition>();
  #over = false;
  #dead = false;

  constructor(context: WorkloadContext, worker: Worker, epoch: number) {
    this.#context = context;
    this.#worker = worker;
    this.#joined = epoch;
    this.epoch = epoch;
  }

  get group(): GroupOf {
    return this.#worker.group;
  }
  get member(): string {
    return this.#worker.member;
  }
  get proc(): string {
    return this.#worker.proc;
  }
  get channels(): readonly RpcChannel[] {
    return this.#worker.channels;
  }
  get handlerMs(): number {
    return this.#worker.handlerMs;
  }
  /** It is no member any more, as far as it knows, or its process died. */
  get over(): boolean {
    return this.#over;
  }
  get dead(): boolean {
    return this.#dead;
  }
  /** All that is in its hands, those that it is to give back among them. */
  get places(): readonly Place[] {
    return [...this.#holds.values()].map(({ place }) => place);
  }
  /** Nothing is to be given back, and it knows where to begin with everything. */
  get steady(): boolean {
    return [...this.#holds.values()].every(({ leaving, position }) => !leaving && position !== undefined);
  }

  /** How far a partition is committed that it holds. */
  holdOf(group: string, name: string): { readonly committed: number } | undefined {
    const held = this.group.id === group ? this.#holds.get(name) : undefined;
    return held === undefined ? undefined : { committed: held.committed };
  }

  awake(): Promise<void> {
    return this.#worker.awake();
  }

  finished(): void {
    void this.#giveBack();
  }

  /** It knows from where on to go. @param asked when it began to ask */
  resumed(asked: number): void {
    const { groups, situations } = this.#context;
    const movedAt = groups.takeMove(this.group.id);
    if (movedAt !== undefined && movedAt <= asked) situations.saw("offsets fetched after fail-over");
  }

  /** It is told what it is to hold. */
  hear({ memberEpoch, assignmentChanged, assignment }: MemberState): void {
    if (this.#over || memberEpoch < this.epoch) return;
    this.epoch = memberEpoch;
    if (!assignmentChanged) return;
    const wanted = new Map(
      assignment.flatMap(({ topic, topicId, partitions }) =>
        partitions.map((partition) => {
          const name = this.#context.groups.nameOf({ topic, topicId, partition });
          return [name, { topic, topicId, partition, name }] as const;
        }),
      ),
    );
    for (const [name, held] of this.#holds) if (!wanted.has(name)) held.leaving = true;
    for (const [name, place] of wanted) if (!this.#holds.has(name)) this.#take(name, place);
    void this.#giveBack();
  }

  #take(name: string, place: Place): void {
    const held = new HeldPartition(this.#context, this, place);
    this.#holds.set(name, held);
    this.#context.situations.saw("partition given to a member");
    held.run().catch((error: Error) => this.#context.world.scheduler.fail(error));
  }

  /** What is to go, and is not in work any more, is committed and goes. */
  async #giveBack(): Promise<void> {
    if (this.#over) return;
    const going = [...this.#holds].filter(([, held]) => held.leaving && held.done);
    if (going.length === 0) return;
    for (let tries = 0; tries < LAST_COMMITS && !this.#over; tries++) if (await this.commit(going.map(([, held]) => held))) break;
    for (const [name, held] of going) {
      if (this.#holds.get(name) === held) this.#holds.delete(name);
      if (held.place.topic === this.group.changing?.name) this.#former.set(numberOf(held.place), held);
    }
    this.#worker.hurry();
  }

  /** Commits what is done since the last time. @returns whether nothing is left to commit */
  async commit(which: Iterable<HeldPartition> = this.#holds.values()): Promise<boolean> {
    const { random } = this.#context;
    const due = [...which].flatMap((held) => {
      const { place, position, sent } = held;
      return position !== undefined && position > sent ? [{ held, offset: position, before: sent, ...place }] : [];
    });
    if (due.length === 0) return true;
    for (const { held, offset } of due) held.sent = offset;
    // Now and then at the epoch at which it joined: that is not new enough for what it was given since.
    const epoch = random.chance(1, 12) ? this.#joined : this.epoch;
    const { group, member, proc } = this;
    const commit = { group: group.id, proc, member: { id: member, epoch }, offsets: due };
    const outcomes = await commitOnce(this.#context, random.pick(this.channels), commit);
    let all = true;
    for (const { held, name, offset, before } of due) {
      const failed = outcomes.get(name);
      if (failed === undefined) held.committed = Math.max(held.committed, offset);
      if (failed === undefined || failed.error === "COMMIT_BEHIND") continue;
      all = false;
      // It is sent again with the next one.
      if (held.sent === offset) held.sent = before;
    }
    return all;
  }

  /** Another's partition, and nothing that was done: to be refused. */
  async trespass(): Promise<void> {
    const { random, topics } = this.#context;
    const topic = random.pick(this.group.topics.length === 0 ? topics : this.group.topics);
    const partition = random.below(topic.partitions);
    const name = partitionName(topic.name, partition);
    if (this.#over || this.#holds.has(name)) return;
    const { group, member, epoch, proc } = this;
    const offsets = [{ topic: topic.name, partition, name, offset: 0 }];
    await commitOnce(this.#context, random.pick(this.channels), { group: group.id, proc, member: { id: member, epoch }, offsets });
  }

  /** What it had done of a former topic, when it has the same partition of the one that was made anew: to be refused. */
  async late(): Promise<void> {
    const { random } = this.#context;
    const { group, member, epoch, proc } = this;
    const again = this.places.filter(({ topic }) => topic === group.changing?.name);
    const former = again.map((place) => this.#former.get(numberOf(place))).find((held) => held?.position !== undefined);
    if (this.#over || former?.position === undefined) return;
    this.#former.delete(numberOf(former.place));
    const offsets = [{ ...former.place, offset: former.position }];
    await commitOnce(this.#context, random.pick(this.channels), { group: group.id, proc, member: { id: member, epoch }, offsets });
  }

  /** It is no member any more. What it had done it may still try to commit: too late. */
  async lost(): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    const { random, ports } = this.#context;
    if (!random.chance(1, 2)) return;
    await wait(ports, random.below(500));
    await this.commit();
  }

  /** Its process dies: nothing more is heard of it. */
  die(): void {
    this.#over = true;
    this.#dead = true;
  }

  /** Everything is given back, as far as that can be done in some time. */
  async close(): Promise<void> {
    const { ports } = this.#context;
    for (const held of this.#holds.values()) held.leaving = true;
    for (let looks = 0; looks < 40 && [...this.#holds.values()].some(({ done }) => !done); looks++) await wait(ports, 100);
    for (let tries = 0; tries < LAST_COMMITS && !(await this.commit()); tries++);
    this.#over = true;
  }
}

const numberOf = ({ topic, partition }: Place): string => partitionName(topic, partition);
