import assert from "node:assert/strict";
import type { ErrorCode } from "../../../src/base/errors.ts";
import { MillraceError } from "../../../src/base/errors.ts";
import { defaultGroupSettings, type GroupSettings } from "../../../src/base/group-settings.ts";
import type { LogIndex, Offset, Term, TopicId } from "../../../src/base/ids.ts";
import type { Clock, Timer } from "../../../src/base/ports/clock.ts";
import { Coordinator } from "../../../src/broker/groups/coordinator/coordinator.ts";
import type { MemberNews } from "../../../src/broker/groups/coordinator/member-watches.ts";
import type { LedReplica } from "../../../src/broker/machine/decider.ts";
import { MachineView } from "../../../src/broker/machine/machine-view.ts";
import type { GroupCommand } from "../../../src/consumer-groups/commands.ts";
import type { MemberState } from "../../../src/consumer-groups/decision.ts";
import type { GroupFacts } from "../../../src/consumer-groups/facts.ts";
import { GroupsImage } from "../../../src/consumer-groups/image.ts";
import { groupFacts } from "../../../src/consumer-groups/machine.ts";
import type { FrameDraft } from "../../../src/records/frame-types.ts";
import { Topics } from "../../consumer-groups/groups-fixture.ts";
import { group, index, term } from "../../log/frames.ts";

const HEAD = { magic: 0, groupId: group(9) };

/** Time that passes only by hand. */
export class HandClock implements Clock {
  now = 1_000;
  #wallOffset = 1_700_000_000_000;
  readonly #timers = new Set<{ readonly at: number; readonly fire: () => void }>();
  #soon: (() => void)[] = [];

  monotonic(): number {
    return this.now;
  }
  wall(): number {
    return this.#wallOffset + this.now;
  }
  after(delayMs: number, fire: () => void): Timer {
    const timer = { at: this.now + delayMs, fire };
    this.#timers.add(timer);
    return { cancel: () => void this.#timers.delete(timer) };
  }
  soon(run: () => void): void {
    this.#soon.push(run);
  }
  get timers(): number {
    return this.#timers.size;
  }

  turn(): void {
    while (this.#soon.length > 0) for (const run of this.#soon.splice(0)) run();
  }

  /** Everything that is due on the way is done in its turn. */
  pass(ms: number): void {
    const end = this.now + ms;
    this.turn();
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      this.now = Math.max(this.now, next.at);
      this.#timers.delete(next);
      next.fire();
      this.turn();
    }
    this.now = end;
  }

  /** The process stands still, and does what is due afterwards. */
  stall(ms: number): void {
    this.now += ms;
    this.pass(0);
  }

  #next(end: number) {
    return [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
  }
}

/** One that knows how many listen to it. */
class CountedView extends MachineView<GroupsImage, GroupFacts> {
  listening = 0;
  override onChange(listener: (facts: readonly GroupFacts[] | undefined) => void): () => void {
    const end = super.onChange(listener);
    this.listening += 1;
    return () => {
      end();
      this.listening -= 1;
    };
  }
}

/** A coordinator on a replica whose role and commits are said by hand: what it appends is committed at once, unless `held`. */
export class CoordinatorRun implements LedReplica {
  readonly clock = new HandClock();
  readonly topics = new Topics();
  readonly view = new CountedView({ name: "groups" }, GroupsImage.empty(), groupFacts);
  readonly settings: GroupSettings;
  readonly coordinator: Coordinator;
  readonly core: { role: "leader" | "follower"; term: Term; lastIndex: LogIndex } = { role: "leader", term: term(1), lastIndex: index(0) };
  serves = true;
  /** Nothing is committed until `commit`. */
  held = false;
  trusted = true;
  /** Frames that the shard has room for. */
  room = Number.POSITIVE_INFINITY;
  barriers = 0;
  /** What the read barrier brings to light. */
  onBarrier: () => void = () => {};
  /** What its broker has of partitions. */
  ends: (topicId: TopicId, partition: number) => { logStartOffset: number; highWatermark: number } | undefined = () => undefined;
  changes = 0;
  readonly drafts: FrameDraft[] = [];

