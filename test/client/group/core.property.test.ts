import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { MillraceError } from "../../../src/base/errors.ts";
import type { TopicId } from "../../../src/base/ids.ts";
import { GroupCore } from "../../../src/client/group/core.ts";
import type { CommitOutcome, GroupEffect, GroupInput } from "../../../src/client/group/steps.ts";
import { keyOf, type Tenure } from "../../../src/client/group/tenure.ts";
import type { CommitOffsets, Heartbeat, JoinGroup } from "../../../src/consumer-groups/commands.ts";
import type { MemberState } from "../../../src/consumer-groups/decision.ts";
import { memberState } from "../../../src/consumer-groups/member-state.ts";
import { beating, Coordinator, joining, offset } from "../../consumer-groups/groups-fixture.ts";

const GROUP = "g";
const PARTITIONS = 4;

/** What is on its way from a member to the coordinator, or back; each list is in order, and any of them may be late. */
interface Mail {
  readonly beats: { readonly life: number; readonly command: JoinGroup | Heartbeat }[];
  readonly heard: { readonly life: number; readonly said: MemberState | MillraceError }[];
  readonly commits: { readonly id: number; readonly command: CommitOffsets }[];
  readonly answers: { readonly id: number; readonly outcome: CommitOutcome }[];
}

/** One process: the core, handlers that take as long as they like, and the mail. */
class Member {
  readonly id: string;
  core = new GroupCore();
  mail: Mail = { beats: [], heard: [], commits: [], answers: [] };
  /** Handlers at work, of any tenure, also those that were aborted. */
  working: { readonly tenure: Tenure; readonly offset: number; aborted: boolean }[] = [];
  /** Begun and not halted. */
  readonly begun = new Map<number, { readonly tenure: Tenure; next: number }>();
  locating: Tenure[] = [];
  telling: Tenure[] = [];
  rejoins = false;
  left = false;
  /** What a heartbeat says again. */
  last: Mail["beats"][number] | undefined;
  readonly #run: Run;

  constructor(run: Run, id: string) {
    this.#run = run;
    this.id = id;
  }

  step(input: GroupInput): void {
    this.core.step(input);
    for (const effect of this.core.drain()) this.#perform(effect);
  }

  #perform(effect: GroupEffect): void {
    switch (effect.kind) {
      case "beat": {
        const { life, memberEpoch } = effect;
        const owned = effect.owned.map(({ topicId, partition }) => ({ topicId: topicId as TopicId, partitions: [partition] }));
        const command = memberEpoch === 0 ? joining(GROUP, this.id, ["t"]) : beating(GROUP, this.id, memberEpoch, { owned });
        this.last = { life, command };
        this.mail.beats.push(this.last);
        return;
      }
      case "leave":
        // What it said before has arrived, or never will.
        this.mail.beats.length = 0;
        this.last = undefined;
        this.#run.coordinator.step({ kind: "leave", groupId: GROUP, memberId: this.id, instanceId: undefined, forGood: true });
        return;
      case "assigned":
        this.locating.push(...effect.tenures);
        return;
      case "begin":
        this.begun.set(effect.tenure.id, { tenure: effect.tenure, next: effect.offset });
        return;
      case "halt":
        this.begun.delete(effect.tenure.id);
        for (const work of this.working) if (work.tenure === effect.tenure) work.aborted = true;
        return;
      case "revoked":
        this.telling.push(...effect.tenures);
        return;
      case "commit": {
        const member = { id: this.id, epoch: effect.memberEpoch };
        const offsets = effect.positions.map((each) => offset("t", each.partition, each.offset));
        for (const { partition, offset: at } of effect.positions) this.#run.committing(partition, at);
        this.mail.commits.push({ id: effect.id, command: { kind: "commitOffsets", groupId: GROUP, member, offsets } });
        return;
      }
      case "again":
        this.rejoins = true;
        return;
      case "left":
        this.left = true;
        return;
      case "lost":
      case "commitRefused":
        return;
      default:
        assert.fail(`not expected: ${effect.kind}`);
    }
  }

  /** Something that waits on this side happens; which, is drawn. */
  act(what: number): void {
    const heard = this.mail.heard[0];
    const answer = this.mail.answers[0];
    const idle = [...this.begun.values()].find(({ tenure }) => !this.working.some((work) => keyOf(work.tenure) === keyOf(tenure)));
    const acts = [
      () => {
        if (heard === undefined) return;
        this.mail.heard.shift();
        const { life, said } = heard;
        if (said instanceof MillraceError) return this.step({ kind: "refused", life, error: said });
        const assignment = said.assignment?.flatMap(({ topicId, partitions }) =>
          partitions.map((partition) => ({ topic: "t", topicId, partition })),
        );
        this.step({ kind: "heard", life, memberEpoch: said.memberEpoch, assignment });
      },
      () => {
        if (answer === undefined) return;
        this.mail.answers.shift();
        this.step({ kind: "commitAnswered", ...answer });
      },
      () => {
        const tenure = this.locating.shift();
        if (tenure === undefined) return;
        const committed = this.#run.committed(tenure.partition);
        const place = { offset: committed ?? 0, term: undefined, committed: committed !== undefined };
        this.step({ kind: "located", tenure: tenure.id, ...place, keep: false });
      },
      () => {
        if (idle === undefined) return;
        this.working.push({ tenure: idle.tenure, offset: idle.next, aborted: false });
        this.#run.begins(this, idle.tenure);
        this.step({ kind: "took", tenure: idle.tenure.id });
      },
      () => this.#end(),
      () => {
        if (this.telling.length > 0) this.step({ kind: "told", tenures: this.telling.splice(0).map(({ id }) => id) });
      },
      () => this.step({ kind: "commitDue" }),
      () => {
        if (!this.rejoins) return;
        this.rejoins = false;
        this.step({ kind: "join" });
      },
    ];
    acts[what % acts.length]?.();
  }

  /** The oldest handler ends; one that was aborted may have done its work all the same. */
  #end(): void {
    const work = this.working.shift();
    if (work === undefined) return;
    this.#run.processed(work.tenure.partition, work.offset);
    this.step({ kind: "processed", tenure: work.tenure.id, offset: work.offset });
    this.step({ kind: "idle", tenure: work.tenure.id });
    const begun = this.begun.get(work.tenure.id);
    if (begun !== undefined) begun.next = work.offset + 1;
  }
}

