import type { BrokerConfig } from "../base/broker-config.ts";
import { MillraceError } from "../base/errors.ts";
import { type LogIndex, METADATA_GROUP, type Offset, type Term } from "../base/ids.ts";
import type { BrokerNumbers } from "../base/metrics.ts";
import type { RpcServer } from "../base/ports/rpc-server.ts";
import { type FeatureLevels, supportedLevels } from "../cluster/feature-levels.ts";
import { Form } from "../cluster/formation-rules.ts";
import type { RecoveryPlan } from "../cluster/recovery-plan.ts";
import { drawMeta, type Meta, readMeta } from "../log/meta.ts";
import { type SetAside, setAsideIf } from "../log/set-aside.ts";
import { openLogStore } from "../log/store.ts";
import type { LogStore } from "../log/types.ts";
import { GroupConfig } from "../protocol/routing.ts";
import type { Coordinator } from "./groups/coordinator/coordinator.ts";
import type { GroupsShards } from "./groups/shards.ts";
import { Member } from "./member.ts";
import { MemberRole } from "./members.ts";
import { FormationLoop } from "./membership/formation-loop.ts";
import { fencedSince } from "./membership/join-registration.ts";
import { brokerNumbers } from "./numbers.ts";
import { PeerService } from "./peer-service.ts";
import type { PeerIdentity } from "./peers/hello.ts";
import { PeerLinks } from "./peers/peer-links.ts";
import type { BrokerPorts } from "./ports.ts";
import type { Recovery, RecoveryConfirmed, RecoveryOutcome } from "./recovery/recovery.ts";
import type { ScrubStatus } from "./repair/scrubber.ts";
import type { Replica } from "./replica.ts";
import { registerAdminService } from "./services/admin-service.ts";
import { registerGroupService } from "./services/group-service.ts";
import { registerLogService } from "./services/log-service.ts";
import { MeteredLog } from "./services/metered-log.ts";
import { PeerRoom } from "./services/peer-room.ts";
import { ReplyRoom } from "./services/reply-room.ts";

export type { BrokerPorts } from "./ports.ts";

export interface BrokerOptions {
  /** Reported in cluster metadata. */
  readonly version: string;
  /** Something after which this broker must not go on (a failed write or sync, a bug): the process ends, exit ≠ 0. Called at most once. */
  readonly fatal: (error: Error) => void;
  /** Feature levels it understands: those of this version, or, in a test of versions that meet, of an earlier one. */
  readonly featureLevels?: FeatureLevels;
  /**
   * The data directory may be a restored copy: while it has the incarnation `of`, what it holds is set aside, and the broker joins as a new
   * disk, whose replicas are then made anew (design §4).
   */
  readonly newIncarnation?: { readonly of: string; readonly done: (outcome: SetAside) => void };
}

/** Produce streams have so long for the answers to what they took, when the broker stops. */
const STREAMS_GRACE_MS = 2_000;

/** `waiting`: it joins, and another disk is registered under its id, whose session has to end first. */
export type BrokerState = "starting" | "joining" | "waiting" | "running" | "leaving" | "stopping" | "stopped";

export interface Broker {
  readonly state: BrokerState;
  /** Bound addresses, once `start` has resolved. */
  readonly clientAddress: string;
  readonly peerAddress: string;
  /**
   * Takes the data directory, recovers, listens; resolves when the broker serves (it belongs to a cluster and is registered).
   * @throws when it cannot: the directory is locked or damaged, a port in use, an operator's mistake
   */
  start(): Promise<void>;
  /** Hands leadership over, answers what is open, stops. */
  stop(): Promise<void>;
  /** Reads and checks everything that is stored, now. Resolves when it has ended; at once while the broker has not joined its cluster. */
  scrub(): Promise<void>;
  /** Undefined while the broker has not joined its cluster. */
  readonly scrubStatus: ScrubStatus | undefined;
  /** What could be done about groups that have lost their majority (ADR 0014). @throws {MillraceError} NOT_READY · RECOVERY_REFUSED */
  planRecovery(): Promise<RecoveryPlan>;
  /** Does it, if it still is what the operator has confirmed. @throws {MillraceError} NOT_READY · RECOVERY_REFUSED: nothing was changed */
  applyRecovery(confirmed: RecoveryConfirmed): Promise<RecoveryOutcome>;
  /** For tests and simulation: every open replica. */
  readonly replicas: Iterable<Replica>;
  /** For tests and simulation: the shards of `__groups`; undefined while it belongs to no cluster. */
  readonly groups: GroupsShards<Coordinator> | undefined;
  /** For `/metrics`; undefined while it belongs to no cluster. */
  readonly numbers: BrokerNumbers | undefined;
}

