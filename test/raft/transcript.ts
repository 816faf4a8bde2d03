import type { Configuration } from "../../src/raft/types.ts";
import { FrameType } from "../../src/records/frame-types.ts";
import {
  index,
  optionsFor,
  type Packet,
  replica,
  seededDraw,
  TestCluster,
  type TestEntry,
  type TestMessage,
  type TestReplica,
  term,
} from "./harness.ts";
import { Invariants } from "./invariants.ts";

/**
 * Runs a story about a Raft group and writes down what happened. A story is a list of lines: `# comment`, `> command; command`,
 * and under each command line, indented, what the replicas did. Running it writes the indented lines anew.
 *
 * Commands: `voters 1 2 3`, `learners 4`, `set NAME VALUE` (options, before the first use), `elect N`, `propose N words…`,
 * `settle`, `advance MS`, `isolate N`, `cut A B` (A to B), `lose KIND` (of message), `heal`, `slow N` (its writes return by `sync`), `fast N`, `sync N [k]`,
 * `crash N [kept]`, `restart N`, `transfer A B`, `read N context`, `gone N X` (N learns that X's broker is gone), `forget N index`,
 * `bulk FROM TO k` (k frames of a bulk catch-up), `extended FROM TO`, `fail N` (storage error), `beats on|off`, `state`,
 * `join N` (a new, empty and silent replica, told the first members), `change L voters 1 2 4 learners 5`, `amnesia N k` (N crashes and its disk
 * forgets k entries and its vote; `restart` follows), `hole N` (N is of last resort), `trim N index`, `reset FROM TO index`.
 */
export function runTranscript(story: string): string {
  const teller = new Teller();
  const out: string[] = [];
  for (const line of story.split("\n")) {
    if (line.startsWith("  ")) continue;
    out.push(line);
    if (line.startsWith("> ")) for (const did of teller.tell(line.slice(2))) out.push(`  ${did}`);
  }
  return out.join("\n");
}

class Teller {
  #cluster = new TestCluster();
  #invariants = new Invariants(this.#cluster);
  #voters: number[] = [];
  #learners: number[] = [];
  #settings: Record<string, number> = {};
  #beats = false;
  #lines: string[] = [];

