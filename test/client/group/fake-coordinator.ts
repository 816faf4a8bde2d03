import { MillraceError } from "../../../src/base/errors.ts";
import type { TopicId } from "../../../src/base/ids.ts";
import { RpcFailure } from "../../../src/base/ports/rpc-client.ts";
import { commitAnswer, fetchAnswer } from "../../../src/consumer-groups/answers.ts";
import type { GroupCommand } from "../../../src/consumer-groups/commands.ts";
import type { GroupReply, MemberState } from "../../../src/consumer-groups/decision.ts";
import { memberState } from "../../../src/consumer-groups/member-state.ts";
import { fetchOffsets } from "../../../src/consumer-groups/reads.ts";
import { commitCommand, memberCommand, memberMessage } from "../../../src/consumer-groups/wire.ts";
import { GroupService } from "../../../src/protocol/methods.ts";
import {
  CommitOffsetsRequest,
  CommitOffsetsResponse,
  FetchOffsetsRequest,
  FetchOffsetsResponse,
  HeartbeatRequest,
  HeartbeatResponse,
  type MemberHeartbeat,
  SessionRequest,
  SessionResponse,
} from "../../../src/protocol/public.ts";
import { Coordinator, topicUuid } from "../../consumer-groups/groups-fixture.ts";
import { FakeCluster, fakeAddresses, type ServerSide, type Wire } from "../fake/cluster.ts";
import type { World } from "../fake/world.ts";

/** One open session: what its member was told last. */
interface Attached {
  readonly wire: Wire;
  readonly groupId: string;
  readonly memberId: string;
  epoch: number;
}

/** A cluster whose `GroupService` is the real machine of the coordinator, on virtual time. */
export class FakeGroups extends FakeCluster {
  readonly coordinator = new Coordinator();
  readonly #world: World;
  readonly #attached = new Set<Attached>();
  override idleMs = 50;
  /** What the last heartbeat said is held. */
  lastOwned: MemberHeartbeat["owned"] = [];
  readonly #silenced = new Set<string>();
  /** Sessions are cut as soon as they begin, as by a proxy that knows no streams. */
  takesSessions = true;
  /** Of the next commits: taken, but the answer is lost. */
  loseCommits = 0;
  /** What FetchOffsets takes for the topic of this name, as a broker that has heard of no other. */
  readonly formerly = new Map<string, string>();
  /** Committed records that leaders do not know to be committed yet. */
  unheard = 0;
  /** Heartbeats that were taken, by member. */
  readonly beats = new Map<string, number>();
  /** Commits refused for a reason that concerns the member as a whole. */
  readonly refusedCommits: MillraceError[] = [];
  unary = 0;
  sessions = 0;
  /** Sessions that were refused a way. */
  broken = 0;

  constructor(world: World, brokers = 3) {
    super(world, fakeAddresses(brokers));
    this.#world = world;
  }

  override topicId(name: string): string {
    return this.coordinator.topics.byName(name)?.id ?? topicUuid(999);
  }

  make(name: string, partitions: number): void {
    this.coordinator.topics.make(name, partitions);
    this.addTopic(name, partitions);
  }

  committed(groupId: string, topic: string): (number | undefined)[] {
    const { id, partitions } = this.coordinator.topics.byName(topic) ?? { id: "" as TopicId, partitions: 0 };
    return Array.from({ length: partitions }, (_, partition) => this.coordinator.committed(groupId, id, partition));
  }

  members(groupId: string): readonly string[] {
    return [...(this.coordinator.image.group(groupId)?.members.keys() ?? [])];
  }

  /** Nothing of this member arrives any more. */
  cut(memberId: string): void {
    this.#silenced.add(memberId);
  }

  /** It arrives again. */
  mend(memberId: string): void {
    this.#silenced.delete(memberId);
  }