/** Builds a broker. The one way to do it, for `main.ts`, tests and simulation. */
export function createBroker(ports: BrokerPorts, config: BrokerConfig, options: BrokerOptions): Broker {
  return new BrokerProcess(ports, config, options);
}

/** Nothing is trimmed before it is known which snapshot is whole. */
const keepAll = (): LogIndex => 0 as LogIndex;

class BrokerProcess implements Broker {
  readonly #ports: BrokerPorts;
  readonly #config: BrokerConfig;
  readonly #options: BrokerOptions;
  readonly #links: PeerLinks;
  readonly #startNumber: number;
  readonly #levels: FeatureLevels;
  #state: BrokerState = "starting";
  #clientAddress = "";
  #peerAddress = "";
  #lock: { release(): Promise<void> } | undefined;
  #store: LogStore | undefined;
  #formation: FormationLoop | undefined;
  #member: Member | undefined;
  #log: MeteredLog | undefined;
  #failed = false;
  #fenced = false;
  #askingEpoch = false;
  #endSessions: (error: MillraceError) => void = () => {};
  #endStreams: (error: MillraceError, graceMs: number) => Promise<void> = () => Promise.resolve();

  constructor(ports: BrokerPorts, config: BrokerConfig, options: BrokerOptions) {
    this.#ports = ports;
    this.#config = config;
    this.#options = options;
    this.#levels = options.featureLevels ?? supportedLevels;
    this.#startNumber = ports.random.below(2 ** 32);
    const service = new PeerService(
      ports.clock,
      () => this.#formation,
      () => this.#member,
      (error) => this.#fatal(error),
      new PeerRoom(config.limits.replyPendingMaxBytes, config.limits.fetchDefaultBytes),
    );
    this.#links = new PeerLinks(ports, () => this.#identity(), config.timings.reconnectGraceMs, config.limits.forwardPendingMaxBytes, {
      raft: (from, message) => this.#member?.host.receive(from, message),
      call: (call, kind) => service.serve(call, kind),
      beat: (from, body) => this.#member?.host.beats.heard(from, body),
      unheard: (broker, why) => this.#member?.host.beats[why](broker),
      peerBack: (broker) => this.#member?.peerBack(broker),
      callable: () => this.#member?.router.changedAll(),
      peerGone: (broker) => this.#member?.peerGone(broker),
      remembers: (broker, blockSequence) => this.#member?.amnesia.remembers(broker, blockSequence),
      outdated: () => void this.#outdated().catch((error: unknown) => this.#fatal(error)),
      recoveries: (count) => this.#member?.recoveries.heard(count),
      liveDisk: (broker) => this.#member?.image.liveDisk(broker),
      taken: (by) => this.#member?.registration.taken(by),
      unsupported: (error) => this.#member?.registration.unsupported(error),
    });
  }

  get state(): BrokerState {
    return this.#state === "joining" && this.#member?.registration.waits === true ? "waiting" : this.#state;
  }
  get clientAddress(): string {
    return this.#clientAddress;
  }
  get peerAddress(): string {
    return this.#peerAddress;
  }
  get replicas(): Iterable<Replica> {
    return this.#member?.host.replicas ?? [];
  }
  get groups(): GroupsShards<Coordinator> | undefined {
    return this.#member?.shards;
  }
  get numbers(): BrokerNumbers | undefined {
    if (this.#member === undefined || this.#store === undefined || this.#state === "stopped") return undefined;
    return brokerNumbers(this.#member, this.#links, this.#store, this.#config, this.#ports.clock);
  }

  scrub(): Promise<void> {
    return this.#member?.scrubber.now() ?? Promise.resolve();
  }
  get scrubStatus(): ScrubStatus | undefined {
    return this.#member?.scrubber.status;
  }

  async planRecovery(): Promise<RecoveryPlan> {
    return this.#recovery.plan();
  }
  async applyRecovery(confirmed: RecoveryConfirmed): Promise<RecoveryOutcome> {
    return this.#recovery.apply(confirmed);
  }
  /** Also without a controller, which may be what is to be recovered. */
  get #recovery(): Recovery {
    if (this.#member === undefined || this.#stopping || this.#fenced)
      throw new MillraceError("NOT_READY", "This broker has not read its log yet, or stops; nothing was changed", {}, 100);
    return this.#member.recoveries.recovery;
  }

  async start(): Promise<void> {
    const { disk, random, clock, telemetry, rpcServer } = this.#ports;
    this.#lock = await disk.lock();
    const { newIncarnation } = this.#options;
    if (newIncarnation !== undefined) newIncarnation.done(await setAsideIf(disk, newIncarnation.of));
    let meta = (await readMeta(disk)) ?? (await drawMeta(disk, random, this.#config.brokerId));
    if (meta.brokerId !== this.#config.brokerId) {
      throw new MillraceError(
        "INVALID_CONFIG",
        `${disk.root} belongs to broker ${meta.brokerId}; this one was started with --id ${this.#config.brokerId}`,
        { key: "broker.id" },
      );
    }
    this.#formation = new FormationLoop({ clock, random, disk, telemetry, links: this.#links }, this.#config, meta);
    const store = await openLogStore(this.#ports, {
      ...this.#config.log,
      failed: (error) => this.#fatal(error),
      unwanted: () => this.#stopping,
    });
    this.#store = store;
    this.#peerAddress = await this.#links.listen(this.#config.peerListen);
    this.#registerServices(rpcServer);
    this.#clientAddress = await rpcServer.listen(this.#config.listen);
    this.#state = "joining";
    meta = await this.#formation.run();
    if (this.#stopping) return;
    await Promise.race([this.#join(store, meta), this.#formation.untilForeign()]);
    if (this.#stopping) return;
    this.#formation.stop();
    this.#state = "running";
    rpcServer.setServing("", true);
    telemetry.log("info", "broker.running", { clientAddress: this.#clientAddress, peerAddress: this.#peerAddress });
  }

  async stop(): Promise<void> {
    if (this.#stopping) return;
    const { rpcServer, telemetry } = this.#ports;
    telemetry.log("info", "broker.stopping", {});
    // Until others lead, calls are taken and handed on: a client that was refused would wait for no reason.
    this.#state = this.#state === "running" ? "leaving" : "stopping";
    rpcServer.setServing("", false);
    this.#formation?.stop();
    const grace = this.#config.timings.shutdownGraceMs;
    await this.#member?.leave(grace);
    this.#state = "stopping";
    // Members go on with their sessions at another broker.
    this.#endSessions(new MillraceError("SHUTTING_DOWN", "The broker stops; use another one"));
    await this.#endStreams(new MillraceError("SHUTTING_DOWN", "The broker stops; use another one"), STREAMS_GRACE_MS);
    await rpcServer.close(Math.min(grace, 1_000));
    await this.#member?.close();
    await this.#links.close();
    await this.#store?.close();
    await this.#lock?.release();
    this.#state = "stopped";
  }

  get #stopping(): boolean {
    return this.#state === "leaving" || this.#state === "stopping" || this.#state === "stopped";
  }

  /** Opens what this disk holds, and registers. */
  async #join(store: LogStore, meta: Meta): Promise<void> {
    const form = meta.form === undefined ? undefined : Form.decode(meta.form);
    const { version } = this.#options;
    const member = new Member(this.#ports, this.#config, { version, levels: this.#levels }, meta, form, store, this.#links, (error) =>
      this.#fatal(error),
    );
    this.#member = member;
    member.recoveries.mark.onChange = (changed) => this.#formation?.changed(changed);
    for (const seed of this.#config.seeds) this.#links.know(seed.id, seed.address);
    // Before any metadata is there: what it names must not be made a second time.
    const fenced = meta.recovery === "fenced";
    const opened: (Promise<void> | undefined)[] = [];
    for (const recovered of store.recovered) {
      if (recovered.groupId === METADATA_GROUP) continue;
      if (fenced) member.partitions.hold(recovered);
      else opened.push(member.partitions.openRecovered(recovered));
    }
    if (opened.some((one) => one !== undefined)) {
      await Promise.all(opened);
      if (this.#stopping) return;
    }
    if (fenced) await this.#leaveMetadata(store, member);
    else await this.#openMetadata(store, member, form, meta);
    await member.register();
  }

  /** A disk of an earlier recovery epoch: what it holds of the metadata is void, and what is true now is read from others (ADR 0014). */
  async #leaveMetadata(store: LogStore, member: Member): Promise<void> {
    if (store.recovered.some(({ groupId }) => groupId === METADATA_GROUP)) await store.drop(METADATA_GROUP, "fenced");
    member.metadata.follow();
  }

  async #openMetadata(store: LogStore, member: Member, form: Form | undefined, meta: Meta): Promise<void> {
    const recovered = store.recovered.find(({ groupId }) => groupId === METADATA_GROUP);
    if (recovered !== undefined)
      return member.metadata.open(store.open(METADATA_GROUP, keepAll), GroupConfig.decode(recovered.config), recovered);
    // A Form of before a recovery names replicas that were given up.
    const own =
      meta.recoveryEpoch > 0
        ? undefined
        : form?.seeds.find(({ brokerId, incarnation }) => brokerId === meta.brokerId && incarnation === meta.incarnation);
    if (form === undefined || own === undefined) return member.metadata.follow();
    const members = form.seeds.map(({ replicaId, brokerId }) => ({ replicaId, brokerId, role: MemberRole.voter }));
    const config: GroupConfig = { members, topicId: "", topic: "", partition: 0, recovery: 0, fenced: [] };
    const start = { index: 0 as LogIndex, term: 0 as Term, offset: 0 as Offset };
    const log = await store.create(METADATA_GROUP, own.replicaId, start, GroupConfig.encode(config));
    await member.metadata.open(log, config, undefined);
  }

  #registerServices(server: RpcServer): void {
    const { clock, random, inflate, telemetry } = this.#ports;
    const running = (): Member => {
      if (this.#member === undefined || (this.#state !== "running" && this.#state !== "leaving")) {
        throw this.#stopping
          ? new MillraceError("SHUTTING_DOWN", "The broker stops; use another one")
          : new MillraceError("NOT_READY", "The broker has not joined its cluster yet; nothing was written", {}, 100);
      }
      return this.#member;
    };
    const log = (): MeteredLog => {
      const member = running();
      this.#log ??= new MeteredLog(member.log, clock, telemetry);
      return this.#log;
    };
    const room = new ReplyRoom(server, this.#config.limits.replyPendingMaxBytes, clock);
    this.#endStreams = registerLogService(server, log, this.#config, clock, inflate, room);
    this.#endSessions = registerGroupService(server, running, clock, room);
    registerAdminService(server, running, this.#config, clock, random, room);
  }

  #identity(): PeerIdentity {
    const meta = this.#formation?.meta;
    return {
      brokerId: this.#config.brokerId,
      // Nothing but formation is spoken before the replicas are open.
      clusterId: this.#member === undefined ? undefined : meta?.clusterId,
      recoveryEpoch: this.#member?.recoveries.epoch ?? meta?.recoveryEpoch ?? 0,
      incarnation: meta?.incarnation ?? ("" as Meta["incarnation"]),
      startNumber: this.#startNumber,
      durableBlockSequence: this.#store?.durableBlockSequence ?? 0,
      admittedBlockSequence: this.#store?.admittedBlockSequence ?? 0,
      recoveries: this.#member?.recoveries.known ?? meta?.recoveries ?? 0,
      levels: this.#levels,
      clusterLevel: this.#member?.image.featureLevel ?? 0,
    };
  }

  /** Somebody says that this disk is of an earlier recovery epoch: a seed has to say so too. */
  async #outdated(): Promise<void> {
    if (this.#member === undefined || this.#askingEpoch || this.#fenced || this.#stopping) return;
    this.#askingEpoch = true;
    const epoch = await this.#formation?.laterEpoch().finally(() => {
      this.#askingEpoch = false;
    });
    if (epoch === undefined || this.#stopping) return;
    this.#fenced = true;
    this.#ports.telemetry.log("warn", "broker.fenced", { recoveryEpoch: epoch });
    await this.#member.recoveries.fence(epoch);
    throw fencedSince(epoch);
  }

  #fatal(error: unknown): void {
    if (this.#failed || this.#state === "stopped") return;
    this.#failed = true;
    this.#options.fatal(error instanceof Error ? error : new Error(String(error)));
  }
}
