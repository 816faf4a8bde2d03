import type { BrokerConfig } from "../base/broker-config.ts";
import { type BrokerId, type GroupId, type LogIndex, METADATA_GROUP, type ReplicaId } from "../base/ids.ts";
import { InvariantViolated, invariant } from "../base/invariant.ts";
import type { Clock } from "../base/ports/clock.ts";
import type { Random } from "../base/ports/random.ts";
import type { InstallOutcome, InstallPoint } from "../log/model/install.ts";
import type { GroupLog, LogStore, RecoveredGroup } from "../log/types.ts";
import { blockBytesMax } from "../log/wal.ts";
import { GroupConfig } from "../protocol/routing.ts";
import { createRaft } from "../raft/raft.ts";
import type { Message, RaftRecovered } from "../raft/types.ts";
import type { Frame } from "../records/frame-types.ts";
import { admitted } from "./append-admission.ts";
import { CatchUp } from "./catch-up/catch-up.ts";
import { Strain } from "./catch-up/strain.ts";
import { configurationOf, Members } from "./members.ts";
import { PairBeats, type Rest } from "./peers/pair-beats.ts";
import type { PeerLinks } from "./peers/peer-links.ts";
import type { AddressedMessage } from "./peers/raft-codec.ts";
import { Replica } from "./replica.ts";
import type { ReplicaPayload } from "./replica-outputs.ts";
import { Ticker, type Ticking } from "./ticker.ts";

/** What the owner of a replica (metadata group or partition) wants to know. */
export interface ReplicaOwner {
  committed(index: LogIndex): void;
  /** Entries from here on were cut off. */
  truncated(from: LogIndex): void;
  /** Other replicas vote or learn now. */
  configured(): void;
  roleChanged(): void;
  progressed(): void;
  read(context: number, index: LogIndex | undefined): void;
  transferEnded(to: ReplicaId, done: boolean): void;
  /** Follower: what must be here before the log may begin at `point`, and where it then begins; undefined: it may not. Without it, there. */
  prepareReset?(source: BrokerId, point: InstallPoint): Promise<InstallPoint | undefined>;
  /** The replica was closed, to be opened anew with a log that begins elsewhere: another owner is asked for then. */
  closed(): void;
}

export type MakeOwner = (replica: Replica) => ReplicaOwner;

/** Size assumed of a recovered entry that is not in memory: large, so that few are sent at once. */
const RECOVERED_ENTRY_BYTES = 1024 * 1024;

interface Hosted {
  readonly replica: Replica;
  readonly ticking: Ticking;
  readonly makeOwner: MakeOwner;
  /** By the replica it rests with. */
  readonly rests: Map<ReplicaId, Rest>;
  owner: ReplicaOwner | undefined;
}

/** All open replicas of a broker: routes Raft messages to them, ticks them, and carries their messages to other brokers. */
export class ReplicaHost {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #config: BrokerConfig;
  readonly #links: PeerLinks;
  readonly #store: Pick<LogStore, "takes" | "refusedAppend" | "space">;
  readonly #ticker: Ticker;
  readonly beats: PairBeats;
  readonly #strain: Strain;
  readonly #catchUp: CatchUp;
  readonly #placedOn: (group: GroupId, replica: ReplicaId) => BrokerId | undefined;
  readonly #hosted = new Map<GroupId, Hosted>();
  /** Those of `#hosted`; made anew when somebody asks after one came or went. */
  #replicas: readonly Replica[] | undefined;
  /** Closed, to be opened when their log has begun elsewhere. */
  readonly #anew = new Set<GroupId>();
  readonly resetting = new Map<GroupId, Promise<unknown>>();

