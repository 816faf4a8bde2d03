import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type LogIndex, type ReplicaId, type Term, toLogIndex, toTerm } from "../../../src/base/ids.ts";
import { AckWaits } from "../../../src/broker/partition/ack-waits.ts";
import { refuseReplicas } from "../../../src/broker/partition/acks.ts";
import { type IsrAnswer, type IsrCommand, type IsrRecord, IsrTracker } from "../../../src/broker/partition/isr-tracker.ts";
import { IsrOutcome, type IsrResult } from "../../../src/cluster/commands.ts";
import { Cluster } from "../../cluster/cluster-fixture.ts";

/**
 * The promise of acks=ALL (design §1, §6): what was acknowledged is durable on *every* member of the ISR that is recorded then or at any
 * later time, so any one of them is enough to recover. Held by four parts together: the waits, the tracker, the metadata machine, and
 * Raft, which is a few lines here: logs, elections that need a majority with a log not newer, commit of the own term by a majority.
 * Old leaders go on until somebody tells them; commands, answers and images are late, doubled or lost.
 */
interface Entry {
  readonly term: number;
  readonly id: number;
}

class Node {
  readonly replica: ReplicaId;
  log: Entry[] = [];
  /** Entries on disk. */
  durable = 0;
  term = 0;
  record: IsrRecord;
  leads: Leadership | undefined;
  constructor(replica: ReplicaId, record: IsrRecord) {
    this.replica = replica;
    this.record = record;
  }
}

interface Leadership {
  readonly term: Term;
  readonly noopIndex: LogIndex;
  readonly waits: AckWaits;
  readonly tracker: IsrTracker;
  readonly match: Map<ReplicaId, number>;
  readonly heard: Map<ReplicaId, number>;
  commit: number;
}

const newer = (a: readonly Entry[], b: readonly Entry[]) => {
  const [x, y] = [a.at(-1)?.term ?? 0, b.at(-1)?.term ?? 0];
  return x !== y ? x > y : a.length > b.length;
};

class World {
  readonly cluster = Cluster.ofThree();
  readonly group = this.cluster.create("t")[0]?.groupId ?? assert.fail("a partition");
  readonly nodes: readonly Node[];
  readonly replies: { readonly leader: Leadership; readonly from: ReplicaId; readonly match: number }[] = [];
  readonly commands: { readonly tracker: IsrTracker; readonly command: IsrCommand }[] = [];
  readonly answers: { readonly tracker: IsrTracker; readonly command: IsrCommand; readonly answer: IsrAnswer }[] = [];
  /** The command each tracker waits for. */
  readonly open = new Map<IsrTracker, IsrCommand>();
  readonly acked: { readonly index: number; readonly id: number }[] = [];
  now = 0;
  #entries = 0;
  #term = 0;

  constructor() {
    this.nodes = this.partition.replicas.map(({ replicaId }) => new Node(replicaId, this.recorded));
  }

  get partition() {
    return this.cluster.partition(this.group);
  }
  get recorded(): IsrRecord {
    const { isr, isrVersion, claim } = this.partition;
    return { isr, isrVersion, claim };
  }
  node(at: number): Node {
    return this.nodes[at % this.nodes.length] ?? assert.fail("a node");
  }
  of(leader: Leadership): Node | undefined {
    return this.nodes.find((node) => node.leads === leader);
  }

