import type { MillraceError } from "../../../base/errors.ts";
import type { TopicId } from "../../../base/ids.ts";
import type { Clock } from "../../../base/ports/clock.ts";
import type { GroupCommand } from "../../../consumer-groups/commands.ts";
import type { GroupReply } from "../../../consumer-groups/decision.ts";
import type { GroupFacts } from "../../../consumer-groups/facts.ts";
import type { CommittedOffset, GroupState } from "../../../consumer-groups/group-state.ts";
import type { GroupsImage } from "../../../consumer-groups/image.ts";
import type { LagSample } from "../../../consumer-groups/lag.ts";
import type { GroupSettings } from "../../../consumer-groups/settings.ts";
import type { Verdict } from "../../../consumer-groups/verdict.ts";
import { Decider, type LedReplica } from "../../machine/decider.ts";
import type { Answer } from "../../machine/machine.ts";
import { TurnReads } from "../../machine/turn-reads.ts";
import type { Shard, ShardLeader, ShardParts } from "../shards.ts";
import { Expiry } from "./expiry.ts";
import { groupsMachine, notCoordinator } from "./groups-machine.ts";
import { LagTracks, type LagTracksPorts } from "./lag-tracks.ts";
import { MemberTimers } from "./member-timers.ts";
import { type MemberNews, MemberWatches } from "./member-watches.ts";
import type { GroupTopics } from "./topic-directory.ts";
import { TopicSweep } from "./topic-sweep.ts";

export interface CoordinatorPorts {
  readonly clock: Clock;
  readonly settings: GroupSettings;
  readonly topics: GroupTopics;
  /** This broker's wall clock may say how old something is. */
  readonly trusted: () => boolean;
  /** Resolves when this broker's metadata holds everything that was recorded by now. @throws {MillraceError} */
  readonly barrier: () => Promise<void>;
  /** What this broker's own replica of a partition knows; undefined: it has none. */
  readonly ends: LagTracksPorts["ends"];
  readonly failed: (error: unknown) => void;
}

/** As much of a shard as its coordinator needs. */
export interface CoordinatorParts extends Omit<ShardParts, "replica"> {
  readonly replica: LedReplica;
}

/** What could not be recorded is tried again after this. */
const REFRESH_AGAIN_MS = 200;

/** What is not replicated: from when this replica begins to decide to when it ends. */
interface Tenure {
  readonly timers: MemberTimers;
  readonly expiry: Expiry;
  readonly sweep: TopicSweep;
  readonly lags: LagTracks;
}

/**
 * The coordinator of the groups of one shard: decides while its replica leads, keeps the time of members, tells them of changes the moment
 * these are committed, and looks after topics that changed and offsets that are too old. Its soft state begins anew with each time in office.
 */
export class Coordinator implements ShardLeader {
  readonly #ports: CoordinatorPorts;
  readonly #parts: CoordinatorParts;
  readonly #decider: Decider<GroupsImage, GroupCommand, GroupFacts, GroupReply>;
  readonly #watches = new MemberWatches();
  /** The view outlives this one when the replica is reset. */
  readonly #deaf: () => void;
  #tenure: Tenure | undefined;
  #reads: TurnReads<GroupsImage> | undefined;
  #closed = false;