  /** @param placedOn what the metadata knows of replicas that no stored configuration here names */
  constructor(
    clock: Clock,
    random: Random,
    config: BrokerConfig,
    links: PeerLinks,
    store: Pick<LogStore, "takes" | "refusedAppend" | "space" | "waited" | "durableBlockSequence">,
    placedOn: (group: GroupId, replica: ReplicaId) => BrokerId | undefined,
  ) {
    this.#placedOn = placedOn;
    this.#clock = clock;
    this.#random = random;
    this.#config = config;
    this.#links = links;
    this.#store = store;
    this.#strain = new Strain(clock);
    store.waited = (ms) => this.#strain.committed(ms);
    this.#ticker = new Ticker(
      clock,
      (lateMs) => this.#strain.fired(lateMs),
      (scan) => links.together(scan),
    );
    const { heartbeatMs, electionMinMs } = config.timings;
    this.beats = new PairBeats({
      clock,
      heartbeatMs,
      silentMs: electionMinMs,
      send: (broker, body) => links.sendBeat(broker, body),
      blockSequence: () => store.durableBlockSequence,
      wakeAt: (deadline) => this.#ticker.wakeAt(this.beats, deadline),
    });
    this.#ticker.add(this.beats);
    const { catchUpBytesPerSecond, catchUpsMax } = config.limits;
    this.#catchUp = new CatchUp(clock, links, { bytesPerSecond: catchUpBytesPerSecond, atOnceMax: catchUpsMax }, this.#strain);
  }

  /** What this broker does for its clients takes longer than it lately had to. */
  get suffers(): boolean {
    return this.#strain.suffers;
  }

  /** What replicas that are far behind are sent now; 0: no limit. */
  get catchUpBytesPerSecond(): number {
    return this.#catchUp.bytesPerSecond;
  }

  /** This disk has no room. */
  get full(): boolean {
    return this.#store.space.full;
  }

  get replicas(): Iterable<Replica> {
    this.#replicas ??= Array.from(this.#hosted.values(), ({ replica }) => replica);
    return this.#replicas;
  }

  get(groupId: GroupId): Replica | undefined {
    return this.#hosted.get(groupId)?.replica;
  }

  /** Brokers with another replica of the group. */
  others(groupId: GroupId): readonly BrokerId[] {
    const hosted = this.#hosted.get(groupId);
    const others = hosted?.replica.members.all.filter(({ replicaId }) => replicaId !== hosted.replica.id) ?? [];
    return others.map(({ brokerId }) => brokerId);
  }

  /**
   * Opens a replica over its log. `owner` is asked for with the replica made, before any output is performed.
   * @param config as of the log's start, or of what is synced
   * @param recovered what the log found at start; undefined for a new replica
   */
  open(log: GroupLog, config: GroupConfig, recovered: RecoveredGroup | undefined, makeOwner: MakeOwner, quarantined = false): Replica {
    invariant(!this.#hosted.has(log.groupId), () => `group ${log.groupId} is open already`);
    const { timings } = this.#config;
    const rests = new Map<ReplicaId, Rest>();
    const core = createRaft<ReplicaPayload>(
      {
        group: log.groupId,
        self: log.replicaId,
        configuration: configurationOf(config),
        heartbeatMs: timings.heartbeatMs,
        electionMinMs: timings.electionMinMs,
        electionMaxMs: timings.electionMaxMs,
        inflightMessagesMax: 256,
        inflightBytesMax: 8 * 1024 * 1024,
        appendBytesMax: 1024 * 1024,
        uncommittedBytesMax: this.#config.limits.producePendingMaxBytes * 2,
        entryBytesMax: entryBytesMax(this.#config.log.walFileBytes),
        eagerCommit: log.groupId === METADATA_GROUP,
        draw: () => this.#random.below(2 ** 32) / 2 ** 32,
        contact: (other) => {
          const rest = rests.get(other);
          return rest === undefined ? this.#clock.monotonic() : this.beats.contact(rest);
        },
      },
      { ...raftState(log, recovered), quarantined: quarantined || log.doubted },
      this.#clock.monotonic(),
    );
    const members = new Members(config, (replica) => this.#placedOn(log.groupId, replica));
    for (const later of recovered?.configs ?? []) members.learn(GroupConfig.decode(later.config));
    members.inForce(core.configuration);
    const replica: Replica = new Replica(core, log, members, this.#clock, {
      send: (to, message, frames) => {
        const broker = members.brokerOf(to);
        if (broker === undefined) return;
        const addressed = { groupId: log.groupId, from: log.replicaId, to, message: this.#offered(broker, message) };
        if (message.kind === "append") this.#links.sendAppend(broker, addressed, frames);
        else this.#links.sendRecord(broker, addressed);
      },
      committed: (index) => hosted.owner?.committed(index),
      truncated: (from) => hosted.owner?.truncated(from),
      configured: () => hosted.owner?.configured(),
      roleChanged: () => hosted.owner?.roleChanged(),
      progressed: () => hosted.owner?.progressed(),
      read: (context, index) => hosted.owner?.read(context, index),
      transferEnded: (to, done) => hosted.owner?.transferEnded(to, done),
      extend: (to, from, upTo) => void this.#catchUp.extend(replica, to, members.brokerOf(to), from, upTo),
      reset: (to) => void this.#catchUp.reset(replica, to, members.brokerOf(to)),
      rest: (other, on) => this.#rest(hosted, other, on),
      wakeAt: (deadline) => this.#ticker.wakeAt(ticking, deadline),
    });
    const ticking: Ticking = {
      get nextDeadline() {
        return replica.core.nextDeadline;
      },
      tick: () => replica.tick(),
    };
    const hosted: Hosted = { replica, ticking, makeOwner, rests, owner: undefined };
    this.#hosted.set(log.groupId, hosted);
    this.#replicas = undefined;
    hosted.owner = makeOwner(replica);
    this.#ticker.add(ticking);
    replica.start();
    return replica;
  }

  closeReplica(groupId: GroupId): void {
    this.#anew.delete(groupId);
    const hosted = this.#hosted.get(groupId);
    if (hosted === undefined) return;
    const { replica, rests } = hosted;
    for (const rest of rests.values()) {
      this.beats.end(rest);
      const message = { kind: "wake", term: replica.core.term } as const;
      this.#links.sendRecord(rest.broker, { groupId, from: replica.id, to: rest.with, message });
    }
    replica.close();
    this.#ticker.remove(hosted.ticking);
    this.#hosted.delete(groupId);
    this.#replicas = undefined;
  }

  /** A broker of an earlier version knows no rest: it is offered none. */
  #offered(broker: BrokerId, message: Message<ReplicaPayload>): Message<ReplicaPayload> {
    if (message.kind !== "heartbeat" || message.rest === undefined || this.#links.beats(broker)) return message;
    const { rest: _, ...heartbeat } = message;
    return heartbeat;
  }

  #rest({ replica, rests }: Hosted, other: ReplicaId, on: boolean): void {
    const known = rests.get(other);
    if (!on) {
      rests.delete(other);
      if (known !== undefined) this.beats.end(known);
      return;
    }
    const ended = (): void => replica.restEnded(other);
    const broker = replica.members.brokerOf(other);
    // Not inside the replica's outputs.
    if (broker === undefined || !this.#links.beats(broker)) return this.#clock.soon(ended);
    const rest: Rest = { broker, with: other, leads: replica.leads, ended };
    rests.set(other, rest);
    this.beats.begin(rest);
  }

  /**
   * A follower's log begins elsewhere (design §5, *reset*). The replica is closed for that time: nobody hears from it, and it promises
   * nothing. It is opened as after a start, with the term and the vote that its disk has; when nothing changed, with what is committed.
   * Rejects when the group goes away meanwhile.
   */
  async beginAnew(replica: Replica, point: InstallPoint): Promise<InstallOutcome | "no-room"> {
    const { groupId, core, log } = replica;
    const hosted = this.#hosted.get(groupId);
    invariant(hosted?.replica === replica && core.role !== "leader", () => `group ${groupId} cannot begin anew here`);
    this.closeReplica(groupId);
    this.#anew.add(groupId);
    hosted.owner?.closed();
    const outcome = await log.install(point);
    // Closed meanwhile: its topic was deleted, or this broker stops.
    const commit = outcome === "installed" ? 0 : outcome === "kept" ? point.start.index : core.commit;
    if (this.#anew.delete(groupId)) this.#openAnew(log, hosted.makeOwner, core.quarantined, commit);
    return outcome;
  }

  /** @param commit known to be committed, whatever is synced */
  #openAnew(log: GroupLog, makeOwner: MakeOwner, quarantined: boolean, commit: number): void {
    const { syncedIndex, ...rest } = log.asRecovered;
    const recovered = { ...rest, syncedIndex: Math.max(syncedIndex, commit) as LogIndex };
    this.open(log, GroupConfig.decode(recovered.config), recovered, makeOwner, quarantined);
  }

  /** Asks the owner of a replica whether and where its log may begin anew. */
  async prepareReset(replica: Replica, source: BrokerId, point: InstallPoint): Promise<InstallPoint | undefined> {
    const owner = this.#hosted.get(replica.groupId)?.owner;
    return owner?.prepareReset === undefined ? point : owner.prepareReset(source, point);
  }

  /** Broker of a member of the group, as this replica knows it. */
  brokerOf(groupId: GroupId, replicaId: ReplicaId): BrokerId | undefined {
    return this.#hosted.get(groupId)?.replica.members.brokerOf(replicaId);
  }

  /** A Raft message off a connection. Messages for replicas that are not (or no longer) here are dropped: a dropped id never comes back (D5). */
  receive(from: BrokerId, addressed: AddressedMessage): void {
    const hosted = this.#hosted.get(addressed.groupId);
    if (hosted === undefined || hosted.replica.id !== addressed.to) return this.#declineRest(from, addressed);
    const { replica } = hosted;
    if (replica.members.brokerOf(addressed.from) !== from) return;
    replica.receive(addressed.from, admitted(addressed.message, addressed.groupId, replica.core, this.#store));
  }

  /** It took up an offer of a replica that was closed meanwhile, and would believe in a leader that is not there. */
  #declineRest(broker: BrokerId, { groupId, from, to, message }: AddressedMessage): void {
    if (message.kind !== "heartbeatReply" || message.resting !== true) return;
    this.#links.sendRecord(broker, { groupId, from: to, to: from, message: { kind: "wake", term: message.term } });
  }

  /** Serves `replica.extend` on the follower. Resolves when the frames are durable and counted; false: not agreed to. */
  async takeExtension(groupId: GroupId, to: ReplicaId, frames: readonly Frame[]): Promise<boolean> {
    const replica = this.get(groupId);
    // It goes past the ring, straight to where there is no room.
    if (replica === undefined || replica.id !== to || this.#store.space.full) return false;
    try {
      return await replica.extendLocally(frames);
    } catch (error) {
      // The group is being deleted, or its disk fails (which the log has said): the piece is not taken.
      if (error instanceof InvariantViolated) throw error;
      return false;
    }
  }

  close(): void {
    this.#ticker.close();
    for (const { replica } of this.#hosted.values()) replica.close();
    this.#anew.clear();
    this.#hosted.clear();
    this.#replicas = undefined;
  }
}

function raftState(log: GroupLog, recovered: RecoveredGroup | undefined): RaftRecovered {
  if (recovered === undefined) {
    const { index, term } = log.start;
    return {
      term: 0 as RaftRecovered["term"],
      votedFor: undefined,
      start: { index, term },
      terms: [],
      lastIndex: index,
      commit: index,
      quarantined: log.doubted,
    };
  }
  return {
    term: recovered.term,
    votedFor: recovered.votedFor,
    start: { index: recovered.start.index, term: recovered.start.term },
    terms: recovered.terms,
    lastIndex: recovered.lastIndex,
    commit: recovered.syncedIndex,
    configurations: recovered.configs.map(({ index, config }) => ({ index, configuration: configurationOf(GroupConfig.decode(config)) })),
    quarantined: log.doubted,
    holes: log.holes,
    entryBytes: (index) => log.frame(index)?.bytes.byteLength ?? RECOVERED_ENTRY_BYTES,
  };
}

/** A frame must fit one block of the write-ahead log, beside what else a block holds; larger batches are refused, not half taken. */
function entryBytesMax(walFileBytes: number): number {
  const block = blockBytesMax(walFileBytes);
  return block - Math.min(64 * 1024, Math.floor(block / 8));
}