class Run {
  readonly coordinator = new Coordinator();
  readonly topicId = this.coordinator.topics.make("t", PARTITIONS);
  readonly members: Member[] = [];
  readonly #done = Array.from({ length: PARTITIONS }, () => new Set<number>());

  constructor(members: number) {
    for (let i = 0; i < members; i++) this.members.push(new Member(this, `m${i}`));
  }

  committed(partition: number): number | undefined {
    return this.coordinator.committed(GROUP, this.topicId, partition);
  }

  processed(partition: number, at: number): void {
    this.#done[partition]?.add(at);
  }

  /** No record below what is sent to be committed was left out, by whomever it was processed. */
  committing(partition: number, at: number): void {
    for (let each = 0; each < at; each++)
      assert.ok(this.#done[partition]?.has(each), `${partition}: ${at} is committed, ${each} was not processed`);
  }

  /** Whoever begins with a record has the partition for itself, unless the other one was removed from the group and does not know yet. */
  begins(member: Member, tenure: Tenure): void {
    for (const other of this.members) {
      if (other === member || this.coordinator.image.group(GROUP)?.members.has(other.id) !== true) continue;
      for (const { tenure: theirs } of other.working) {
        if (theirs.partition !== tenure.partition) continue;
        // It may have been removed and be back: then its own core has not heard of it.
        const life = this.coordinator.group(GROUP).members.get(other.id)?.joinEpoch ?? 0;
        assert.ok(life > theirs.epoch || this.#isStale(member, tenure), `${member.id} and ${other.id} both work on ${tenure.partition}`);
      }
    }
  }

  /** The one that begins is not the owner any more, and has not heard. */
  #isStale(member: Member, tenure: Tenure): boolean {
    const known = this.coordinator.image.group(GROUP)?.members.get(member.id);
    return known === undefined || known.joinEpoch > tenure.epoch;
  }

  /** The coordinator takes one letter of a member, or loses its answer. */
  take(member: Member, commit: boolean, lost: boolean): void {
    if (!commit) {
      const beat = member.mail.beats.shift();
      if (beat === undefined) return;
      const decision = this.coordinator.step(beat.command);
      this.push();
      if ("error" in decision) member.mail.heard.push({ life: beat.life, said: decision.error });
      else if (decision.reply.kind === "member") member.mail.heard.push({ life: beat.life, said: decision.reply.state });
      return;
    }
    const letter = member.mail.commits.shift();
    if (letter === undefined) return;
    const decision = this.coordinator.step(letter.command);
    const unknown = new MillraceError("CONNECTION_LOST", "lost");
    const outcome: CommitOutcome = lost
      ? { kind: "unknown", error: unknown }
      : "error" in decision
        ? { kind: "refused", error: decision.error }
        : { kind: "taken", refused: decision.reply.kind === "offsets" ? decision.reply.refused : [] };
    member.mail.answers.push({ id: letter.id, outcome });
  }

  /** Who is told something new hears it without asking, as on a session. */
  push(): void {
    const group = this.coordinator.image.group(GROUP);
    for (const member of this.members) {
      const known = group?.members.get(member.id);
      const newest = member.mail.heard.at(-1)?.said;
      const sent = newest === undefined || newest instanceof MillraceError ? member.core.memberEpoch : newest.memberEpoch;
      if (known === undefined || member.core.memberEpoch === 0 || known.epoch <= sent) continue;
      if (group !== undefined && known.joinEpoch <= member.core.memberEpoch)
        member.mail.heard.push({ life: member.last?.life ?? 0, said: memberState(group, known, 0) });
    }
  }

  toString(): string {
    const group = this.coordinator.image.group(GROUP);
    const members = this.members.map(({ id, core, mail, left, rejoins }) => {
      const tenures = [...core.tenures].map(
        ({ partition, stage, busy, processed, committed }) => `${partition} ${stage}${busy ? " busy" : ""} ${processed}/${committed}`,
      );
      const known = group?.members.get(id);
      const waiting = `${mail.beats.length} ${mail.heard.length} ${mail.commits.length} ${mail.answers.length}`;
      return `${id} at ${core.memberEpoch}${left ? " left" : ""}${rejoins ? " rejoins" : ""}, known ${known?.joinEpoch} to ${known?.epoch}, mail ${waiting}: ${tenures.join("; ")}`;
    });
    const held: string[] = [];
    group?.held.forEach(({ member, since, revoking }, _, partition) => {
      held.push(`${partition} ${member} ${since} ${revoking}`);
    });
    return [...members, ...held].join("\n");
  }

  /** A heartbeat says again what was said last. */
  beat(member: Member): void {
    if (member.last === undefined || member.mail.beats.length > 0) return;
    // Who joins waits for its answer, as long as that may come.
    if (member.last.command.kind === "join" && member.mail.heard.length > 0) return;
    member.mail.beats.push(member.last);
  }
}

/** Handlers begin more often than they end: so most are at work when something is taken away. */
const ACTS = [0, 0, 0, 1, 1, 2, 2, 3, 3, 3, 4, 5, 5, 6, 6, 7];

function perform(run: Run, [who, what, more]: readonly [number, number, boolean]): void {
  const member = run.members[who % run.members.length] as Member;
  switch (what) {
    case 0:
      if (!member.left) member.step({ kind: "join" });
      break;
    case 1:
    case 2:
    case 3:
      run.take(member, false, false);
      break;
    case 4:
      run.take(member, true, more);
      break;
    case 5:
      if (more) run.coordinator.pass(5_000);
      run.push();
      break;
    case 6:
      if (more && who === 0) run.coordinator.pass(46_000);
      else run.beat(member);
      break;
    case 7:
      if (more && who === 9) member.step({ kind: "close" });
      break;
    default:
      member.act(ACTS[what - 8] ?? 0);
  }
}

describe("GroupCore against the real machine of the coordinator", () => {
  const steps = fc.array(fc.tuple(fc.nat(9), fc.nat(23), fc.boolean()), { minLength: 300, maxLength: 600, size: "max" });

  it("leaves no record out, commits none that was not processed, and works on no partition that another has", () => {
    fc.assert(
      fc.property(steps, (drawn) => {
        const run = new Run(3);
        for (const member of run.members) member.step({ kind: "join" });
        for (const step of drawn) perform(run, step);
      }),
      { numRuns: 50, endOnFailure: true },
    );
  });

  it("comes to rest with every partition processed to what is committed, once nothing goes wrong any more", () => {
    fc.assert(
      fc.property(steps, (drawn) => {
        const run = new Run(3);
        for (const member of run.members) member.step({ kind: "join" });
        for (const step of drawn) perform(run, step);
        for (let round = 0; round < 60; round++)
          for (const member of run.members) {
            for (let times = 0; times < 4; times++) {
              run.take(member, false, false);
              run.take(member, true, false);
              for (let act = 0; act < 8; act++) if (act !== 3 || round < 40) member.act(act);
            }
            run.push();
            if (!member.left) run.beat(member);
          }
        const held = run.members.flatMap(({ core }) => [...core.tenures]);
        assert.equal(new Set(held.map(keyOf)).size, held.length, "nothing is held twice");
        for (const tenure of held) assert.equal(tenure.committed, tenure.processed === 0 ? tenure.committed : tenure.processed);
        if (run.members.some(({ left }) => !left)) assert.equal(held.length, PARTITIONS, run.toString());
      }),
      { numRuns: 12, endOnFailure: true },
    );
  });
});
