import { MillraceError } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";
import type { Clock, Timer } from "../../base/ports/clock.ts";
import type { ServerStream } from "../../base/ports/rpc-server.ts";
import { type Caller, pause, Scope, type Until } from "../../base/until.ts";
import { invalid } from "../../consumer-groups/refusals.ts";
import {
  HeartbeatResponse,
  type MemberHeartbeat,
  MemberState,
  SessionResponse,
  type MemberState as State,
} from "../../protocol/public/group-service.ts";
import { GroupNews, GroupWatch } from "../../protocol/routing.ts";
import { beatOf } from "../groups/calls/member-calls.ts";
import type { GroupBackend } from "./group-service.ts";

/** One try to reach the coordinator. */
const TRY_MS = 10_000;
/** A watch is held for so long without news, and a little longer on its way. */
const WATCH_MS = 40_000;
const AGAIN_MS = 50;
const AGAIN_MAX_MS = 500;
/** Messages of a stream that were read while an earlier one was answered; reading stops at the first. */
const WAITING_MAX = limits["session.heartbeats.waiting"].value;
/** Who opened a stream and never says who it is keeps one of its connection's for nothing; whoever has said so has a session timeout. */
const FIRST_MS = limits["session.first.heartbeat.ms"].value;

/** The coordinator moved, or could not be reached, or what became of it is not known: the same heartbeat is sent to whoever coordinates next. */
const goesOn: ReadonlySet<string> = new Set([
  "NOT_LEADER",
  "LEADER_UNKNOWN",
  "LEADERSHIP_LOST",
  "HOP_LOST",
  "REQUEST_TIMED_OUT",
  "DEADLINE_PASSED",
  "CONTROLLER_UNKNOWN",
  "METADATA_OUTCOME_UNKNOWN",
  "NOT_READY",
]);

/** What a member was told last. */
interface Told {
  readonly groupId: string;
  readonly memberId: string;
  epoch: number;
}

/**
 * One `Session`: heartbeats of one member, each answered in order, and what it is told in between the moment it is committed. Only a
 * transport: the coordinator knows nothing of it but what it hears, and when the coordinator moves, the session follows it. A typed refusal
 * of a heartbeat ends the stream; the member may open another one.
 */
export class GroupSession {
  readonly #stream: ServerStream;
  readonly #backend: () => GroupBackend;
  readonly #clock: Clock;
  readonly #life = new Scope();
  readonly #waiting: Uint8Array[] = [];
  #over: () => void = () => {};
  /** Runs until the first message. */
  #first: Timer | undefined;
  #told: Told | undefined;
  #watch: Scope | undefined;
  #busy = false;
  #halfClosed = false;
  #blocked = false;
  #closed = false;

  constructor(stream: ServerStream, backend: () => GroupBackend, clock: Clock) {
    this.#stream = stream;
    this.#backend = backend;
    this.#clock = clock;
  }

  start(over: () => void): void {
    this.#over = over;
    this.#stream.handlers = {
      message: (bytes) => this.#message(bytes),
      ended: () => {
        this.#halfClosed = true;
        if (!this.#busy) this.close();
      },
      drain: () => {
        this.#blocked = false;
        this.#goOn();
      },
    };
    this.#stream.call.onCancel(() => this.#gone());
    if (this.#closed) return;
    this.#first = this.#clock.after(FIRST_MS, () =>
      this.close(
        new MillraceError(
          "DEADLINE_PASSED",
          `No heartbeat came on this session for ${FIRST_MS} ms; open another one, and send one at once`,
          {
            limit: "session.first.heartbeat.ms",
          },
        ),
      ),
    );
  }

  /** @param error undefined: the caller is done */
  close(error?: MillraceError): void {
    if (this.#closed) return;
    this.#gone();
    this.#stream.end(error);
  }

  #gone(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#first?.cancel();
    this.#life.end();
    this.#watch?.end();
    this.#over();
  }