  /** The quorum learns of the new term; who is outside of it goes on as before. */
  elect(at: number, silent: number): void {
    const candidate = this.node(at);
    const quorum = this.nodes.filter((node) => node === candidate || node !== this.node(silent));
    if (quorum.length < 2 || quorum.some((node) => newer(node.log, candidate.log))) return;
    this.#term += 1;
    for (const node of quorum) this.#hear(node, this.#term);
    candidate.log.push({ term: this.#term, id: 0 });
    const noopIndex = toLogIndex(candidate.log.length);
    const term = toTerm(this.#term);
    const voters = this.nodes.map(({ replica }) => replica);
    const options = {
      group: this.group,
      self: candidate.replica,
      term,
      noopIndex,
      voters,
      replicaLagMaxMs: 1000,
      silentMs: 300,
      retryMs: 100,
    };
    const tracker = new IsrTracker(options, candidate.record, this.now);
    candidate.leads = { term, noopIndex, waits: new AckWaits(1e9), tracker, match: new Map(), heard: new Map(), commit: 0 };
  }

  #hear(node: Node, term: number): void {
    if (term <= node.term) return;
    node.term = term;
    node.leads?.waits.leadershipLost();
    node.leads = undefined;
  }

  produce(node: Node): void {
    const leader = node.leads;
    if (leader === undefined || refuseReplicas("ALL", leader.tracker.isrSize, 2) !== undefined) return;
    this.#entries += 1;
    const id = this.#entries;
    node.log.push({ term: leader.term, id });
    const index = node.log.length;
    leader.waits.add("ALL", toLogIndex(index), 1, (failure) => {
      if (failure === undefined) this.acked.push({ index, id });
    });
  }

  /** Appends reach the follower and its disk; the reply is under way. */
  replicate(from: Node, to: Node, count: number): void {
    const leader = from.leads;
    if (leader === undefined || from === to || leader.term < to.term) return;
    this.#hear(to, leader.term);
    let same = 0;
    while (same < to.log.length && same < from.log.length && to.log[same]?.term === from.log[same]?.term) same += 1;
    const upTo = Math.min(from.log.length, same + count);
    // Only a conflict cuts; a shorter append leaves what is beyond it.
    if (same < to.log.length && upTo > same) to.log.length = same;
    to.log.push(...from.log.slice(to.log.length, upTo));
    to.durable = to.log.length;
    this.replies.push({ leader, from: to.replica, match: Math.max(same, upTo) });
  }

  reply(at: number, keep: boolean): void {
    const message = this.replies[at % Math.max(1, this.replies.length)];
    if (message === undefined) return;
    if (!keep) this.replies.splice(this.replies.indexOf(message), 1);
    const { leader, from, match } = message;
    leader.match.set(from, Math.max(match, leader.match.get(from) ?? 0));
    leader.heard.set(from, this.now);
  }

  tick(node: Node): void {
    const { leads } = node;
    if (leads === undefined || this.open.has(leads.tracker)) return;
    const command = leads.tracker.tick(
      {
        lastIndex: toLogIndex(node.log.length),
        commit: toLogIndex(leads.commit),
        durable: toLogIndex(node.durable),
        follower: (replica) => ({ match: toLogIndex(leads.match.get(replica) ?? 0), heardAt: leads.heard.get(replica) ?? 0 }),
      },
      this.now,
    );
    if (command === undefined) return;
    this.open.set(leads.tracker, command);
    this.commands.push({ tracker: leads.tracker, command });
  }

  control(at: number, keep: boolean): void {
    const message = this.commands[at % Math.max(1, this.commands.length)];
    if (message === undefined) return;
    if (!keep) this.commands.splice(this.commands.indexOf(message), 1);
    const { tracker, command } = message;
    const { group: groupId, isr } = command;
    const result =
      command.kind === "leaderClaim"
        ? this.cluster.isrResult({ kind: "leaderClaim", claims: [{ ...command, groupId, isr }] })
        : this.cluster.isrResult({ kind: "alterIsr", proposals: [{ ...command, groupId, isr }] });
    this.answers.push({ tracker, command, answer: answerOf(result) });
  }

  answer(at: number, lost: boolean): void {
    const message = this.answers[at % Math.max(1, this.answers.length)];
    if (message === undefined) return;
    this.answers.splice(this.answers.indexOf(message), 1);
    const { tracker, command, answer } = message;
    if (this.open.get(tracker) !== command) return;
    this.open.delete(tracker);
    tracker.answered(lost ? { kind: "unknown" } : answer, this.now);
  }

  image(node: Node): void {
    node.record = this.recorded;
    node.leads?.tracker.recorded(node.record);
  }

  /** What every leader does after every event. */
  examine(): void {
    for (const node of this.nodes) {
      const { leads } = node;
      if (leads === undefined) continue;
      const durableOf = (replica: ReplicaId) => toLogIndex(replica === node.replica ? node.durable : (leads.match.get(replica) ?? 0));
      const majority = this.nodes.map(({ replica }) => durableOf(replica)).sort((a, b) => b - a)[1] ?? 0;
      if (majority > leads.commit && node.log[majority - 1]?.term === leads.term) leads.commit = majority;
      const { required, isrSize } = leads.tracker;
      leads.waits.update({
        commit: toLogIndex(leads.commit),
        durableOwn: toLogIndex(node.durable),
        required,
        durableOf,
        isrSize,
        minIsr: 2,
      });
    }
    const { isr } = this.partition;
    for (const { index, id } of this.acked) {
      for (const node of this.nodes) {
        if (!isr.includes(node.replica)) continue;
        assert.ok(
          node.durable >= index && node.log[index - 1]?.id === id,
          `record ${id} was acknowledged at ALL and is not on replica ${node.replica} of the ISR`,
        );
      }
    }
  }
}

function answerOf({ outcome, isr, isrVersion, leaderReplicaId, leaderTerm }: IsrResult): IsrAnswer {
  if (outcome !== IsrOutcome.recorded) return { kind: "refused", isrVersion };
  return { kind: "recorded", record: { isr, isrVersion, claim: { replicaId: leaderReplicaId, term: leaderTerm } } };
}

describe("acks=ALL", () => {
  const node = fc.nat(2);
  const event = fc.oneof(
    { weight: 1, arbitrary: fc.record({ do: fc.constant("elect" as const), node, silent: fc.nat(2) }) },
    { weight: 8, arbitrary: fc.record({ do: fc.constant("produce" as const), node }) },
    {
      weight: 16,
      arbitrary: fc.record({
        do: fc.constant("replicate" as const),
        node,
        to: node,
        count: fc.integer({ min: 0, max: 9 }),
        lost: fc.nat(5),
      }),
    },
    { weight: 6, arbitrary: fc.record({ do: fc.constant("reply" as const), which: fc.nat(9), keep: fc.boolean() }) },
    { weight: 8, arbitrary: fc.record({ do: fc.constant("sync" as const), node }) },
    { weight: 10, arbitrary: fc.record({ do: fc.constant("tick" as const), node, ms: fc.constantFrom(0, 100, 100, 140, 400) }) },
    { weight: 8, arbitrary: fc.record({ do: fc.constant("control" as const), which: fc.nat(5), keep: fc.nat(2) }) },
    { weight: 8, arbitrary: fc.record({ do: fc.constant("answer" as const), which: fc.nat(5), lost: fc.nat(4) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant("image" as const), node }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant("link" as const), node, other: node, gone: fc.boolean() }) },
  );

  it("is durable on every member of every ISR recorded afterwards", () => {
    let acked = 0;
    let changes = 0;
    fc.assert(
      fc.property(fc.array(event, { minLength: 100, maxLength: 250, size: "max" }), (events) => {
        const world = new World();
        world.elect(0, 2);
        for (const each of events) {
          if (each.do === "elect") world.elect(each.node, each.silent);
          else if (each.do === "produce") world.produce(world.node(each.node));
          else if (each.do === "replicate") {
            world.replicate(world.node(each.node), world.node(each.to), each.count);
            if (each.lost > 0) world.reply(world.replies.length - 1, false);
          } else if (each.do === "reply") world.reply(each.which, each.keep);
          else if (each.do === "sync") world.node(each.node).durable = world.node(each.node).log.length;
          else if (each.do === "tick") {
            world.now += each.ms;
            world.tick(world.node(each.node));
          } else if (each.do === "control") world.control(each.which, each.keep === 0);
          else if (each.do === "answer") world.answer(each.which, each.lost === 0);
          else if (each.do === "image") world.image(world.node(each.node));
          else {
            const tracker = world.node(each.node).leads?.tracker;
            if (each.gone) tracker?.peerGone(world.node(each.other).replica);
            else tracker?.peerBack(world.node(each.other).replica);
          }
          world.examine();
        }
        acked += world.acked.length;
        changes += world.partition.isrVersion - 1;
      }),
      { numRuns: 200 },
    );
    assert.ok(acked > 200 && changes > 200, `the runs mean something: ${acked} acknowledged, ${changes} changes of the ISR`);
  });
});
