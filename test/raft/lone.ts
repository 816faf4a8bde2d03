import type { RaftOptions } from "../../src/raft/types.ts";
import { entriesOf, index, optionsFor, TestCluster, type TestMessage, type TestReplica, term, voters } from "./harness.ts";

export interface LoneStart {
  /** Terms of the entries in its log. */
  readonly log?: readonly number[];
  readonly term?: number;
  readonly votedFor?: number;
  readonly commit?: number;
  readonly quarantined?: boolean;
  readonly of?: readonly number[];
  readonly options?: Partial<RaftOptions>;
}

/** Replica 1 of a group whose other members are played by the test. */
export function lone(start: LoneStart = {}): TestReplica {
  const log = start.log ?? [];
  const options = optionsFor(1, voters(...(start.of ?? [1, 2, 3])), start.options);
  return new TestCluster().add(
    options,
    entriesOf(...log),
    start.term ?? log.at(-1) ?? 0,
    start.votedFor,
    start.commit ?? 0,
    start.quarantined,
  );
}

/** What it sent since the last call. */
export function outOf(of: TestReplica): { to: number; message: TestMessage }[] {
  const { cluster } = of;
  const sent = cluster.sent.map(({ to, message }) => ({ to, message }));
  cluster.sent = [];
  cluster.queue = [];
  return sent;
}

type Kind = TestMessage["kind"];
type OfKind<K extends Kind, M extends TestMessage = TestMessage> = M extends TestMessage ? (K extends M["kind"] ? M : never) : never;

export function messagesOf<K extends Kind>(of: TestReplica, kind: K): OfKind<K>[] {
  const found: OfKind<K>[] = [];
  for (const { message } of outOf(of)) if (isKind(message, kind)) found.push(message);
  return found;
}

function isKind<K extends Kind>(message: TestMessage, kind: K): message is OfKind<K> {
  return message.kind === kind;
}

export const vote = (
  atTerm: number,
  lastIndex: number,
  lastTerm: number,
  more: { transfer?: boolean; attempt?: number; kind?: "vote" | "preVote" } = {},
): TestMessage => ({
  kind: more.kind ?? "vote",
  term: term(atTerm),
  lastIndex: index(lastIndex),
  lastTerm: term(lastTerm),
  transfer: more.transfer ?? false,
  attempt: more.attempt ?? 1,
});

export const heartbeat = (atTerm: number, commit = 0, round = 0): TestMessage => ({
  kind: "heartbeat",
  term: term(atTerm),
  commit: index(commit),
  round,
});

export const append = (
  atTerm: number,
  prevIndex: number,
  prevTerm: number,
  entries: Extract<TestMessage, { kind: "append" }>["entries"] = [],
  commit = 0,
): TestMessage => ({
  kind: "append",
  term: term(atTerm),
  prevIndex: index(prevIndex),
  prevTerm: term(prevTerm),
  commit: index(commit),
  entries,
});

export const appendReply = (atTerm: number, durable: number): TestMessage => ({
  kind: "appendReply",
  term: term(atTerm),
  durable: index(durable),
});

/** Makes a lone replica of three the leader by playing its voters; returns with its messages read. */
export function leading(start: LoneStart = {}): TestReplica {
  const only = lone(start);
  only.timeOut();
  for (const kind of ["preVote", "vote"] as const) {
    const asked = messagesOf(only, kind)[0];
    if (asked === undefined) throw new Error(`no ${kind} was asked`);
    const reply = kind === "vote" ? "voteReply" : "preVoteReply";
    only.step(2, { kind: reply, term: asked.term, granted: true, attempt: asked.attempt });
    only.finishWrites();
    if ((start.of?.length ?? 3) > 3) {
      only.step(3, { kind: reply, term: asked.term, granted: true, attempt: asked.attempt });
      only.finishWrites();
    }
  }
  if (only.core.role !== "leader") throw new Error(`it is ${only.core.role}`);
  return only;
}