  tell(commands: string): string[] {
    this.#lines = [];
    for (const command of commands.split(";")) this.#run(command.trim().split(/\s+/));
    for (const each of this.#cluster.replicas.values()) this.#invariants.check(each);
    return this.#lines;
  }

  #start(): void {
    if (this.#cluster.replicas.size > 0) return;
    const cluster = this.#cluster;
    const configuration = { voters: this.#voters.map(replica), learners: this.#learners.map(replica) };
    for (const id of [...this.#voters, ...this.#learners])
      cluster.add(optionsFor(id, configuration, { draw: seededDraw(id), ...this.#settings }));
    cluster.onReady = (of, ready) => {
      this.#invariants.onReady(of, ready);
      const did: string[] = [];
      if (ready.write?.state !== undefined) did.push(`state t${ready.write.state.term} vote ${ready.write.state.votedFor ?? "-"}`);
      if (ready.write?.truncateFrom !== undefined) did.push(`cut from ${ready.write.truncateFrom}`);
      if (ready.write !== undefined && ready.write.entries.length > 0) did.push(`append ${entries(ready.write.entries)}`);
      if (ready.write !== undefined && of.slowDisk) did.push(`(write ${ready.write.seq} under way)`);
      if (ready.committed !== undefined) did.push(`commit ${ready.committed}`);
      for (const read of ready.reads) did.push(`read ${read.context} ${read.index === undefined ? "refused" : `at ${read.index}`}`);
      if (ready.role !== undefined)
        did.push(`${ready.role.role} t${ready.role.term}${ready.role.leader === undefined ? "" : ` of ${ready.role.leader}`}`);
      if (ready.transferEnded !== undefined)
        did.push(`transfer to ${ready.transferEnded.to} ${ready.transferEnded.done ? "done" : "given up"}`);
      for (const { to, from, upTo } of ready.extend) did.push(`stream ${from}..${upTo} to ${to}`);
      for (const { to, start } of ready.reset) did.push(`reset ${to} at ${start.index}@${start.term}`);
      if (ready.configuration !== undefined) did.push(`in force: ${members(ready.configuration)}`);
      if (ready.quarantineBegan) did.push("quarantined");
      if (ready.quarantineEnded) did.push("quarantine is over");
      if (did.length > 0) this.#lines.push(`${of.id}: ${did.join(", ")}`);
      const sent = ready.send.filter(({ message }) => this.#beats || !message.kind.startsWith("heartbeat"));
      for (const { to, message, range } of sent) {
        const filled = message.kind === "append" && range ? { ...message, entries: of.log.slice(range.first - 1, range.last) } : message;
        this.#lines.push(`${of.id} -> ${to} ${describe(filled)}${cluster.passes({ from: of.id, to, message }) ? "" : "  (lost)"}`);
      }
    };
  }

  #run(words: readonly string[]): void {
    const [verb = "", ...rest] = words;
    const numbers = rest.map(Number);
    if (verb === "voters") this.#voters = numbers;
    else if (verb === "learners") this.#learners = numbers;
    else if (verb === "set") this.#settings[rest[0] ?? ""] = Number(rest[1]);
    else {
      this.#start();
      this.#act(verb, rest, numbers[0] ?? 0, numbers[1] ?? 0, numbers[2] ?? 0);
    }
  }

  #act(verb: string, rest: readonly string[], a: number, b: number, c: number): void {
    const cluster = this.#cluster;
    const at = (id: number): TestReplica => cluster.at(id);
    switch (verb) {
      case "elect":
        cluster.elect(a);
        return;
      case "propose": {
        const result = at(a).propose(...rest.slice(1));
        if (result.kind === "refused") this.#lines.push(`${a}: refused, ${result.why}`);
        return;
      }
      case "settle":
        cluster.settle();
        return;
      case "advance":
        cluster.advance(a);
        return;
      case "lose":
        cluster.loses = ({ message }) => message.kind === rest[0];
        return;
      case "isolate":
        cluster.isolate(a);
        return;
      case "cut":
        cluster.cut(a, b);
        return;
      case "heal":
        cluster.heal();
        return;
      case "slow":
        at(a).slowDisk = true;
        return;
      case "fast":
        at(a).slowDisk = false;
        at(a).finishWrites();
        return;
      case "sync":
        at(a).finishTogether(rest.length > 1 ? b : at(a).writes.length);
        return;
      case "crash":
        at(a).crash(b);
        return;
      case "restart":
        at(a).restart();
        return;
      case "transfer": {
        const result = at(a).core.transfer(replica(b), cluster.now);
        if (result.kind === "refused") this.#lines.push(`${a}: refused, ${result.why}`);
        at(a).pump();
        return;
      }
      case "read":
        this.#invariants.asked(b);
        at(a).readIndex(b);
        return;
      case "gone":
        at(a).core.peerGone(replica(b), cluster.now);
        at(a).pump();
        return;
      case "forget":
        at(a).forgetBelow(b);
        return;
      case "bulk": {
        const after = at(b).log.length;
        at(b).takeBulk(at(a).log.slice(after, after + c));
        return;
      }
      case "extended":
        at(a).core.extended(replica(b), at(b).core.durable, cluster.now);
        at(a).pump();
        return;
      case "join":
        cluster.add(
          optionsFor(a, {
            voters: this.#voters.map(replica),
            learners: [...this.#learners, a].map(replica),
          }),
        );
        return;
      case "change": {
        const learners = rest.indexOf("learners");
        const end = learners === -1 ? rest.length : learners;
        const result = at(a).change(rest.slice(2, end).map(Number), rest.slice(end + 1).map(Number));
        if (result.kind === "refused") this.#lines.push(`${a}: refused, ${result.why}`);
        return;
      }
      case "amnesia":
        at(a).forget(b);
        this.#invariants.forgot(at(a));
        return;
      case "hole":
        at(a).core.lastResort = true;
        return;
      case "trim": {
        const { core } = at(a);
        core.trimmed({ index: index(b), term: core.termAt(index(b)) ?? term(0) });
        at(a).start = b;
        at(a).forgotBelow = b + 1;
        at(a).pump();
        return;
      }
      case "reset":
        at(b).install(at(a), c);
        at(a).core.resetDone(replica(b), { index: index(c), term: term(at(a).log[c - 1]?.term ?? 0) }, cluster.now);
        at(a).pump();
        return;
      case "fail":
        at(a).core.ioFailed();
        at(a).pump();
        return;
      case "beats":
        this.#beats = rest[0] === "on";
        return;
      case "state":
        for (const each of cluster.replicas.values()) this.#lines.push(stateOf(each));
        return;
      default:
        throw new Error(`unknown command: ${verb}`);
    }
  }
}

function stateOf(of: TestReplica): string {
  if (!of.up) return `${of.id}: down, disk t${of.disk.term} [${entries(of.disk.entries)}]`;
  const { core } = of;
  return `${of.id}: ${core.role} t${core.term}, log [${entries(of.log)}], durable ${core.durable}, commit ${core.commit}`;
}

function entries(of: readonly TestEntry[]): string {
  return of.map((entry) => `${entry.index}@${entry.term} ${contentOf(entry)}`).join(", ");
}

function contentOf(entry: TestEntry): string {
  if (entry.configuration !== undefined) return members(entry.configuration);
  return entry.type === FrameType.noop ? "no-op" : `${entry.payload}`;
}

function members({ voters, old, learners }: Configuration): string {
  const parts = [`voters ${voters.join(" ")}`];
  if (old !== undefined) parts.push(`old ${old.join(" ")}`);
  if (learners.length > 0) parts.push(`learners ${learners.join(" ")}`);
  return parts.join(" ");
}

function describe(message: Packet["message"]): string {
  return `${message.kind} t${message.term} ${detail(message)}`.trimEnd();
}

function impaired({ impaired: what }: { readonly impaired?: string }): string {
  return what === undefined ? "" : ` (${what})`;
}

function detail(message: TestMessage): string {
  switch (message.kind) {
    case "vote":
    case "preVote":
      return `last ${message.lastIndex}@${message.lastTerm}${message.transfer ? " transfer" : ""}`;
    case "voteReply":
    case "preVoteReply":
      return message.granted ? "granted" : "refused";
    case "append":
      return `after ${message.prevIndex}@${message.prevTerm} [${entries(message.entries)}] commit ${message.commit}`;
    case "appendReply":
      return `durable ${message.durable}${message.refused ? `, no match at ${message.refused.prevIndex}: look at ${message.refused.hintIndex}@${message.refused.hintTerm}` : ""}${impaired(message)}`;
    case "heartbeat":
      return `commit ${message.commit} round ${message.round}${message.remembered ? `, you had ${message.remembered.index}@${message.remembered.term}` : ""}`;
    case "heartbeatReply":
      return `durable ${message.durable} round ${message.round}${impaired(message)}`;
    case "extend":
      return `after ${message.matched}, next is of t${message.nextTerm}, up to ${message.upTo}`;
    case "timeoutNow":
    case "askTerm":
    case "tellTerm":
      return "";
    default:
      throw new Error("unknown message");
  }
}
