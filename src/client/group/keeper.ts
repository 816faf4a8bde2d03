import type { MillraceError } from "../../base/errors.ts";
import type { Timer } from "../../base/ports/clock.ts";
import { type ClientStream, RpcFailure } from "../../base/ports/rpc-client.ts";
import { GroupService } from "../../protocol/methods.ts";
import type { MemberState } from "../../protocol/public.ts";
import { backoffMs } from "../backoff.ts";
import { Brokers } from "../brokers.ts";
import { asMillraceError } from "../errors.ts";
import type { ClientPorts } from "../ports.ts";
import { CoordinatorAddress } from "./coordinator-address.ts";
import { assignmentOf, leaving, sessionBeat, sessionState, unaryBeat, unaryState } from "./heartbeats.ts";
import { type Beat, type KeeperNews, type KeeperSpec, type KeeperWord, type Leave, saidError } from "./keeper-words.ts";

/** Until the coordinator has said how often it wants to hear of the member. */
const HEARTBEAT_MS = 3_000;
const HEARTBEAT_MS_MIN = 50;
/** A heartbeat that is not answered for so long is sent to another broker. */
const ANSWER_MS = 5_000;
/** After this many sessions that were opened and never answered, single calls are made. */
const MUTE_SESSIONS_MAX = 2;
/**
 * So long; then a session is tried again, and twice as long each time that one is mute too. A cluster that was slow for ten seconds looks the
 * same from here as a proxy that lets no streams through: who took it for one would hear of changes only at heartbeats, and hold up all others.
 */
const UNARY_MS_MIN = 5_000;
const UNARY_MS_MAX = 60_000;
/** Leaving is tried for so long; after that the session timeout does it. */
const LEAVE_MS = 5_000;
/** At one broker. */
const LEAVE_TRY_MS = 2_000;
/** Joining is waited for so long before it is left again: else it might arrive after the leaving. */
const JOIN_MS = 1_000;
/** Whoever says that it leaves hears that it has left within so long, whether the coordinator did or not. */
export const LEFT_MS_MAX = JOIN_MS + LEAVE_MS;

const ENDED = new RpcFailure("UNAVAILABLE", "the session was ended", false);

export type KeeperPorts = Pick<ClientPorts, "rpc" | "clock" | "random">;

/**
 * Keeps one member in its group: says again and again what the member last said of itself, over a session or, where streams do not get
 * through, by single calls, through whichever broker answers; and passes on what it hears. It decides nothing and owns nothing but its
 * own connections, so that it can live on a thread of its own and go on while the application computes. What it repeats is true then as
 * before: the member still holds what it held when it had heard the epoch that is named (ADR 0017), and gives back nothing by the way.
 */
export class Keeper {
  readonly #spec: KeeperSpec;
  readonly #ports: KeeperPorts;
  readonly #tell: (news: KeeperNews) => void;
  readonly #brokers: Brokers;
  readonly #coordinators: CoordinatorAddress;
  #beat: Beat | undefined;
  /** The last life that is over. */
  #over = 0;
  #session: { readonly address: string; readonly stream: ClientStream; answered: boolean } | undefined;
  /** A single call is under way. */
  #calling = false;
  /** There is something newer to say than what is not answered yet. */
  #sayAgain = false;
  #address: string | undefined;
  #coordinatorId = 0;
  #intervalMs = HEARTBEAT_MS;
  #failures = 0;
  #muteSessions = 0;
  /** Monotonic time until which no session is tried, and for how long it will be the next time. */
  #unaryUntil = 0;
  #unaryMs = UNARY_MS_MIN;
  #next: Timer | undefined;
  #patience: Timer | undefined;
  /** It leaves as soon as it is known what became of its joining, or after a while: nothing else is said any more. */
  #parting: { readonly leave: Leave; readonly timer: Timer } | undefined;
  #closed = false;

  constructor(spec: KeeperSpec, ports: KeeperPorts, tell: (news: KeeperNews) => void) {
    this.#spec = spec;
    this.#ports = ports;
    this.#tell = tell;
    this.#brokers = new Brokers(spec.brokers, ports.rpc, ports.clock, ports.random);
    this.#coordinators = new CoordinatorAddress(this.#brokers, ports);
  }