  #message(bytes: Uint8Array): void {
    if (this.#closed) return;
    this.#first?.cancel();
    this.#waiting.push(bytes);
    if (this.#waiting.length > WAITING_MAX)
      return this.close(
        new MillraceError("TOO_MANY_REQUESTS", `More than ${WAITING_MAX} heartbeats wait for an answer`, {
          limit: "session.heartbeats.waiting",
        }),
      );
    this.#goOn();
  }

  #goOn(): void {
    if (this.#closed) return;
    if (!this.#blocked && this.#watch === undefined && this.#told !== undefined) void this.#listen(this.#told);
    if (this.#busy) return;
    const next = this.#blocked ? undefined : this.#waiting.shift();
    if (next !== undefined) {
      this.#busy = true;
      this.#stream.pause();
      this.#answer(next).then(
        () => {
          this.#busy = false;
          this.#goOn();
        },
        (error: unknown) => {
          if (!(error instanceof MillraceError)) this.close(new MillraceError("INTERNAL", "The session failed"));
          else this.close(error);
        },
      );
      return;
    }
    if (this.#halfClosed) return this.close();
    if (!this.#blocked) this.#stream.resume();
  }

  async #answer(request: Uint8Array): Promise<void> {
    const beat = beatOf(request);
    const { groupId, memberId, memberEpoch } = beat;
    if (this.#told !== undefined && (this.#told.groupId !== groupId || this.#told.memberId !== memberId))
      throw invalid("member_id", "a session is of one member of one group; open another one");
    // What comes of a former life must not be taken for news of the one that begins.
    if (memberEpoch <= 0) this.#forget();
    const { state } = HeartbeatResponse.decode(
      await this.#insist(this.#life, (until) =>
        this.#backend().groupCalls.call("Heartbeat", groupId, request, { until, clientAddress: this.#stream.call.peer }),
      ),
    );
    if (state === undefined) throw new MillraceError("INTERNAL", "The coordinator answered without a state");
    this.#tell(beat, state);
    if (memberEpoch < 0) this.close();
  }

  #forget(): void {
    this.#watch?.end();
    this.#watch = undefined;
    this.#told = undefined;
  }

  #tell({ groupId, memberId }: Pick<MemberHeartbeat, "groupId" | "memberId">, state: State): void {
    if (this.#closed) return;
    const known = this.#told?.epoch ?? 0;
    // A push has overtaken the answer: what it said counts.
    const said =
      state.memberEpoch >= known || state.memberEpoch < 0
        ? state
        : { ...state, memberEpoch: known, assignmentChanged: false, assignment: [] };
    if (said.memberEpoch > 0) {
      if (this.#told === undefined) this.#told = { groupId, memberId, epoch: said.memberEpoch };
      else this.#told.epoch = said.memberEpoch;
      // It waits for what is known by now.
      if (said.memberEpoch > known) this.#stopListening();
    }
    this.#blocked = !this.#stream.write(SessionResponse.encode({ state: said })) || this.#blocked;
  }

  #stopListening(): void {
    this.#watch?.end();
    this.#watch = undefined;
  }

  /** Until there is news, or the session is told something else. */
  async #listen(told: Told): Promise<void> {
    const scope = new Scope();
    this.#watch = scope;
    const { groupId, memberId, epoch } = told;
    const request = GroupWatch.encode({ groupId, memberId, knownEpoch: epoch });
    try {
      for (;;) {
        const news = GroupNews.decode(
          await this.#insist(
            scope,
            (until) => this.#backend().groupCalls.call("Watch", groupId, request, { until, clientAddress: this.#stream.call.peer }),
            WATCH_MS,
          ),
        );
        if (this.#watch !== scope) return;
        if (news.state === undefined) continue;
        this.#watch = undefined;
        this.#tell(told, MemberState.decode(news.state));
        this.#goOn();
        return;
      }
    } catch (error) {
      if (this.#watch !== scope) return;
      this.close(error instanceof MillraceError ? error : new MillraceError("INTERNAL", "The session failed"));
    }
  }

  /** Asks until somebody who coordinates answers, or whoever waits goes. @throws {MillraceError} */
  async #insist(caller: Caller, ask: (until: Until) => Promise<Uint8Array>, tryMs = TRY_MS): Promise<Uint8Array> {
    for (let pauseMs = AGAIN_MS; ; pauseMs = Math.min(AGAIN_MAX_MS, 2 * pauseMs)) {
      try {
        return await ask({ deadline: this.#clock.monotonic() + tryMs, caller });
      } catch (error) {
        if (!(error instanceof MillraceError) || !goesOn.has(error.code)) throw error;
        await pause(this.#clock, pauseMs, caller);
      }
    }
  }
}
