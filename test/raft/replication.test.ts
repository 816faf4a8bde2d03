import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FrameType } from "../../src/records/frame-types.ts";
import { entriesOf, entryOf, index, optionsFor, replica, TestCluster, type TestReplica, term, voters } from "./harness.ts";
import { append, appendReply, heartbeat, leading, lone, messagesOf, outOf } from "./lone.ts";

const terms = (of: TestReplica): number[] => of.log.map((entry) => entry.term);

describe("Raft replication", () => {
  it("scenario 26: a conflicting suffix is cut exactly at the conflict, the matching part is untouched", () => {
    const follower = lone({ log: [1, 1, 2, 2], term: 2 });
    const kept = follower.log.slice(0, 3);
    follower.step(2, append(3, 1, 1, [entryOf(2, 1), entryOf(3, 2), entryOf(4, 3), entryOf(5, 3)]));
    const write = follower.readies.findLast((ready) => ready.write?.entries.length)?.write;
    assert.equal(write?.truncateFrom, 4);
    assert.deepEqual(
      write?.entries.map((entry) => entry.index),
      [4, 5],
    );
    assert.deepEqual(follower.log.slice(0, 3), kept);
    assert.deepEqual(terms(follower), [1, 1, 2, 3, 3]);
  });

  it("cuts what is at odds with an entry that was withheld for want of room, and nothing where it is not", () => {
    const follower = lone({ log: [1, 1, 2, 2], term: 2 });
    const withheld = (at: number, of: number) => ({ withheld: { index: index(at), term: term(of) } });
    follower.step(2, { ...append(4, 1, 1, [entryOf(2, 1)]), ...withheld(3, 2) });
    assert.deepEqual(terms(follower), [1, 1, 2, 2], "it is here");
    follower.step(2, { ...append(4, 3, 2), ...withheld(4, 3) });
    assert.deepEqual(terms(follower), [1, 1, 2]);
    follower.step(2, { ...append(4, 3, 2), ...withheld(4, 3) });
    assert.deepEqual(terms(follower), [1, 1, 2], "it is not here yet");
    follower.step(2, append(4, 3, 2, [entryOf(4, 3), entryOf(5, 4)], 5));
    assert.deepEqual(terms(follower), [1, 1, 2, 3, 4]);
    assert.equal(follower.core.commit, 5);
  });

  it("scenario 27: a delayed shorter append after a longer one cuts nothing", () => {
    const follower = lone({ log: [1], term: 1 });
    follower.step(2, append(1, 1, 1, [entryOf(2, 1), entryOf(3, 1), entryOf(4, 1)]));
    const writes = follower.readies.filter((ready) => ready.write !== undefined).length;
    follower.step(2, append(1, 1, 1, [entryOf(2, 1)]));
    follower.step(2, append(1, 1, 1));
    assert.equal(follower.core.lastIndex, 4);
    assert.equal(follower.readies.filter((ready) => ready.write !== undefined).length, writes);
  });

  it("scenario 28: duplicated and reordered appends leave the same log", () => {
    const parts = [append(2, 1, 1, [entryOf(2, 2)]), append(2, 2, 2, [entryOf(3, 2), entryOf(4, 2)]), append(2, 4, 2, [entryOf(5, 2)])];
    for (const order of [
      [0, 1, 2],
      [2, 1, 0, 1, 2],
      [0, 0, 1, 0, 2, 1, 2],
      [1, 0, 2, 1, 0, 2],
    ]) {
      const follower = lone({ log: [1, 1], term: 1 });
      for (const at of order) follower.step(2, parts[at] as (typeof parts)[number]);
      assert.deepEqual(terms(follower), [1, 2, 2, 2, 2], `order ${order}`);
      assert.equal(follower.core.durable, 5);
    }
  });

  it("scenario 29: a follower acknowledges only what is on its disk", () => {
    const follower = lone({ log: [1], term: 1 });
    follower.slowDisk = true;
    follower.step(2, append(1, 1, 1, [entryOf(2, 1)]));
    follower.step(2, append(1, 2, 1, [entryOf(3, 1)]));
    follower.step(2, append(1, 3, 1));
    follower.step(2, heartbeat(1));
    assert.deepEqual(
      outOf(follower).map(({ message }) => "durable" in message && message.durable),
      [1],
    );
    follower.finishWrite();
    assert.deepEqual(messagesOf(follower, "appendReply"), [{ kind: "appendReply", term: 1, durable: 2 }]);
    follower.finishWrite();
    assert.deepEqual(messagesOf(follower, "appendReply"), [{ kind: "appendReply", term: 1, durable: 3 }]);
  });

  it("scenario 29: an acknowledgement covers only what was compared with this leader", () => {
    // Entries 2 and 3 are on disk, but whether this leader has them is not known.
    const follower = lone({ log: [1, 1, 1], term: 1 });
    follower.step(2, append(2, 1, 1));
    follower.step(2, heartbeat(2, 3));
    assert.deepEqual(
      outOf(follower).map(({ message }) => "durable" in message && message.durable),
      [1, 1],
    );
  });

  it("scenario 30: a leader counts itself only after its own fsync; a majority of others may commit first", () => {
    const leader = leading({ of: [1, 2, 3] });
    leader.slowDisk = true;
    leader.propose("a");
    const at = leader.core.lastIndex;
    leader.step(2, appendReply(leader.core.term, at));
    assert.ok(leader.core.commit < at);
    leader.step(3, appendReply(leader.core.term, at));
    assert.equal(leader.core.commit, at);
    assert.ok(leader.core.durable < at);
    leader.propose("b");
    leader.step(2, appendReply(leader.core.term, at + 1));
    assert.equal(leader.core.commit, at);
    leader.finishWrites();
    assert.equal(leader.core.commit, at + 1);
  });

  it("scenario 31, core half: an index overwritten by two later leaders is not acknowledged by the old write", () => {
    const follower = lone({ log: [1], term: 1 });
    follower.slowDisk = true;
    follower.step(2, append(1, 1, 1, [entryOf(2, 1), entryOf(3, 1)]));
    follower.step(3, append(2, 1, 1, [entryOf(2, 2)]));
    follower.step(2, append(3, 1, 1, [entryOf(2, 3)]));
    outOf(follower);
    // The write of 2@1 and 3@1 returns: neither stands in the log any more.
    follower.finishWrite();
    assert.equal(follower.core.durable, 1);
    follower.finishWrite();
    assert.equal(follower.core.durable, 1);
    assert.deepEqual(outOf(follower), []);
    follower.finishWrite();
    assert.equal(follower.core.durable, 2);
    assert.deepEqual(messagesOf(follower, "appendReply").at(-1), { kind: "appendReply", term: 3, durable: 2 });
    assert.deepEqual(
      follower.disk.entries.map((entry) => entry.term),
      [1, 3],
    );
  });

  it("scenario 31, core half: when the same entry comes back after a cut, only its own write makes it durable", () => {
    const follower = lone({ log: [1], term: 1 });
    follower.slowDisk = true;
    follower.step(2, append(1, 1, 1, [entryOf(2, 1)]));
    follower.step(3, append(2, 1, 1, [entryOf(2, 2)]));
    follower.step(2, append(3, 1, 1, [entryOf(2, 1), entryOf(3, 3)]));
    follower.finishWrite();
    // 2@1 reached the disk, then 2@2 is to overwrite it: durable now would be a lie after the next write.
    assert.equal(follower.core.durable, 1);
    follower.finishWrites();
    assert.equal(follower.core.durable, 3);
  });

  it("scenario 32: an entry of an older term on a majority is not committed until one of the present term is (Figure 8)", () => {
    const leader = leading({ log: [1, 2], term: 3, of: [1, 2, 3, 4, 5] });
    leader.step(2, appendReply(leader.core.term, 2));
    leader.step(3, appendReply(leader.core.term, 2));
    leader.step(4, appendReply(leader.core.term, 2));
    assert.equal(leader.core.commit, 0);
    leader.step(2, appendReply(leader.core.term, 3));
    assert.equal(leader.core.commit, 0);
    leader.step(3, appendReply(leader.core.term, 3));
    assert.equal(leader.core.commit, 3);
  });

  it("scenario 33: a new leader appends a no-op at once, and its term is confirmed when that commits", () => {
    const leader = leading({ log: [1], term: 1 });
    assert.equal(leader.core.noopIndex, 2);
    assert.deepEqual(leader.log.at(-1), { index: 2, term: leader.core.term, type: FrameType.noop, bytes: 128, payload: undefined });
    assert.ok(leader.core.commit < (leader.core.noopIndex ?? 0));
    leader.step(3, appendReply(leader.core.term, 2));
    assert.equal(leader.core.commit, 2);
  });

  it("scenario 34: a follower commits up to the last index matched in this term, on appends and heartbeats", () => {
    const follower = lone({ log: [1, 1, 1], term: 1 });
    follower.step(2, heartbeat(2, 3));
    assert.equal(follower.core.commit, 0);
    follower.step(2, append(2, 1, 1, [], 3));
    assert.equal(follower.core.commit, 1);
    follower.step(2, heartbeat(2, 3));
    assert.equal(follower.core.commit, 1);
    follower.step(2, append(2, 1, 1, [entryOf(2, 1)], 9));
    assert.equal(follower.core.commit, 2);
    // A new term: what matched the last leader says nothing about this one.
    follower.step(3, heartbeat(3, 3));
    assert.equal(follower.core.commit, 2);
  });

  it("scenario 35: the commit index never falls, whatever a leader says", () => {
    const follower = lone({ log: [1, 1, 1], term: 1, commit: 2 });
    follower.step(2, append(1, 3, 1, [], 3));
    assert.equal(follower.core.commit, 3);
    follower.step(2, heartbeat(1, 1));
    follower.step(3, append(2, 3, 1, [], 0));
    assert.equal(follower.core.commit, 3);
  });

  it("scenario 35: cutting a committed entry is a bug that stops the replica", () => {
    const follower = lone({ log: [1, 1, 1], term: 1, commit: 3 });
    assert.throws(() => follower.step(2, append(2, 1, 1, [entryOf(2, 2)])), /cannot cut at 2: entries up to 3 are committed/);
  });

  it("scenario 36: a leader never cuts its log; a second leader of its term is a bug that stops it", () => {
    const leader = leading();
    leader.propose("a");
    assert.throws(() => leader.step(2, append(leader.core.term, 0, 0, [entryOf(1, leader.core.term)])), /both lead term/);
    assert.ok(leader.readies.every((ready) => ready.write?.truncateFrom === undefined));
  });

  it("scenario 37: a full window whose acknowledgements are lost opens again by the heartbeat's durable index", () => {
    const cluster = TestCluster.of([1, 2, 3], { inflightMessagesMax: 2, appendBytesMax: 100 });
    const leader = cluster.elect(1);
    cluster.advance(200);
    cluster.loses = ({ message }) => message.kind === "appendReply";
    for (const payload of ["a", "b", "c", "d", "e", "f"]) leader.propose(payload);
    cluster.settle();
    assert.ok(cluster.at(2).core.lastIndex < leader.core.lastIndex);
    // Acknowledgements stay lost for ever: heartbeats alone carry it.
    cluster.advance(1000);
    assert.equal(cluster.at(2).core.lastIndex, leader.core.lastIndex);
    assert.equal(leader.core.commit, leader.core.lastIndex);
  });

  it("scenario 37: lost appends with nothing behind them are found and sent again", () => {
    for (const lost of [1, 2, 5]) {
      const cluster = TestCluster.of([1, 2, 3]);
      const leader = cluster.elect(1);
      cluster.advance(200);
      let left = lost * 2;
      cluster.loses = ({ message }) => message.kind === "append" && message.entries.length > 0 && left-- > 0;
      for (let i = 0; i < lost; i++) leader.propose(`p${i}`);
      cluster.advance(600);
      assert.equal(leader.core.commit, leader.core.lastIndex, `${lost} lost`);
    }
  });

  it("scenario 37: the window holds in messages and in bytes, and one message always goes", () => {
    const byMessages = leading({ options: { inflightMessagesMax: 3, appendBytesMax: 100 } });
    byMessages.step(2, appendReply(byMessages.core.term, byMessages.core.lastIndex));
    outOf(byMessages);
    byMessages.propose("a", "b", "c", "d", "e");
    assert.equal(outOf(byMessages).filter(({ to }) => to === 2).length, 3);
    const byBytes = leading({ options: { inflightBytesMax: 1, appendBytesMax: 1 } });
    byBytes.step(2, appendReply(byBytes.core.term, byBytes.core.lastIndex));
    outOf(byBytes);
    byBytes.propose("a", "b", "c");
    const sent = outOf(byBytes).filter(({ to }) => to === 2);
    assert.equal(sent.length, 1);
    byBytes.step(2, appendReply(byBytes.core.term, 2));
    assert.equal(outOf(byBytes).filter(({ to }) => to === 2).length, 1);
  });

  it("scenario 39: an entry above the limit is refused at propose, and replication goes on", () => {
    const cluster = TestCluster.of([1, 2, 3]);
    const leader = cluster.elect(1);
    cluster.settle();
    const { lastIndex } = leader.core;
    const sized = (bytes: number) =>
      leader.core.propose(
        [
          { type: FrameType.data, bytes: 10, payload: "a" },
          { type: FrameType.data, bytes, payload: "b" },
        ],
        leader.core.term,
      );
    assert.deepEqual(sized(1025), { kind: "refused", why: "too-large" });
    assert.equal(leader.core.lastIndex, lastIndex);
    assert.equal(sized(1024).kind, "accepted");
    leader.pump();
    cluster.settle();
    assert.equal(leader.core.commit, lastIndex + 2);
  });

  it("scenario 40: above the uncommitted limit data is refused until something commits", () => {
    const leader = leading({ options: { uncommittedBytesMax: 300 } });
    leader.step(2, appendReply(leader.core.term, 1));
    assert.equal(leader.propose("a", "b", "c").kind, "accepted");
    assert.deepEqual(leader.propose("d"), { kind: "refused", why: "full" });
    // Configurations pass: they may be the way out.
    assert.equal(leader.change([1, 2, 3], [4]).kind, "accepted");
    leader.step(2, appendReply(leader.core.term, 3));
    leader.step(2, appendReply(leader.core.term, 5));
    assert.equal(leader.propose("d").kind, "accepted");
  });

  it("scenario 40: into an empty pipeline one batch always fits", () => {
    const leader = leading({ options: { uncommittedBytesMax: 50 } });
    leader.step(2, appendReply(leader.core.term, 1));
    assert.equal(leader.propose("larger than the limit").kind, "accepted");
    assert.equal(leader.propose("b").kind, "refused");
  });

  it("scenario 40: what recovery brought back does not count against a new leader", () => {
    const leader = leading({ log: Array.from({ length: 50 }, () => 1), term: 1, options: { uncommittedBytesMax: 300 } });
    assert.equal(leader.propose("a").kind, "accepted");
  });

  it("scenario 41: a long divergent log costs one round trip per term, not one per entry", () => {
    const cluster = new TestCluster();
    const ours = entriesOf(
      ...Array.from({ length: 300 }, () => 1),
      ...Array.from({ length: 300 }, () => 4),
      ...Array.from({ length: 300 }, () => 6),
    );
    const theirs = entriesOf(
      ...Array.from({ length: 300 }, () => 1),
      ...Array.from({ length: 200 }, () => 2),
      ...Array.from({ length: 200 }, () => 3),
      ...Array.from({ length: 190 }, () => 5),
    );
    cluster.add(optionsFor(1, voters(1, 2, 3)), ours, 6);
    cluster.add(optionsFor(2, voters(1, 2, 3)), theirs, 6);
    cluster.add(optionsFor(3, voters(1, 2, 3)), ours, 6);
    cluster.elect(1);
    cluster.advance(300);
    assert.deepEqual(terms(cluster.at(2)), terms(cluster.at(1)));
    const refusals = cluster.sent.filter(
      ({ from, message }) => from === 2 && message.kind === "appendReply" && message.refused !== undefined,
    );
    assert.ok(refusals.length <= 4, `${refusals.length} refusals`);
  });

  it("scenario 42, core half: a follower that takes nothing more does not hold up the others, and its window bounds what is sent", () => {
    const cluster = TestCluster.of([1, 2, 3], { inflightMessagesMax: 4 });
    const leader = cluster.elect(1);
    cluster.advance(200);
    cluster.cut(3, 1);
    cluster.loses = ({ to }) => to === 3;
    cluster.sent = [];
    for (let i = 0; i < 100; i++) {
      leader.propose(`p${i}`);
      cluster.settle();
      assert.equal(leader.core.commit, leader.core.lastIndex);
    }
    assert.equal(cluster.sent.filter(({ to, message }) => to === 3 && message.kind === "append").length, 4);
  });

  it("a question of which no entry was taken is asked again with entries when a heartbeat is answered, and not before", () => {
    const leader = leading();
    leader.propose(...Array.from({ length: 30 }, (_, at) => `p${at}`));
    outOf(leader);
    const entries = () => messagesOf(leader, "append").map((each) => each.entries.length);
    const beat = (durable: number) => leader.step(2, { kind: "heartbeatReply", term: leader.core.term, round: 0, durable: index(durable) });
    leader.step(2, appendReply(leader.core.term, 0));
    assert.deepEqual(entries(), [], "no room: neither the window nor the question again");
    leader.step(2, appendReply(leader.core.term, 0));
    assert.deepEqual(entries(), []);
    for (let beats = 0; beats < 3; beats++) {
      beat(0);
      assert.deepEqual(entries(), [9], "one question with what an append holds");
      leader.step(2, appendReply(leader.core.term, 0));
      assert.deepEqual(entries(), []);
    }
    beat(0);
    outOf(leader);
    leader.step(2, appendReply(leader.core.term, 4));
    assert.deepEqual(entries(), [10, 10, 7], "room: the window, at once");
  });

  it("a question that found no place, or carried nothing, is followed at once", () => {
    const leader = leading({ log: [1, 1, 1, 1], term: 1 });
    outOf(leader);
    const atTerm = leader.core.term;
    const refused = { prevIndex: index(4), hintIndex: index(2), hintTerm: term(1) };
    leader.step(2, { kind: "appendReply", term: atTerm, durable: index(0), refused });
    const again = messagesOf(leader, "append");
    assert.deepEqual(
      again.map((each) => [each.prevIndex, each.entries.length]),
      [[2, 1]],
    );
    // Nothing is heard of that one: it is asked without entries, and the answer opens the window.
    leader.step(2, { kind: "heartbeatReply", term: atTerm, round: 0, durable: index(0) });
    assert.deepEqual(
      messagesOf(leader, "append").map((each) => [each.prevIndex, each.entries.length]),
      [[2, 0]],
    );
    leader.step(2, appendReply(atTerm, 2));
    assert.deepEqual(
      messagesOf(leader, "append").map((each) => [each.prevIndex, each.entries.length]),
      [
        [2, 1],
        [3, 1],
        [4, 1],
      ],
    );
  });

  it("a follower that has no room is sent an append with each heartbeat, and all it lacks once it has some", () => {
    const cluster = TestCluster.of([1, 2, 3]);
    const leader = cluster.elect(1);
    cluster.advance(300);
    let full = true;
    const follower = cluster.at(3);
    const step = follower.core.step.bind(follower.core);
    follower.core.step = (from, message, now) => {
      const first = message.kind === "append" ? message.entries[0] : undefined;
      if (!full || first === undefined || message.kind !== "append" || message.prevIndex > follower.core.lastIndex)
        step(from, message, now);
      else step(from, { ...message, entries: [], withheld: { index: first.index, term: first.term } }, now);
    };
    leader.propose(...Array.from({ length: 50 }, (_, at) => `p${at}`));
    cluster.advance(500);
    cluster.sent = [];
    cluster.advance(1000);
    const toIt = cluster.sent.filter(({ to, message }) => to === 3 && message.kind === "append");
    assert.ok(toIt.length >= 8 && toIt.length <= 12, `${toIt.length} appends in ten heartbeats`);
    full = false;
    cluster.advance(110);
    assert.equal(follower.core.lastIndex, leader.core.lastIndex);
  });

  it("scenario 43, core half: a replica whose storage failed stops, and never acknowledges", () => {
    const cluster = TestCluster.of([1, 2, 3]);
    const leader = cluster.elect(1);
    leader.slowDisk = true;
    leader.propose("a");
    leader.readIndex(9);
    leader.core.ioFailed();
    leader.pump();
    assert.equal(leader.core.nextDeadline, Number.POSITIVE_INFINITY);
    assert.equal(leader.core.role, "follower");
    assert.deepEqual(leader.reads, [{ context: 9, index: undefined }]);
    assert.deepEqual(leader.propose("b"), { kind: "refused", why: "failed" });
    cluster.sent = [];
    leader.core.ioDone(leader.writes[0]?.seq ?? 0, cluster.now);
    leader.step(2, heartbeat(9));
    leader.cluster.now += 60_000;
    leader.tick();
    assert.deepEqual(cluster.sent, []);
    assert.equal(leader.core.drain(), undefined);
    cluster.advance(2000);
    assert.equal(cluster.leaders().length, 1);
  });

  it("a proposal for another term is refused: it was validated against a state that may be gone", () => {
    const leader = leading();
    assert.deepEqual(leader.core.propose([{ type: FrameType.data, bytes: 1, payload: "a" }], term(leader.core.term - 1)), {
      kind: "refused",
      why: "term-moved",
    });
  });

  it("learners are sent everything and count for nothing", () => {
    const cluster = TestCluster.of([1, 2, 3], {}, [4, 5]);
    const leader = cluster.elect(1);
    cluster.advance(200);
    for (const id of [2, 3]) cluster.isolate(id);
    leader.propose("not committed");
    cluster.advance(300);
    assert.equal(cluster.at(4).core.lastIndex, leader.core.lastIndex);
    assert.ok(leader.core.commit < leader.core.lastIndex);
    assert.equal(leader.core.progress(replica(4))?.learner, true);
    cluster.advance(1000);
    assert.notEqual(leader.core.role, "leader");
  });

  it("with eagerCommit an idle learner hears of the commit at once, without it with the next heartbeat", () => {
    for (const eagerCommit of [true, false]) {
      const cluster = TestCluster.of([1, 2, 3], { eagerCommit }, [4]);
      const leader = cluster.elect(1);
      cluster.advance(200);
      leader.propose("a");
      cluster.settle();
      assert.equal(cluster.at(4).core.commit === leader.core.commit, eagerCommit);
      cluster.advance(100);
      assert.equal(cluster.at(4).core.commit, leader.core.commit);
    }
  });
});

