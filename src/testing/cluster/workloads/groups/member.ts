import type { RpcChannel } from "../../../../base/ports/rpc-client.ts";
import { GroupService } from "../../../../protocol/methods.ts";
import {
  HeartbeatRequest,
  HeartbeatResponse,
  type MemberHeartbeat,
  type MemberState,
  SessionRequest,
  SessionResponse,
} from "../../../../protocol/public.ts";
import { wait } from "../../clients.ts";
import { channelsTo } from "../stub.ts";
import type { WorkloadContext } from "../workload.ts";
import { callOnce, type Failed, failureOf } from "./calls.ts";
import { type GroupOf, type Member, type MemberEnding, topicsOf } from "./groups.ts";
import { type SentBeat, SessionBook } from "./session-book.ts";
import { Tenure, type Worker } from "./tenure.ts";

const TIMEOUTS_MS = [500, 1_500, 3_000] as const;
/** Refusals by which a member hears that it is none any more. */
const GONE: ReadonlySet<string> = new Set(["UNKNOWN_MEMBER", "MEMBER_FENCED", "INSTANCE_FENCED"]);

/** One process with one member id. What it takes for its own it processes and commits; it may hang, lose its membership, and join again. */
export class GroupMember implements Worker, Member {
  readonly group: GroupOf;
  readonly member: string;
  readonly proc: string;
  readonly instance: string;
  readonly channels: readonly RpcChannel[];
  readonly handlerMs: number;
  readonly #context: WorkloadContext;
  /** Held under this instance id by an earlier process. */
  readonly #returns: boolean;
  /** Subscribes by a pattern that matches the topics of its group, and no other of the run. */
  readonly #byPattern: boolean;
  #tenure: Tenure | undefined;
  #intervalMs = 500;
  #sessionMs = 3_000;
  #asleepUntil = 0;
  #hurried: () => void = () => {};
  #closing = false;

  constructor(context: WorkloadContext, group: GroupOf, who: { readonly name: string; readonly life: number; readonly instance: string }) {
    const { random, ports, brokers, world } = context;
    this.#context = context;
    this.group = group;
    this.proc = `${who.name}.${who.life}`;
    this.member = `${world.seed}-${group.id}-${this.proc}`;
    this.instance = who.instance;
    this.#returns = who.instance !== "" && who.life > 1;
    // Not drawn: what else happens in a run does not depend on it.
    this.#byPattern = (world.seed + this.proc.length + this.proc.charCodeAt(this.proc.indexOf(".") - 1) + who.life) % 3 === 0;
    this.channels = channelsTo(ports, brokers);
    this.handlerMs = random.pick([10, 100, 400]);
  }

  get tenure(): Tenure | undefined {
    return this.#tenure?.over === true ? undefined : this.#tenure;
  }

  async awake(): Promise<void> {
    const { world, ports } = this.#context;
    while (world.now < this.#asleepUntil && !this.#closing) await wait(ports, Math.max(1, this.#asleepUntil - world.now));
  }

  hurry(): void {
    this.#hurried();
  }

  /** Is a member until `lifeMs` are over; while no workload works any more, until the run ends. */
  async run(lifeMs: number, ending: MemberEnding): Promise<void> {
    const { world, activity, groups, random } = this.#context;
    const end = world.now + lifeMs;
    let ended = false;
    const over = () => {
      ended ||= groups.over || (world.now >= end && !activity.stopped);
      return ended;
    };
    const commits = this.#commits(over);
    while (!over()) {
      await this.awake();
      if (random.chance(1, 2)) await this.#session(over);
      else await this.#calls(over, random.between(3, 15));
    }
    this.#closing = true;
    if (ending === "dies" && !groups.over) this.#tenure?.die();
    else {
      await this.#tenure?.close();
      await this.#beat(ending === "leaves for a while" && this.instance !== "" ? -2 : -1);
    }
    await commits;
  }

  async #commits(over: () => boolean): Promise<void> {
    const { activity, situations, world, random, ports } = this.#context;
    const everyMs = random.pick([100, 400, 1_500]);
    while (!over()) {
      await wait(ports, everyMs / 2 + random.below(everyMs));
      await this.awake();
      if (over()) return;
      if (random.chance(1, 20)) await this.tenure?.trespass();
      await this.tenure?.late();
      const commit = this.tenure?.commit();
      // Half of them are not waited for: the next one may be under way at the same time.
      if (random.chance(1, 2)) await commit;
      if (activity.stopped || !random.chance(1, 40)) continue;
      situations.saw("member hung");
      this.#asleepUntil = world.now + random.below(2 * this.#sessionMs);
    }
  }

