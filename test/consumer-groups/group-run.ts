import assert from "node:assert/strict";
import type { LogIndex, TopicId } from "../../src/base/ids.ts";
import type { GroupCommand } from "../../src/consumer-groups/commands.ts";
import type { MemberState } from "../../src/consumer-groups/decision.ts";
import { decodeFacts } from "../../src/consumer-groups/facts.ts";
import { GroupsImage } from "../../src/consumer-groups/image.ts";
import type { GroupsDecided } from "../../src/consumer-groups/machine.ts";
import { memberState } from "../../src/consumer-groups/member-state.ts";
import { fetchOffsets, phaseOf } from "../../src/consumer-groups/reads.ts";
import { Client, partitionOf, topicOf } from "./client-model.ts";
import { Coordinator, joining, offset } from "./groups-fixture.ts";
import { Reference } from "./reference.ts";

const GROUP = "g";
const DAY = 24 * 3_600_000;
/** At the end, 6 s for each consumer in each: those that are dead are silent for a session, those that live are heard of. */
const SILENT_ROUNDS = 4;

/** What happened in all runs: rules that nothing tried are not tested. */
export type Tally = Map<string, number>;

/** One group, its coordinator, its consumers and an operator; every command also goes to the reference, and all rules are looked at after it. */
export class GroupRun {
  readonly c = new Coordinator();
  readonly clients: readonly Client[];
  readonly #reference = new Reference();
  readonly #tally: Tally;
  readonly #gone: TopicId[] = [];
  readonly #clones: { readonly image: GroupsImage; readonly hash: string }[] = [];
  /** What each member was sent last. */
  readonly #pushed = new Map<string, number>();
  /** Highest epoch at which anybody held the partition: what a fencing token of it may have said. */
  readonly #tokens = new Map<string, number>();
  /** Everything below was processed by somebody, or skipped by a seek. */
  readonly #processed = new Map<string, number>();
  #saved: { readonly bytes: Uint8Array; readonly frames: number };

  constructor(tally: Tally) {
    this.#tally = tally;
    this.clients = [
      new Client("a", undefined),
      new Client("b", undefined),
      new Client("x", "x"),
      new Client("y", "x"),
      new Client("z", "z"),
    ];
    this.c.topics.make("t", 4);
    this.c.topics.make("u", 2);
    this.#saved = { bytes: this.c.image.snapshot(), frames: 0 };
  }