  hear(word: KeeperWord): void {
    if (this.#closed) return;
    if (word.kind === "leave") {
      this.#leave(word);
      return;
    }
    if (word.life <= this.#over || (this.#beat !== undefined && word.life < this.#beat.life)) return;
    this.#part();
    // Another life, another stream: whatever is still under way on the old one is of the old one.
    if (word.life !== this.#beat?.life) this.#drop();
    this.#beat = word;
    this.#say();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#beat = undefined;
    this.#parting?.timer.cancel();
    this.#drop();
    this.#brokers.close();
  }

  #say(): void {
    this.#next?.cancel();
    const beat = this.#beat;
    if (beat === undefined || this.#parting !== undefined || this.#closed) return;
    this.#next = this.#ports.clock.after(this.#intervalMs, () => this.#say());
    if (this.#session === undefined && this.#ports.clock.monotonic() < this.#unaryUntil) {
      this.#call(beat);
      return;
    }
    // One at a time: who gives back a thousand partitions one by one says the newest when the last was taken.
    if (this.#session !== undefined && this.#patience !== undefined) {
      this.#sayAgain = true;
      return;
    }
    this.#sayAgain = false;
    this.#session ??= this.#open(beat.life);
    this.#session.stream.write(sessionBeat(this.#spec, beat));
    this.#patience ??= this.#ports.clock.after(ANSWER_MS, () => this.#unanswered());
  }

  #open(life: number): { readonly address: string; readonly stream: ClientStream; answered: boolean } {
    const address = this.#where();
    const stream = this.#brokers.channel(address).openStream(GroupService.Session.path, "bidi");
    const session = { address, stream, answered: false };
    stream.handlers = {
      message: (bytes) => {
        if (this.#session !== session) return;
        session.answered = true;
        this.#notMute();
        this.#answered(address, life, () => sessionState(bytes));
      },
      drain: () => undefined,
      closed: (error) => {
        if (this.#session !== session) return;
        this.#session = undefined;
        this.#failed(address, life, session.answered ? (error ?? ENDED) : this.#muteEnd(error ?? ENDED));
      },
    };
    return session;
  }

  /** What a session that never was answered ended with, weighed. */
  #muteEnd(error: MillraceError | RpcFailure): MillraceError | RpcFailure {
    if (!(error instanceof RpcFailure) || error.neverSent) return error;
    this.#mute(error.status === "UNIMPLEMENTED");
    // Something on the way has no such call; the broker may have.
    return error.status === "UNIMPLEMENTED" ? ENDED : error;
  }

  /** Streams do not get through here, as far as can be told. */
  #mute(atOnce: boolean): void {
    this.#muteSessions += 1;
    if (!atOnce && this.#muteSessions < MUTE_SESSIONS_MAX) return;
    if (atOnce) this.#unaryMs = UNARY_MS_MAX;
    this.#unaryUntil = this.#ports.clock.monotonic() + this.#unaryMs;
    this.#unaryMs = Math.min(2 * this.#unaryMs, UNARY_MS_MAX);
  }

  #notMute(): void {
    this.#muteSessions = 0;
    this.#unaryMs = UNARY_MS_MIN;
    this.#unaryUntil = 0;
  }

  #unanswered(): void {
    this.#patience = undefined;
    const session = this.#session;
    if (session === undefined) return;
    this.#session = undefined;
    session.stream.cancel();
    if (!session.answered) this.#mute(false);
    this.#failed(session.address, this.#beat?.life ?? 0, new RpcFailure("DEADLINE_EXCEEDED", "a heartbeat was not answered", false));
  }

  #call(beat: Beat): void {
    if (this.#calling) {
      this.#sayAgain = true;
      return;
    }
    this.#calling = true;
    this.#sayAgain = false;
    const address = this.#where();
    const ended = (then: () => void): void => {
      this.#calling = false;
      if (this.#closed) return;
      then();
      if (this.#sayAgain) this.#say();
    };
    this.#brokers
      .channel(address)
      .unary(GroupService.Heartbeat.path, unaryBeat(this.#spec, beat), { timeoutMs: ANSWER_MS })
      .then(
        (reply) => ended(() => this.#answered(address, beat.life, () => unaryState(reply))),
        (error: unknown) =>
          ended(() => {
            // Single calls get through no better: it is not for the streams.
            if (error instanceof RpcFailure) this.#notMute();
            this.#failed(address, beat.life, error);
          }),
      );
  }

  /** The coordinator itself, when it is known and answers; else wherever the last one was heard; else any. */
  #where(): string {
    const coordinator = this.#address === undefined ? undefined : this.#coordinators.of(this.#coordinatorId, this.#address);
    for (const address of [coordinator, this.#address]) if (address !== undefined && !this.#brokers.isAvoided(address)) return address;
    return this.#brokers.pick(this.#address);
  }

  #answered(address: string, life: number, decode: () => MemberState | undefined): void {
    let state: MemberState | undefined;
    try {
      state = decode();
    } catch (error) {
      return this.#failed(address, life, new RpcFailure("INTERNAL", `unreadable: ${String(error)}`, false));
    }
    this.#patience?.cancel();
    this.#patience = undefined;
    this.#failures = 0;
    this.#brokers.answered(address);
    this.#address = address;
    const beat = this.#beat;
    if (state === undefined || beat === undefined || beat.life !== life) return;
    if (this.#parting !== undefined) return this.#part();
    if (state.heartbeatIntervalMs > 0) this.#intervalMs = Math.max(HEARTBEAT_MS_MIN, state.heartbeatIntervalMs);
    this.#coordinatorId = state.coordinatorId;
    // It is a member now. To join again would be to begin yet another life, should the application not have time to answer before the next heartbeat.
    if (beat.memberEpoch === 0) this.#beat = { ...beat, memberEpoch: state.memberEpoch };
    const coordinator = this.#coordinators.of(state.coordinatorId, address);
    if (this.#sayAgain && !this.#calling) this.#say();
    this.#tell({ kind: "heard", life, memberEpoch: state.memberEpoch, assignment: assignmentOf(state), coordinator });
  }

  #failed(address: string, life: number, thrown: unknown): void {
    const error = asMillraceError(thrown, address);
    if (error !== thrown || error.status === "UNAVAILABLE") {
      this.#brokers.failed(address);
      this.#coordinators.failed(address);
    }
    if (this.#beat?.life !== life || this.#closed) return;
    if (this.#parting !== undefined) return this.#part();
    this.#patience?.cancel();
    this.#patience = undefined;
    if (!error.retriable) {
      this.#beat = undefined;
      this.#over = life;
      this.#drop();
      this.#tell({ kind: "refused", life, error: saidError(error) });
      return;
    }
    if (this.#address === address) this.#address = undefined;
    this.#failures += 1;
    this.#tell({ kind: "failing", life, error: saidError(error), failures: this.#failures });
    const others = this.#failures < this.#brokers.addresses.length && !this.#brokers.isAvoided(this.#where());
    const pause = others ? 0 : backoffMs(this.#failures, this.#ports.random, error.retryAfterMs);
    this.#next?.cancel();
    this.#next = this.#ports.clock.after(pause, () => this.#say());
  }

  #leave(leave: Leave): void {
    this.#over = leave.life;
    const joins = this.#beat?.memberEpoch === 0 && (this.#patience !== undefined || this.#calling);
    if (!joins) return this.#sayLeave(leave);
    // A timer of its own: whatever becomes of the joining meanwhile does not cancel the leaving.
    this.#parting ??= { leave, timer: this.#ports.clock.after(JOIN_MS, () => this.#part()) };
  }

  #part(): void {
    const parting = this.#parting;
    if (parting === undefined) return;
    this.#parting = undefined;
    parting.timer.cancel();
    this.#sayLeave(parting.leave);
  }

  #sayLeave({ memberId, life, forAWhile }: Leave): void {
    this.#beat = undefined;
    this.#drop();
    const request = leaving(this.#spec, memberId, forAWhile);
    const { clock, random } = this.#ports;
    const deadline = clock.monotonic() + LEAVE_MS;
    const attempt = (failures: number, address: string): void => {
      const timeoutMs = Math.max(1, Math.min(LEAVE_TRY_MS, deadline - clock.monotonic()));
      this.#brokers
        .channel(address)
        .unary(GroupService.Heartbeat.path, request, { timeoutMs })
        .then(
          () => this.#tell({ kind: "left", life }),
          (thrown: unknown) => {
            const error = asMillraceError(thrown, address);
            if (error !== thrown || error.status === "UNAVAILABLE") this.#brokers.failed(address);
            const pause = backoffMs(failures, random, error.retryAfterMs);
            if (this.#closed || !error.retriable || clock.monotonic() + pause >= deadline) return this.#tell({ kind: "left", life });
            clock.after(pause, () => {
              // Not the one that is thought to be the best: it may hang for longer than it is avoided.
              if (!this.#closed) attempt(failures + 1, this.#brokers.pick(address));
            });
          },
        );
    };
    attempt(1, this.#where());
  }

  #drop(): void {
    this.#next?.cancel();
    this.#patience?.cancel();
    this.#patience = undefined;
    this.#failures = 0;
    const session = this.#session;
    this.#session = undefined;
    session?.stream.cancel();
  }
}