  async #calls(over: () => boolean, beats: number): Promise<void> {
    for (let left = beats; left > 0 && !over(); left--) {
      await this.awake();
      await this.#beat(this.tenure?.epoch ?? 0);
      await this.#pause();
    }
  }

  /** Until the next heartbeat is due, or there is something to say. */
  async #pause(): Promise<void> {
    const { ports, random } = this.#context;
    const due = wait(ports, this.#intervalMs / 2 + random.below(Math.ceil(this.#intervalMs / 2)));
    const hurried = new Promise<void>((resolve) => {
      this.#hurried = resolve;
    });
    await Promise.race([due, hurried]);
  }

  /** @param epoch 0: joins; below: leaves */
  async #beat(epoch: number): Promise<void> {
    const { world, random, groups } = this.#context;
    const sent = this.#sent(epoch);
    const ended = groups.begin();
    const request = HeartbeatRequest.encode({ heartbeat: this.#message(sent) });
    const said = await callOnce(
      random.pick(this.channels),
      GroupService.Heartbeat.path,
      request,
      HeartbeatResponse,
      random.pick(TIMEOUTS_MS),
    );
    ended();
    if (!("answer" in said)) return this.#refused(sent, said);
    const { state } = said.answer;
    if (state === undefined) return world.scheduler.fail(new Error("C3: a heartbeat was answered without a state"));
    this.#heard(sent, state, true);
  }

  #sent(epoch: number): SentBeat {
    const owned = epoch > 0 ? (this.tenure?.places.map(({ name }) => name) ?? []) : [];
    return { tInv: this.#context.world.now, epoch, owned };
  }

  #message({ epoch }: SentBeat): Partial<MemberHeartbeat> {
    const { group, member, instance } = this;
    const names = topicsOf(group);
    const wish = this.#byPattern ? { topicPattern: `(${names.join("|")})|__.*` } : { topics: names };
    const who = { groupId: group.id, memberId: member, memberEpoch: epoch, instanceId: instance };
    if (epoch === 0) return { ...who, ...wish, topicsChanged: true, rebalanceTimeoutMs: 3_000 };
    const owned = this.tenure?.places.map(({ topic, topicId, partition }) => ({ topic, topicId, partitions: [partition] })) ?? [];
    return epoch < 0 ? who : { ...who, owned };
  }

  #refused(sent: SentBeat, { type, error }: Failed): void {
    const { situations } = this.#context;
    this.#note(sent, type, { error });
    if (!GONE.has(error) || sent.epoch <= 0 || sent.epoch < (this.tenure?.epoch ?? 0)) return;
    situations.saw("member removed");
    void this.#tenure?.lost();
  }

  /** @param whole the row is of the heartbeat: else only the answer is sure */
  #heard(sent: SentBeat, state: MemberState, whole: boolean): void {
    const { world, groups, situations } = this.#context;
    const strange = state.assignment.find(({ topic }) => topic !== "" && !topicsOf(this.group).includes(topic));
    if (strange !== undefined)
      return world.scheduler.fail(new Error(`C8: member ${this.member} was given ${strange.topic}, which it does not read`));
    if (this.#byPattern && state.assignment.length > 0) situations.saw("topics given by pattern");
    if (sent.epoch < 0) return this.#note(sent, "ok", {});
    const assignment = state.assignment.flatMap(({ topic, topicId, partitions }) =>
      partitions.map((partition) => groups.nameOf({ topic, topicId, partition })),
    );
    const told = { epoch: state.memberEpoch, ...(state.assignmentChanged ? { assignment } : {}) };
    this.#note(whole ? sent : { ...sent, owned: [] }, "ok", { told }, whole);
    if (state.heartbeatIntervalMs > 0) this.#intervalMs = state.heartbeatIntervalMs;
    if (state.sessionTimeoutMs > 0) this.#sessionMs = state.sessionTimeoutMs;
    if (groups.coordinates(this.group.id, state.coordinatorId, world.now)) {
      situations.saw("coordinator moved");
      if (this.tenure?.steady === false || state.assignmentChanged) situations.saw("rebalance while the coordinator moves");
    }
    if (sent.epoch === 0 && whole) {
      void this.#tenure?.lost();
      this.#tenure = new Tenure(this.#context, this, state.memberEpoch);
      if (this.#returns) situations.saw("static member returned");
    }
    this.tenure?.hear(state);
  }

  #note({ tInv, epoch, owned }: SentBeat, type: "ok" | "fail" | "info", more: object, whole = true): void {
    const { history } = this.#context;
    const holds = epoch > 0 && whole ? { owned } : {};
    history.group({ f: "beat", proc: this.proc, group: this.group.id, member: this.member, epoch, ...holds, ...more }, tInv, type);
  }

  /** Heartbeats over a stream, until it ends, or for a while. */
  async #session(over: () => boolean): Promise<void> {
    const { random, groups, ports } = this.#context;
    const stream = random.pick(this.channels).openStream(GroupService.Session.path, "bidi");
    const ended = groups.begin();
    const book = new SessionBook();
    let closed = false;
    stream.handlers = {
      message: (bytes) => {
        const { state } = SessionResponse.decode(bytes);
        const answered = state && book.answered(state, this.tenure?.epoch ?? 0);
        if (state !== undefined && answered !== undefined) this.#heard(answered.beat, state, answered.whole);
      },
      drain: () => {},
      closed: (error) => {
        closed = true;
        const failed = error === undefined ? undefined : failureOf(error);
        for (const [k, one] of book.unanswered.entries())
          if (k === 0 && failed !== undefined) this.#refused(one, failed);
          else this.#note(one, "info", {});
        ended();
        this.hurry();
      },
    };
    const send = () => {
      const beat = this.#sent(this.tenure?.epoch ?? 0);
      // Whoever waits for the answer to its joining has nothing else to say.
      if (beat.epoch === 0 && !book.empty) return;
      book.send(beat);
      stream.write(SessionRequest.encode({ heartbeat: this.#message(beat) }));
    };
    for (let left = random.between(3, 30); left > 0 && !closed && !over(); left--) {
      await this.awake();
      if (closed) break;
      send();
      await this.#pause();
    }
    if (closed) return;
    stream.cancel();
    for (let looks = 0; looks < 50 && !closed; looks++) await wait(ports, 10);
  }
}