  constructor(parts: CoordinatorParts, ports: CoordinatorPorts) {
    const { clock, topics, settings, trusted } = ports;
    this.#ports = ports;
    this.#parts = parts;
    const machine = groupsMachine(topics, settings, trusted, (groupId, memberId, now) => this.#tenure?.timers.seen(groupId, memberId, now));
    const hooks = { began: () => this.#began(), ended: () => this.#ended() };
    this.#decider = new Decider(clock, parts.replica, parts.view, machine, hooks, parts.confirmed, parts.admit);
    this.#deaf = parts.view.onChange((facts) => this.#replayed(facts));
  }

  get active(): boolean {
    return !this.#closed && this.#decider.active;
  }
  get waiting(): number {
    return this.#decider.waiting;
  }

  advanced(): void {
    if (!this.#closed) this.#decider.advanced();
  }

  closed(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#deaf();
    this.#ended();
  }

  /** The topics of this broker's metadata changed. */
  topicsChanged(): void {
    this.#tenure?.sweep.look();
  }

  /** `done` is called exactly once, when everything that the answer rests on is committed. @returns forgets who asked; what was decided stays */
  submit(command: GroupCommand, done: (answer: Answer<GroupReply>) => void): () => void {
    if (this.#closed) {
      done({ error: notCoordinator() });
      return () => {};
    }
    return this.#decider.submit(command, done);
  }

  /** Waits for the member to be told something that it does not know. @param known epoch of what it was told last @returns forgets who asked */
  watch(groupId: string, memberId: string, known: number, done: (news: MemberNews) => void): () => void {
    if (this.#tenure === undefined) {
      done(notCoordinator());
      return () => {};
    }
    return this.#watches.watch(this.#parts.view.image, groupId, memberId, known, done);
  }

  /** Linearizable; those of one turn share a read index. @param shard where this one decides @returns forgets who asked */
  read(shard: Pick<Shard<ShardLeader>, "read">, done: (image: GroupsImage | undefined) => void): () => void {
    this.#reads ??= new TurnReads(this.#ports.clock, (answered) => shard.read(answered));
    return this.#reads.read(done);
  }

  /** As it is decided on, so it may not be committed; undefined: there is none, or another one coordinates. */
  offsetOf(groupId: string, topicId: TopicId, partition: number): CommittedOffset | undefined {
    return this.active ? this.#decider.image.group(groupId)?.offsets.get(topicId, partition) : undefined;
  }

  /** What the lag of a partition, as it is now, says with what was seen of it before. */
  verdictOf(group: GroupState, topicId: TopicId, partition: number, now: Omit<LagSample, "committed">): Verdict {
    return this.#tenure?.lags.sample(group, topicId, partition, now) ?? "ok";
  }

  #began(): void {
    const { clock, settings, topics, barrier, trusted, ends, failed } = this.#ports;
    const propose = (command: GroupCommand): void => void this.submit(command, () => {});
    const image = (): GroupsImage | undefined => (this.active ? this.#decider.image : undefined);
    const timers = new MemberTimers(clock, settings, propose);
    const refresh = (command: GroupCommand): void =>
      void this.submit(command, (answer) => {
        // There was no room for it: partitions that were added must not wait for the next topic that changes.
        if ("error" in answer) sweep.again(REFRESH_AGAIN_MS);
      });
    const sweep = new TopicSweep({ clock, settings, topics, image, barrier, refresh, failed });
    const expiry = new Expiry({ clock, settings, trusted, image, expire: propose, looked: () => sweep.look() });
    const lags = new LagTracks({ clock, topics, image: () => this.#parts.view.image, ends });
    this.#tenure = { timers, expiry, sweep, lags };
    timers.followAll(this.#parts.view.image);
    sweep.look();
    this.#parts.changed();
  }

  #ended(): void {
    this.#tenure?.timers.close();
    this.#tenure?.expiry.close();
    this.#tenure?.sweep.close();
    this.#tenure?.lags.close();
    this.#tenure = undefined;
    const why: MillraceError = notCoordinator();
    this.#watches.end(why);
    this.#parts.changed();
  }

  /** @param facts undefined: a snapshot took the place of everything */
  #replayed(facts: readonly GroupFacts[] | undefined): void {
    if (this.#tenure === undefined) return;
    const { image } = this.#parts.view;
    const { timers } = this.#tenure;
    if (facts === undefined) {
      timers.followAll(image);
      this.#watches.changedAll(image);
      return;
    }
    for (const batch of facts) {
      timers.changed(image, batch);
      // Commits are most of all facts, and no member is told of them.
      if (batch.facts.some(({ kind }) => kind !== "offsetsCommitted")) this.#watches.changed(image, batch.groupId);
    }
  }
}