  /** Time goes on for the coordinator as for everybody; whoever is told something hears it. */
  #decide(command: GroupCommand): GroupReply {
    this.pass();
    const decision = this.coordinator.step(command);
    this.#push();
    if ("error" in decision) throw decision.error;
    return decision.reply;
  }

  /** Sessions and rebalances run out. */
  pass(): void {
    this.coordinator.pass(Math.max(0, Math.floor(this.#world.now - this.coordinator.monotonic)));
    this.#push();
  }

  #push(): void {
    for (const attached of this.#attached) {
      const group = this.coordinator.image.group(attached.groupId);
      const member = group?.members.get(attached.memberId);
      if (group === undefined || member === undefined || attached.epoch === 0 || member.epoch <= attached.epoch) continue;
      attached.epoch = member.epoch;
      attached.wire.reply(SessionResponse.encode({ state: this.#message(memberState(group, member, 0)) }));
    }
  }

  #message(state: MemberState) {
    const nameOf = (id: TopicId): string | undefined => this.coordinator.topics.byId(id)?.name;
    return memberMessage(state, nameOf, this.coordinator.settings, 1);
  }

  #beat(beat: MemberHeartbeat): MemberState | undefined {
    if (this.#silenced.has(beat.memberId)) throw new MillraceError("NOT_READY", "nothing of it arrives");
    this.lastOwned = beat.owned;
    const command = memberCommand(beat, "127.0.0.1:1");
    if (command instanceof MillraceError) throw command;
    const reply = this.#decide(command);
    this.beats.set(beat.memberId, (this.beats.get(beat.memberId) ?? 0) + 1);
    return reply.kind === "member" ? reply.state : undefined;
  }

  override answer(path: string, request: Uint8Array): Uint8Array {
    switch (path) {
      case GroupService.Heartbeat.path: {
        this.unary++;
        const { heartbeat } = HeartbeatRequest.decode(request);
        if (heartbeat === undefined) throw new MillraceError("INVALID_REQUEST", "no heartbeat");
        const state = this.#beat(heartbeat);
        return HeartbeatResponse.encode(state === undefined ? {} : { state: this.#message(state) });
      }
      case GroupService.CommitOffsets.path:
        return this.#commit(request);
      case GroupService.FetchOffsets.path: {
        const { groupId, topics } = FetchOffsetsRequest.decode(request);
        const named = topics.flatMap(({ topic, partitions }) => {
          const id = this.coordinator.topics.byName(topic)?.id;
          return id === undefined ? [] : [{ topicId: id, partitions }];
        });
        if (topics.some(({ topic }) => this.formerly.has(topic)))
          return FetchOffsetsResponse.encode({
            offsets: topics.flatMap(({ topic, partitions }) =>
              partitions.map((partition) => ({ topic, topicId: this.formerly.get(topic), partition })),
            ),
          });
        return FetchOffsetsResponse.encode(fetchAnswer(fetchOffsets(this.coordinator.image, groupId, named), this.coordinator.topics));
      }
      default:
        return super.answer(path, request);
    }
  }

  #commit(request: Uint8Array): Uint8Array {
    const asked = CommitOffsetsRequest.decode(request);
    const command = commitCommand(asked, (at) => {
      const { topic = "", partition = 0 } = asked.offsets[at] ?? {};
      const log = this.logs(topic)[partition];
      const endOf = this.coordinator.topics.byName(topic)?.id;
      return log === undefined || endOf === undefined ? undefined : { highWatermark: log.end - this.unheard, endOf };
    });
    if (command instanceof MillraceError) throw command;
    if (this.#silenced.has(command.member?.id ?? "")) throw new MillraceError("NOT_READY", "nothing of it arrives");
    let reply: GroupReply;
    try {
      reply = this.#decide(command);
    } catch (error) {
      if (error instanceof MillraceError) this.refusedCommits.push(error);
      throw error;
    }
    if (this.loseCommits > 0) {
      this.loseCommits--;
      throw new RpcFailure("UNAVAILABLE", "connection reset", false);
    }
    return CommitOffsetsResponse.encode(commitAnswer(command.offsets, reply.kind === "offsets" ? reply.refused : []));
  }

  override serve(path: string, wire: Wire): ServerSide {
    if (path !== GroupService.Session.path) return super.serve(path, wire);
    let attached: Attached | undefined;
    const detach = (): void => {
      if (attached !== undefined) this.#attached.delete(attached);
    };
    return {
      received: (message) => {
        if (this.hung.has(wire.address)) return;
        if (!this.takesSessions) {
          this.broken++;
          return wire.break();
        }
        const beat = SessionRequest.decode(message).heartbeat;
        if (beat === undefined) return wire.endFromServer(new MillraceError("INVALID_REQUEST", "no heartbeat"));
        try {
          const state = this.#beat(beat);
          if (state === undefined) return wire.endFromServer();
          if (attached === undefined) this.sessions++;
          attached ??= { wire, groupId: beat.groupId, memberId: beat.memberId, epoch: 0 };
          this.#attached.add(attached);
          attached.epoch = Math.max(attached.epoch, state.memberEpoch);
          wire.reply(SessionResponse.encode({ state: this.#message(state) }));
        } catch (error) {
          if (!(error instanceof MillraceError)) throw error;
          detach();
          wire.endFromServer(error);
        }
      },
      halfClosed: () => undefined,
      gone: detach,
      paused: () => undefined,
    };
  }
}