  constructor(settings: Partial<GroupSettings> = {}) {
    this.settings = { ...defaultGroupSettings, ...settings };
    this.coordinator = new Coordinator(
      {
        shard: 3,
        groupId: HEAD.groupId,
        replica: this,
        view: this.view,
        admit: () =>
          this.drafts.length >= this.room ? new MillraceError("PENDING_FULL", "there is no room for another frame") : undefined,
        confirmed: (done) => {
          done(this.serves ? this.view.applied : undefined);
          return () => {};
        },
        changed: () => {
          this.changes += 1;
        },
      },
      {
        clock: this.clock,
        settings: this.settings,
        topics: this.topics,
        trusted: () => this.trusted,
        barrier: async () => {
          this.barriers += 1;
          this.onBarrier();
        },
        ends: (topicId, partition) => this.ends(topicId, partition),
        failed: (error) => assert.fail(String(error)),
      },
    );
    this.coordinator.advanced();
    this.clock.turn();
  }

  propose(drafts: readonly FrameDraft[]): ReturnType<LedReplica["propose"]> {
    this.drafts.push(...drafts);
    this.core.lastIndex = index(this.core.lastIndex + drafts.length);
    // As a replica does: committed in a later turn.
    if (!this.held) this.clock.soon(() => this.commit());
    return { kind: "accepted", firstIndex: this.core.lastIndex, lastIndex: this.core.lastIndex, term: this.core.term };
  }

  commit(): void {
    while (this.view.applied < this.core.lastIndex) {
      const at = index(this.view.applied + 1);
      const draft = this.drafts[at - 1];
      assert.ok(draft !== undefined);
      const baseOffset = this.view.position.start.offset as Offset;
      const place = { groupId: HEAD.groupId, index: at, term: this.core.term, baseOffset, appendTime: this.clock.wall() };
      this.view.apply({ ...draft, ...place, bytes: draft.payload });
    }
    this.coordinator.advanced();
  }

  /** Another one leads; what is not committed is cut off. */
  deposed(): void {
    this.core.role = "follower";
    this.serves = false;
    this.drafts.splice(this.view.applied);
    this.core.lastIndex = this.view.applied;
    this.coordinator.advanced();
  }

  /** It leads again. */
  elected(): void {
    Object.assign(this.core, { role: "leader", term: term(this.core.term + 2) });
    this.serves = true;
    this.coordinator.advanced();
    this.clock.turn();
  }

  /** @returns where the answer will stand */
  ask(command: GroupCommand): { readonly said: unknown } {
    const answer: { said: unknown } = { said: undefined };
    this.coordinator.submit(command, (outcome) => {
      answer.said = "error" in outcome ? outcome.error.code : outcome.reply;
    });
    return answer;
  }

  told(command: GroupCommand): MemberState {
    const answer = this.ask(command);
    this.clock.turn();
    const reply = answer.said as { kind?: string; state?: MemberState };
    assert.ok(reply?.state !== undefined, JSON.stringify(answer.said));
    return reply.state;
  }

  code(command: GroupCommand): ErrorCode {
    const answer = this.ask(command);
    this.clock.turn();
    assert.ok(typeof answer.said === "string", JSON.stringify(answer.said));
    return answer.said as ErrorCode;
  }

  /** @returns epochs and codes as they are told */
  watch(groupId: string, memberId: string, known: number): (number | ErrorCode)[] {
    const told: (number | ErrorCode)[] = [];
    const done = (news: MemberNews): void => void told.push(news instanceof MillraceError ? news.code : news.memberEpoch);
    this.coordinator.watch(groupId, memberId, known, done);
    return told;
  }

  members(groupId: string): readonly string[] {
    return [...(this.view.image.group(groupId)?.members.keys() ?? [])];
  }
}
