import type { LogIndex, TopicId } from "../src/base/ids.ts";
import type { GroupCommand } from "../src/consumer-groups/commands.ts";
import { decide } from "../src/consumer-groups/decide.ts";
import type { GroupReply, GroupWorld } from "../src/consumer-groups/decision.ts";
import { decodeFacts, encodeFacts } from "../src/consumer-groups/facts.ts";
import { GroupsImage } from "../src/consumer-groups/image.ts";
import { phaseOf } from "../src/consumer-groups/reads.ts";
import { defaultGroupSettings } from "../src/consumer-groups/settings.ts";

/**
 * The machine of consumer groups by itself: no broker, no disk, no network. What a coordinator does with a command is decide, encode, replay
 * on the speculative image, decode and replay on the committed one; a follower does the last two. Prints one JSON line per
 * figure; milliseconds are of CPU.
 *
 * `npm run bench -- groups-machine`, or `npm run bench:groups`
 */
const topicId = "00000000-0000-4000-8000-000000000001" as TopicId;
const MiB = 1024 * 1024;

class Machine {
  readonly committed = GroupsImage.empty();
  readonly #speculative = GroupsImage.empty();
  readonly #world: GroupWorld;
  #index = 0;
  bytes = 0;

  constructor(partitions: number) {
    const topic = { id: topicId, name: "t", partitions };
    const topics = {
      byName: (name: string) => (name === "t" ? topic : undefined),
      byId: (id: TopicId) => (id === topicId ? topic : undefined),
      isDeleted: () => false,
      matches: () => false,
      matching: () => [],
      refusePattern: () => undefined,
    };
    this.#world = {
      topics,
      settings: { ...defaultGroupSettings, groupsMax: 1_000_000 },
      wall: 1_700_000_000_000,
      stampMs: 1_700_000_000_000,
    };
  }

  run(command: GroupCommand): GroupReply {
    const decision = decide(this.#speculative, command, this.#world);
    if ("error" in decision) throw decision.error;
    if (decision.facts.length > 0) {
      this.#index += 1;
      const payload = encodeFacts([{ groupId: command.groupId, facts: decision.facts }]);
      this.bytes += payload.length;
      this.#speculative.replay({ groupId: command.groupId, facts: decision.facts }, this.#index as LogIndex);
      for (const batch of decodeFacts(payload)) this.committed.replay(batch, this.#index as LogIndex);
    }
    return decision.reply;
  }

  join(groupId: string, memberId: string): number {
    const command = { kind: "join", groupId, memberId, instanceId: undefined, rack: "", clientAddress: "10.0.0.1:40000" } as const;
    const reply = this.run({ ...command, topics: ["t"], topicPattern: "", assignor: "", rebalanceTimeoutMs: 0 });
    return reply.kind === "member" ? reply.state.memberEpoch : 0;
  }

  commit(groupId: string, member: { id: string; epoch: number } | undefined, from: number, count: number, to: number): void {
    const offsets = Array.from({ length: count }, (_, n) => ({
      topic: "t",
      topicId: undefined,
      partition: from + n,
      offset: to,
      term: 7,
      metadata: "",
      highWatermark: undefined,
    }));
    this.run({ kind: "commitOffsets", groupId, member, offsets });
  }

  /** Everybody gives back what they are to, as soon as they hear of it. @returns heartbeats that took */
  settle(groupId: string): number {
    let beats = 0;
    for (;;) {
      const group = this.committed.group(groupId);
      if (group === undefined || phaseOf(group) === "stable") return beats;
      const holds = new Map<string, number[]>();
      const asked = new Set<string>();
      group.held.forEach(({ member, revoking }, _, partition) => {
        if (revoking > 0) asked.add(member);
        else holds.set(member, [...(holds.get(member) ?? []), partition]);
      });
      for (const memberId of asked) {
        const memberEpoch = this.committed.group(groupId)?.members.get(memberId)?.epoch ?? 0;
        const owned = [{ topicId, partitions: holds.get(memberId) ?? [] }];
        this.run({ kind: "heartbeat", groupId, memberId, memberEpoch, instanceId: undefined, subscription: undefined, owned });
        beats += 1;
      }
    }
  }
}

/** CPU milliseconds of this process, so that a busy machine does not change what is measured. */
function timed(work: () => void): number {
  const began = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(began);
  return (user + system) / 1000;
}

function print(figure: string, values: Readonly<Record<string, number>>): void {
  console.log(JSON.stringify({ figure, ...values }));
}

function rebalance(members: number, partitions: number): void {
  const machine = new Machine(partitions);
  const began = timed(() => {
    for (let n = 0; n < members; n += 1) {
      machine.join("g", `member-${String(n).padStart(4, "0")}`);
      machine.settle("g");
    }
  });
  const before = machine.bytes;
  let beats = 0;
  const joinMs = timed(() => void machine.join("g", "one-more"));
  const settleMs = timed(() => {
    beats = machine.settle("g");
  });
  const leaveMs = timed(
    () => void machine.run({ kind: "leave", groupId: "g", memberId: "one-more", instanceId: undefined, forGood: true }),
  );
  print("rebalance", { members, partitions, allJoinMs: began, joinMs, settleMs, beats, leaveMs, bytes: machine.bytes - before });
}

function commits(): void {
  const machine = new Machine(10);
  const members = Array.from({ length: 100 }, (_, n) => ({
    group: `group-${n}`,
    member: { id: "m", epoch: machine.join(`group-${n}`, "m") },
  }));
  const rounds = 200;
  const run = (from: number): number =>
    timed(() => {
      for (let round = from; round < from + rounds; round += 1)
        for (const { group, member } of members) machine.commit(group, member, 0, 10, 1_000_000 + round);
    });
  run(0);
  const before = machine.bytes;
  const ms = run(rounds);
  const offsets = rounds * members.length * 10;
  print("commits", {
    groups: members.length,
    partitionsPerCall: 10,
    offsetsPerCpuSecond: Math.round((offsets / ms) * 1000),
    microsPerCall: Math.round((ms * 1000) / (rounds * members.length)),
    bytesPerCall: Math.round((machine.bytes - before) / (rounds * members.length)),
  });
}

function memory(): void {
  const collect = (globalThis as { gc?: () => void }).gc;
  collect?.();
  const before = process.memoryUsage().heapUsed;
  const machine = new Machine(10);
  for (let n = 0; n < 10_000; n += 1) {
    const group = `group-${n}`;
    machine.commit(group, { id: `member-${n}`, epoch: machine.join(group, `member-${n}`) }, 0, 10, 3_000_000_000 + n);
  }
  collect?.();
  const heapMiB = Math.round((process.memoryUsage().heapUsed - before) / MiB);
  let slowest = 0;
  const slices: Uint8Array[] = [];
  const iterator = machine.committed.slices();
  for (let ended = false; !ended; ) {
    const ms = timed(() => {
      const slice = iterator.next();
      ended = slice.done === true;
      if (slice.done !== true) slices.push(slice.value);
    });
    if (slices.length > 3) slowest = Math.max(slowest, ms);
  }
  const snapshot = machine.committed.snapshot();
  const restoreMs = timed(() => void GroupsImage.restore(snapshot));
  const cloneMs = timed(() => void machine.committed.clone());
  print("memory", {
    groups: 10_000,
    partitions: 10,
    bothImagesMiB: heapMiB,
    snapshotBytes: snapshot.length,
    slowestSliceMs: slowest,
    restoreMs,
    cloneMs,
  });
}

commits();
rebalance(100, 1_000);
rebalance(100, 10_000);
memory();