describe("Raft bulk catch-up", () => {
  /** Three voters; 3 missed entries that the leader no longer has in memory. */
  function behind(): { cluster: TestCluster; leader: TestReplica; far: TestReplica } {
    const cluster = TestCluster.of([1, 2, 3]);
    const leader = cluster.elect(1);
    cluster.advance(200);
    cluster.isolate(3);
    leader.propose("a", "b", "c", "d");
    cluster.settle();
    leader.forgetBelow(leader.core.commit + 1);
    cluster.heal();
    return { cluster, leader, far: cluster.at(3) };
  }

  const asked = (of: TestReplica) => of.readies.flatMap((ready) => ready.extend);

  it("asks for a stream when frames left memory, and goes on with appends behind it", () => {
    const { cluster, leader, far } = behind();
    cluster.advance(300);
    assert.deepEqual(asked(leader), [{ to: 3, from: 2, upTo: 5 }]);
    assert.deepEqual(far.core.extending, { after: 1, upTo: 5 });
    assert.equal(leader.core.progress(replica(3))?.mode, "extend");
    leader.propose("e");
    cluster.settle();
    assert.equal(far.core.lastIndex, 1);
    far.takeBulk(leader.log.slice(1, 3));
    assert.deepEqual(far.core.extending, { after: 1, upTo: 5 });
    far.takeBulk(leader.log.slice(3, 5));
    assert.equal(far.core.extending, undefined);
    leader.core.extended(replica(3), index(5), cluster.now);
    leader.pump();
    cluster.settle();
    assert.deepEqual(far.payloads(), leader.payloads());
    assert.equal(leader.core.progress(replica(3))?.match, 6);
  });

  it("starts over after a broken stream, from where it got to", () => {
    const { cluster, leader, far } = behind();
    cluster.advance(300);
    far.takeBulk(leader.log.slice(1, 3));
    leader.core.extended(replica(3), undefined, cluster.now);
    leader.pump();
    cluster.advance(300);
    assert.deepEqual(asked(leader).at(-1), { to: 3, from: 4, upTo: 5 });
    far.takeBulk(leader.log.slice(3, 5));
    cluster.advance(300);
    assert.equal(leader.core.progress(replica(3))?.mode, "replicate");
  });

  it("cuts the follower's log only at a proved conflict: entries equal to the leader's stay on its disk", () => {
    // Entries 2 and 3 are committed because this disk has them; a leader that asks to start at 1 has only forgotten that.
    const follower = lone({ log: [1, 1, 1], term: 1 });
    follower.step(2, { kind: "extend", term: term(2), matched: index(1), nextTerm: term(1), upTo: index(9) });
    assert.equal(follower.core.extending, undefined);
    assert.equal(follower.core.lastIndex, 3);
    assert.deepEqual(messagesOf(follower, "appendReply")[0]?.refused, { prevIndex: 1, hintIndex: 3, hintTerm: 1 });
    follower.step(2, { kind: "extend", term: term(2), matched: index(1), nextTerm: term(2), upTo: index(9) });
    assert.deepEqual(follower.core.extending, { after: 1, upTo: 9 });
    assert.equal(follower.core.lastIndex, 1);
  });

  it("never cuts what is committed or was found equal", () => {
    const follower = lone({ log: [1, 1, 1], term: 1, commit: 2 });
    follower.step(2, { kind: "extend", term: term(2), matched: index(1), nextTerm: term(2), upTo: index(9) });
    assert.equal(follower.core.lastIndex, 3);
    follower.step(2, append(2, 3, 1));
    follower.step(2, { kind: "extend", term: term(2), matched: index(2), nextTerm: term(2), upTo: index(9) });
    assert.equal(follower.core.lastIndex, 3);
    assert.equal(follower.core.extending, undefined);
  });

  it("streams only what the follower lacks, also when the leader forgot how far it matches", () => {
    const { cluster, leader, far } = behind();
    cluster.advance(300);
    far.takeBulk(leader.log.slice(1, 5));
    leader.core.extended(replica(3), index(5), cluster.now);
    leader.pump();
    cluster.settle();
    // A new leader knows nothing of anybody's match, and has frames in memory only from 6 on.
    cluster.at(2).forgetBelow(cluster.at(2).core.commit + 1);
    leader.crash();
    cluster.until(() => cluster.leaders().length === 1, 3000);
    const next = cluster.leader();
    const other = next.id === 2 ? far : cluster.at(2);
    next.core.peerGone(other.id, cluster.now);
    next.core.peerBack(other.id, cluster.now);
    next.pump();
    cluster.advance(500);
    assert.deepEqual(asked(next), []);
    assert.equal(next.core.commit, next.core.lastIndex);
    assert.equal(next.core.progress(other.id)?.mode, "replicate");
  });

  it("between pieces, entries by append say that the leader gave up on the stream: they are taken, the stream is not", () => {
    const follower = lone({ log: [1], term: 1 });
    follower.step(2, { kind: "extend", term: term(1), matched: index(1), nextTerm: term(1), upTo: index(9) });
    follower.takeBulk([entryOf(2, 1)]);
    follower.step(2, append(1, 1, 1, [entryOf(2, 1), entryOf(3, 1)]));
    assert.equal(follower.core.lastIndex, 3);
    assert.equal(follower.core.extending, undefined);
    assert.equal(follower.core.extendLocally(index(4)), false);
  });

  it("while a piece is written nothing else touches the log's end, whatever happens to term and leader", () => {
    const follower = lone({ log: [1], term: 1 });
    follower.step(2, { kind: "extend", term: term(1), matched: index(1), nextTerm: term(1), upTo: index(4) });
    assert.equal(follower.core.extendLocally(index(3)), false);
    assert.equal(follower.startBulk([entryOf(2, 1), entryOf(3, 1)]), true);
    assert.equal(follower.startBulk([entryOf(2, 1), entryOf(3, 1)]), false);
    for (let i = 0; i < 3; i++) follower.timeOut();
    follower.step(2, { kind: "timeoutNow", term: term(1) });
    assert.equal(follower.core.role, "follower");
    follower.step(3, { kind: "extend", term: term(5), matched: index(0), nextTerm: term(5), upTo: index(4) });
    follower.step(3, append(5, 1, 1, [entryOf(2, 1), entryOf(3, 1), entryOf(4, 5)], 4));
    assert.equal(follower.core.lastIndex, 1);
    follower.finishBulk();
    assert.deepEqual([follower.core.lastIndex, follower.core.durable, follower.core.commit], [3, 3, 3]);
    follower.step(3, append(5, 3, 1, [entryOf(4, 5)], 4));
    assert.equal(follower.core.commit, 4);
  });

  it("a piece that was not written ends the catch-up; the log is as before", () => {
    const follower = lone({ log: [1], term: 1 });
    follower.step(2, { kind: "extend", term: term(1), matched: index(1), nextTerm: term(1), upTo: index(4) });
    follower.startBulk([entryOf(2, 1)]);
    follower.finishBulk(false);
    assert.deepEqual([follower.core.lastIndex, follower.core.extending], [1, undefined]);
    follower.step(2, append(1, 1, 1, [entryOf(2, 1)]));
    assert.equal(follower.core.lastIndex, 2);
  });

  it("a refused start is answered with where to look, and the leader finds the place", () => {
    const { cluster, leader, far } = behind();
    cluster.advance(300);
    assert.equal(leader.core.progress(replica(3))?.mode, "extend");
    cluster.sent = [];
    const refused = { prevIndex: index(1), hintIndex: index(3), hintTerm: term(1) };
    leader.step(3, { kind: "appendReply", term: leader.core.term, durable: index(1), refused });
    assert.equal(leader.core.progress(replica(3))?.mode, "probe");
    const question = cluster.sent.find(({ to, message }) => to === 3 && message.kind === "append")?.message;
    assert.equal(question?.kind === "append" && question.prevIndex, 3);
    assert.equal(far.core.lastIndex, 1);
  });

  it("takes no entries by append while a piece is written, but answers whether the logs match", () => {
    const follower = lone({ log: [1], term: 1 });
    follower.slowDisk = true;
    follower.step(2, { kind: "extend", term: term(1), matched: index(1), nextTerm: term(1), upTo: index(3) });
    follower.startBulk([entryOf(2, 1)]);
    follower.step(2, append(1, 1, 1, [entryOf(2, 1)]));
    assert.equal(follower.core.lastIndex, 1);
    assert.deepEqual(messagesOf(follower, "appendReply"), [{ kind: "appendReply", term: 1, durable: 1 }]);
  });

  it("forgets nothing that is not committed", () => {
    const leader = leading();
    assert.throws(() => leader.core.forgetBelow(index(2)), /only 0 are committed/);
  });
});