  #client(who: number): Client {
    return this.clients[who % this.clients.length] ?? assert.fail();
  }

  // What consumers do

  /** @param topics the last one may be a pattern: what begins with `^` */
  join(who: number, topics: readonly string[]): void {
    const client = this.#client(who);
    client.forget();
    const names = topics.filter((name) => !name.startsWith("^"));
    const topicPattern = topics.find((name) => name.startsWith("^")) ?? "";
    const decision = this.step(joining(GROUP, client.memberId, names, { topicPattern, instanceId: client.instance }));
    if ("error" in decision || decision.reply.kind !== "member") return;
    client.life = decision.reply.state.memberEpoch;
    this.#hear(client, decision.reply.state);
  }

  beat(who: number): void {
    const client = this.#client(who);
    if (client.epoch > 0) client.beat(GROUP);
  }

  /** A heartbeat goes up, all that is on its way arrives, and all is heard. */
  talk(who: number): void {
    const client = this.#client(who);
    this.beat(who);
    while (client.beats.length > 0) this.arrive(who);
    while (client.down.length > 0) this.hear(who);
  }

  work(who: number, n: number): void {
    const client = this.#client(who);
    if (client.epoch > 0) client.work(n, n % 3);
  }

  /** The next heartbeat of the member's stream arrives. */
  arrive(who: number): void {
    const client = this.#client(who);
    const sent = client.beats.shift();
    if (sent === undefined) return;
    const decision = this.step(sent.beat);
    if (sent.life !== client.life) return;
    if ("error" in decision) client.down.push("fenced");
    else if (decision.reply.kind === "member") client.down.push(decision.reply.state);
  }

  /** One of its commits arrives: calls of their own, in any order. */
  land(who: number, n: number): void {
    const client = this.#client(who);
    const [sent] = client.commits.splice(n % Math.max(1, client.commits.length), 1);
    if (sent === undefined) return;
    const topic = this.c.topics.byId(topicOf(sent.key))?.name ?? "gone";
    const offsets = [offset(topic, partitionOf(sent.key), sent.offset)];
    this.step({ kind: "commitOffsets", groupId: GROUP, member: sent.member, offsets });
  }

  hear(who: number): void {
    const client = this.#client(who);
    const told = client.down.shift();
    if (told === "fenced") client.restart();
    else if (told !== undefined) this.#hear(client, told);
  }

  finish(who: number): void {
    this.#client(who).finish();
  }

  crash(who: number): void {
    this.#client(who).restart();
  }

  /** Its stream breaks: what was on its way is lost. It goes on with what it knows. */
  cut(who: number): void {
    const client = this.#client(who);
    client.beats = [];
    client.down = [];
  }

  leave(who: number, forGood: boolean): void {
    const client = this.#client(who);
    if (client.epoch === 0) return;
    this.step({ kind: "leave", groupId: GROUP, memberId: client.memberId, instanceId: client.instance, forGood });
    client.restart();
  }

  // What else happens

  pass(ms: number): void {
    this.c.monotonic += ms;
    this.c.wall += ms;
    for (const command of this.c.timers.due(this.c.monotonic)) this.step(command);
  }

  topics(n: number): void {
    const { topics } = this.c;
    if (n % 3 === 0) topics.grow("t", (topics.byName("t")?.partitions ?? 0) + (n % 2));
    else if (topics.byName("u") === undefined) topics.make("u", 1 + (n % 3));
    else this.#gone.push(topics.drop("u") ?? assert.fail());
    if (n % 4 > 0) this.step({ kind: "refreshTopics", groupId: GROUP, deleted: n % 4 > 1 ? this.#gone : [] });
  }

  seek(n: number): void {
    const topic = this.c.topics.all()[n % this.c.topics.all().length] ?? assert.fail();
    const position = { topicId: topic.id, partition: n % topic.partitions, offset: n % 7, logStartOffset: 0, highWatermark: 5 };
    this.step({ kind: "seekGroup", groupId: GROUP, positions: [position], dryRun: false, force: n % 2 === 0 });
  }

  outside(n: number): void {
    const offsets = [offset("t", n % 4, n % 5), offset("u", 1, n)];
    const decision = this.step({ kind: "commitOffsets", groupId: GROUP, member: undefined, offsets });
    if ("error" in decision) return;
    for (const { topic, partition } of offsets) {
      const id = this.c.topics.byName(topic)?.id;
      const at = id === undefined ? undefined : this.c.committed(GROUP, id, partition);
      if (at !== undefined) this.#raise(`${id}:${partition}`, at);
    }
  }

  forget(n: number): void {
    const group = this.c.image.group(GROUP);
    if (group === undefined) return;
    if (n % 3 === 0) this.step({ kind: "deleteGroup", groupId: GROUP });
    else if (n % 3 === 1) {
      this.c.wall += 8 * DAY * (n % 2);
      this.step({ kind: "expireOffsets", groupId: GROUP, unknownSinceMs: 0 });
    } else if (group.members.size === 0) {
      const topicId = this.c.topics.byName("t")?.id ?? assert.fail();
      this.step({ kind: "deleteOffsets", groupId: GROUP, topics: [{ topicId, partitions: [n % 4] }] });
    }
  }

  /** A snapshot; a clone that somebody keeps; or the death of the coordinator. */
  machine(n: number): void {
    if (n % 3 === 0) this.#saved = { bytes: this.c.image.snapshot(), frames: this.c.log.length };
    else if (n % 3 === 1) this.#clones.push({ image: this.c.image.clone(), hash: this.c.image.hash() });
    else this.#failOver();
  }

  /** From the snapshot and the tail the same comes out as was there (C6). */
  #failOver(): void {
    const image = GroupsImage.restore(this.#saved.bytes);
    for (const [at, payload] of this.c.log.entries())
      if (at >= this.#saved.frames) for (const batch of decodeFacts(payload)) image.replay(batch, (at + 1) as LogIndex);
    assert.equal(image.hash(), this.c.image.hash(), "C6: replay is live");
    this.c.image = image;
    this.c.failOver();
    for (const client of this.clients) {
      client.beats = [];
      client.down = [];
    }
  }

  // Rules

  /** One command, to both, and everything that must hold after it. */
  step(command: GroupCommand): GroupsDecided {
    const before = this.#offsets();
    const had = this.c.image.group(GROUP)?.members.size ?? 0;
    const epoch = this.c.image.epochOf(GROUP);
    const decision = this.c.step(command);
    this.#follow(command);
    this.#agree(command, decision);
    assert.ok(this.c.image.epochOf(GROUP) >= epoch, "epochs rise");
    this.#offsetsRule(command, before, had);
    this.#owners();
    this.#targets(command, decision);
    this.#push();
    return decision;
  }

  #follow(command: GroupCommand): void {
    if (command.kind !== "seekGroup") return;
    for (const { topicId, partition } of command.positions) {
      const at = this.c.committed(GROUP, topicId, partition);
      if (at !== undefined)
        this.#processed.set(`${topicId}:${partition}`, Math.max(at, this.#processed.get(`${topicId}:${partition}`) ?? 0));
    }
  }

  #agree(command: GroupCommand, decision: GroupsDecided): void {
    const { c } = this;
    const group = c.image.group(GROUP);
    const expected = this.#reference.step(command, c.topics, c.wall, c.settings.offsetsRetentionMs, group);
    const refused = "error" in decision ? decision.error.code : undefined;
    this.#count(`${command.kind} ${refused ?? "ok"}`);
    assert.equal(refused, expected.refused, `${command.kind}: what the reference says`);
    if (command.kind === "commitOffsets" && "reply" in decision && decision.reply.kind === "offsets") {
      const { refused: parts } = decision.reply;
      const codes = command.offsets.map((_, at) => parts.find((part) => part.at === at)?.error.code ?? "ok");
      for (const code of codes) this.#count(`offset ${code}`);
      assert.deepEqual(codes, expected.offsets);
    }
    const { members, owners, offsets } = this.#reference;
    assert.deepEqual(
      [...(group?.members.values() ?? [])].map(({ id, joinEpoch, epoch, away }) => [id, joinEpoch, epoch, away]).sort(),
      members.map(({ id, life, epoch, away }) => [id, life, epoch, away]).sort(),
    );
    const held: unknown[] = [];
    group?.held.forEach(({ member, since, revoking }, topicId, partition) => {
      held.push([`${topicId}:${partition}`, member, since, revoking]);
    });
    assert.deepEqual(held.sort(), [...owners].map(([key, { member, since, revoking }]) => [key, member, since, revoking]).sort());
    assert.deepEqual([...this.#offsets()].sort(), [...offsets].map(([key, each]) => [key, each.offset]).sort());
    if (group !== undefined) assert.equal(group.epoch, this.#reference.epoch);
  }

  /** Back only by a seek, gone only by a deletion or without members (C7), never beyond what somebody processed (C4). */
  #offsetsRule(command: GroupCommand, before: ReadonlyMap<string, number>, had: number): void {
    const after = this.#offsets();
    for (const [key, at] of before) {
      const now = after.get(key);
      if (now === undefined) {
        assert.ok(
          ["deleteOffsets", "deleteGroup", "expireOffsets", "refreshTopics"].includes(command.kind),
          `${command.kind} loses no offset`,
        );
        if (command.kind === "expireOffsets") assert.equal(had, 0, "C7: nothing expires while the group has members");
      } else if (now < at) assert.equal(command.kind, "seekGroup", "an offset goes back only by a seek");
    }
    if (command.kind === "commitOffsets" && command.member !== undefined)
      for (const [key, at] of after) assert.ok(at <= (this.#processed.get(key) ?? 0), "C4: what is committed was processed");
  }

  /** Nobody holds what another may (C3), and each next owner's epochs are above those of the one before (C2). */
  #owners(): void {
    const group = this.c.image.group(GROUP);
    for (const client of this.clients) {
      const member = group?.members.get(client.memberId);
      if (client.epoch === 0 || member?.joinEpoch !== client.life) continue;
      for (const key of client.holds.keys())
        assert.equal(group?.held.get(topicOf(key), partitionOf(key))?.member, client.memberId, `C3: ${client.memberId} holds ${key}`);
    }
    const tokens = new Map<string, number>();
    group?.held.forEach(({ member, since, revoking }, topicId, partition) => {
      if (revoking === 0)
        assert.equal(group.target.get(topicId)?.owners[partition], member, "what is not meant for its owner is asked for");
      const key = `${topicId}:${partition}:${member}:${since}`;
      const place = `${topicId}:${partition}`;
      if (!this.#tokens.has(key)) {
        assert.ok(since > (this.#tokens.get(place) ?? 0), "C2: a grant is above every epoch of former owners");
        if (this.#tokens.has(place)) this.#count("granted again");
      }
      tokens.set(key, 1);
      tokens.set(place, group.members.get(member)?.epoch ?? assert.fail());
    });
    for (const [key, at] of this.#tokens) if (!tokens.has(key) && key.split(":").length === 2) tokens.set(key, at);
    this.#tokens.clear();
    for (const [key, at] of tokens) this.#tokens.set(key, at);
  }

  /** What is meant for anybody is of what the group's members want; all of it, right after it was looked for. */
  #targets({ kind }: GroupCommand, decision: GroupsDecided): void {
    const group = this.c.image.group(GROUP);
    if (group === undefined || "error" in decision || (kind !== "join" && kind !== "refreshTopics")) return;
    const wanted = new Map([...group.members.keys()].map((id) => [id, this.#reference.wanted(id, this.c.topics)]));
    const all = new Set([...wanted.values()].flat());
    const { topics } = this.c;
    assert.deepEqual(
      [...group.target.keys()].sort(),
      topics
        .all()
        .filter(({ name }) => all.has(name))
        .map(({ id }) => id)
        .sort(),
    );
    for (const { name, owners } of group.target.values())
      for (const owner of owners) assert.ok(owner !== undefined && wanted.get(owner)?.includes(name), `${owner} wants ${name}`);
    if ([...group.members.values()].some(({ topicPattern }) => topicPattern !== "")) this.#count(`${kind} by pattern`);
  }

  /** Whoever is told something new has it on its stream. */
  #push(): void {
    const group = this.c.image.group(GROUP);
    if (group === undefined) return;
    for (const client of this.clients) {
      const member = group.members.get(client.memberId);
      if (member === undefined || client.life !== member.joinEpoch) continue;
      if (member.epoch <= (this.#pushed.get(member.id) ?? 0)) continue;
      this.#pushed.set(member.id, member.epoch);
      client.down.push(memberState(group, member, 0));
    }
  }

  #hear(client: Client, state: MemberState): void {
    const processed = (key: string): number => {
      const at = fetchOffsets(this.c.image, GROUP, [{ topicId: topicOf(key), partitions: [partitionOf(key)] }])[0]?.committed?.offset ?? 0;
      assert.ok(at <= (this.#processed.get(key) ?? 0), "C4, C5: nothing is skipped");
      return at;
    };
    client.hear(state, processed);
  }

  processed(): void {
    for (const client of this.clients) for (const [key, at] of client.holds) this.#raise(key, at);
  }

  #raise(key: string, at: number): void {
    this.#processed.set(key, Math.max(at, this.#processed.get(key) ?? 0));
  }

  #offsets(): Map<string, number> {
    return new Map(
      fetchOffsets(this.c.image, GROUP, undefined).map(({ topicId, partition, committed }) => [
        `${topicId}:${partition}`,
        committed?.offset ?? assert.fail(),
      ]),
    );
  }

  #count(what: string): void {
    this.#tally.set(what, (this.#tally.get(what) ?? 0) + 1);
  }

  #isSettled(active: readonly Client[]): boolean {
    const group = this.c.image.group(GROUP);
    if (group === undefined || phaseOf(group) !== "stable") return false;
    return active.every(({ memberId, epoch, down }) => down.length === 0 && epoch > 0 && group.members.get(memberId)?.epoch === epoch);
  }

  /** Everybody does what they should: then all is assigned, and all agree (C8). Clones are what they were. */
  settle(): void {
    this.step({ kind: "refreshTopics", groupId: GROUP, deleted: this.#gone });
    const active = this.clients.filter(({ name }) => name !== "y");
    this.leave(3, true);
    for (let round = 0; round < SILENT_ROUNDS || (round < 12 && !this.#isSettled(active)); round += 1)
      for (const client of active) {
        const who = this.clients.indexOf(client);
        while (client.beats.length > 0) this.arrive(who);
        while (client.down.length > 0) this.hear(who);
        if (client.epoch === 0) this.join(who, ["t", "u"]);
        this.finish(who);
        this.beat(who);
        if (round < SILENT_ROUNDS) this.pass(6_000);
      }
    const group = this.c.group(GROUP);
    assert.equal(phaseOf(group), "stable", "C8: stable");
    const live = active.filter(({ epoch }) => epoch > 0);
    const holders = new Map(live.flatMap((client) => [...client.holds.keys()].map((key) => [key, client.memberId] as const)));
    group.held.forEach(({ member }, topicId, partition) => {
      assert.equal(holders.get(`${topicId}:${partition}`), member, "C8: who is to hold it does");
    });
    const wanted = new Set([...group.members.keys()].flatMap((id) => this.#reference.wanted(id, this.c.topics)));
    for (const { id, name, partitions } of this.c.topics.all())
      if (wanted.has(name))
        assert.equal(group.held.of(id).filter((holding) => holding !== undefined).length, partitions, "C8: every partition is owned");
    for (const { image, hash } of this.#clones) assert.equal(image.hash(), hash, "a clone is a moment");
    this.#failOver();
  }
}
