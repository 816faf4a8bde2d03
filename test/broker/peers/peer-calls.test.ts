import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MillraceError } from "../../../src/base/errors.ts";
import { toBrokerId } from "../../../src/base/ids.ts";
import type { Connection } from "../../../src/base/ports/transport.ts";
import { type CallDone, CallKind, type IncomingCall, PeerCalls } from "../../../src/broker/peers/peer-calls.ts";
import { BadPeerMessage } from "../../../src/broker/peers/raft-codec.ts";
import type { MachinePorts } from "../../../src/testing/sim/machine.ts";
import { World } from "../../../src/testing/sim/world.ts";

const TIMEOUT_MS = 1_000;
const MiB = 1024 * 1024;
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
const bytes = (value: string): Uint8Array => new TextEncoder().encode(value);

/** Two brokers joined by a connection; what is called on one side waits on the other until the test answers. */
async function pair() {
  const world = new World(1);
  const a = world.machine("a").boot();
  const b = world.machine("b").boot();
  const incoming: IncomingCall[] = [];
  let cancels = 0;
  let replies = 0;
  let theirs: PeerCalls | undefined;
  let ours: PeerCalls | undefined;
  const join = (connection: Connection, ports: MachinePorts, handle: (call: IncomingCall) => void): PeerCalls => {
    const calls = new PeerCalls(connection, ports.clock, toBrokerId(2), handle);
    connection.handlers = {
      message: (kind, body) => {
        if (kind === CallKind.cancel) cancels++;
        if (kind === CallKind.reply) replies++;
        assert.equal(calls.message(kind, body), true);
      },
      drain() {},
      closed: () => calls.closed(),
    };
    return calls;
  };
  let accepted: Connection | undefined;
  void b.transport.listen("b:1", (connection) => {
    accepted = connection;
    theirs = join(connection, b, (call) => incoming.push(call));
  });
  await world.scheduler.run(world.now + 10);
  void a.transport.dial("b:1", 1_000).then((connection) => {
    ours = join(connection, a, (call) => call.fail(new MillraceError("NOT_IMPLEMENTED", "nothing here")));
  });
  await world.scheduler.run(world.now + 10);
  assert.ok(ours !== undefined && theirs !== undefined);
  const made = ours;
  const outcomes: string[] = [];
  const done =
    (name: string): CallDone =>
    (outcome) =>
      outcomes.push(`${name} ${"body" in outcome ? text(outcome.body) : outcome.error.code}`);
  return {
    world,
    incoming,
    outcomes,
    ours,
    theirs,
    clock: b.clock,
    cancels: () => cancels,
    replies: () => replies,
    call: (name: string, timeoutMs = TIMEOUT_MS) => made.call(name, [bytes("question "), bytes(name)], timeoutMs, done(name)),
    /** The other side hangs: its kernel takes what fits, and no more. */
    hang: () => world.network.link("a", "b").stopReading(),
    wake: () => world.network.link("a", "b").startReading(),
    large: (size: number) => made.call("m", [new Uint8Array(size)], TIMEOUT_MS, done("large")),
    close: () => accepted?.close("test"),
    pass: (ms = 10) => world.scheduler.run(world.now + ms),
  };
}

describe("Calls between brokers", () => {
  it("carry their body as it is, and may be answered in any order", async () => {
    const it = await pair();
    for (const name of ["x", "y", "z"]) it.call(name);
    await it.pass();
    assert.deepEqual(
      it.incoming.map(({ from, method, body, cancelled }) => [from, method, text(body), cancelled]),
      ["x", "y", "z"].map((name) => [2, name, `question ${name}`, false]),
    );
    it.incoming[2]?.reply([bytes("an"), bytes("swer")]);
    it.incoming[0]?.reply([]);
    await it.pass();
    it.incoming[1]?.reply([bytes("late")]);
    await it.pass();
    assert.deepEqual(it.outcomes, ["z answer", "x ", "y late"]);
  });

  it("carry typed errors with what they say", async () => {
    const it = await pair();
    const got: (MillraceError | undefined)[] = [];
    it.ours.call("m", [], TIMEOUT_MS, (outcome) => got.push("error" in outcome ? outcome.error : undefined));
    await it.pass();
    it.incoming[0]?.fail(new MillraceError("NOT_LEADER", "broker 3 leads", { leader_id: "3" }, 70));
    await it.pass();
    const [error] = got;
    assert.deepEqual(
      [error?.code, error?.message, error?.metadata, error?.retryAfterMs],
      ["NOT_LEADER", "broker 3 leads", { leader_id: "3" }, 70],
    );
  });

  it("are answered once, whatever the other side does", async () => {
    const it = await pair();
    it.call("x");
    await it.pass();
    it.incoming[0]?.reply([bytes("first")]);
    it.incoming[0]?.reply([bytes("second")]);
    it.incoming[0]?.fail(new MillraceError("NOT_LEADER", "third"));
    await it.pass(2 * TIMEOUT_MS);
    assert.deepEqual([it.outcomes, it.replies()], [["x first"], 1]);
  });

  it("time out here, and there are told so and know their deadline", async () => {
    const it = await pair();
    it.call("x", 500);
    await it.pass();
    const [call] = it.incoming;
    assert.ok(call !== undefined);
    assert.ok(Math.abs(call.deadline - it.clock.monotonic() - 500) < 20);
    let told = 0;
    call.onCancel(() => told++);
    await it.pass(480);
    assert.deepEqual(it.outcomes, []);
    await it.pass(50);
    assert.deepEqual([it.outcomes, told, call.cancelled], [["x REQUEST_TIMED_OUT"], 1, true]);
    // Whoever asks later hears it at once; an answer comes too late.
    call.onCancel(() => told++);
    call.reply([bytes("too late")]);
    await it.pass();
    assert.deepEqual([it.outcomes, told], [["x REQUEST_TIMED_OUT"], 2]);
  });

  it("carry a deadline as far as the wire goes, and wait no longer for one that is farther", async () => {
    const it = await pair();
    it.call("x", 2 ** 40);
    await it.pass();
    const [call] = it.incoming;
    assert.ok(call !== undefined && call.deadline - it.clock.monotonic() < 2 ** 31);
    call.reply([bytes("fine")]);
    await it.pass();
    assert.deepEqual(it.outcomes, ["x fine"]);
  });

  it("that are cancelled are never answered, and the other side hears of it once", async () => {
    const it = await pair();
    const cancel = it.call("x");
    await it.pass();
    cancel();
    cancel();
    await it.pass();
    assert.equal(it.incoming[0]?.cancelled, true);
    it.incoming[0]?.reply([bytes("too late")]);
    await it.pass(2 * TIMEOUT_MS);
    assert.deepEqual([it.outcomes, it.cancels(), it.replies()], [[], 1, 0]);
    const after = it.call("y");
    await it.pass();
    it.incoming[1]?.reply([]);
    await it.pass();
    after();
    await it.pass();
    assert.deepEqual([it.outcomes, it.cancels()], [["y "], 1]);
  });

  it("that are given up count until the other side has taken them, and no longer", async () => {
    const it = await pair();
    const unsent = (): number[] => [it.ours.unsentRequestBytes, it.ours.abandonedBytes];
    it.hang();
    // What its kernel takes.
    it.large(MiB)();
    await it.pass();
    assert.deepEqual(unsent(), [0, 0]);
    const calls = Array.from({ length: 4 }, () => it.large(MiB));
    const all = it.ours.unsentRequestBytes;
    assert.ok(all > 4 * MiB && all < 4 * MiB + 1_000);
    assert.equal(it.ours.abandonedBytes, 0);
    await it.pass();
    assert.equal(it.ours.unsentRequestBytes, all, "nothing was taken");
    // In any order.
    calls[2]?.();
    calls[0]?.();
    assert.deepEqual(unsent(), [all, all / 2]);
    calls[0]?.();
    await it.pass(2 * TIMEOUT_MS);
    assert.deepEqual(it.outcomes, ["large REQUEST_TIMED_OUT", "large REQUEST_TIMED_OUT"]);
    assert.deepEqual(unsent(), [all, all], "the others were given up at their deadline");
    it.wake();
    await it.pass();
    assert.deepEqual(unsent(), [0, 0]);
    // Given up once it is there it keeps nothing here.
    const there = it.large(10);
    await it.pass();
    there();
    assert.deepEqual(unsent(), [0, 0]);
    it.hang();
    it.large(MiB)();
    assert.ok(it.ours.abandonedBytes > MiB);
    it.close();
    await it.pass();
    assert.deepEqual(unsent(), [0, 0]);
  });

  it("end with an unknown outcome when the connection does, and are cancelled on the other side", async () => {
    const it = await pair();
    for (const name of ["x", "y"]) it.call(name);
    await it.pass();
    let told = 0;
    for (const call of it.incoming) call.onCancel(() => told++);
    it.close();
    await it.pass(2 * TIMEOUT_MS);
    assert.deepEqual(it.outcomes, ["x HOP_LOST", "y HOP_LOST"]);
    assert.equal(new MillraceError("HOP_LOST", "").outcomeKnown, false);
    it.theirs.closed();
    assert.equal(told, 2);
    for (const call of it.incoming) call.reply([bytes("nobody listens")]);
    // On what is closed nothing is sent: that is known to have changed nothing.
    it.call("z");
    assert.deepEqual(it.outcomes, ["x HOP_LOST", "y HOP_LOST", "z LEADER_UNKNOWN"]);
    assert.equal(new MillraceError("LEADER_UNKNOWN", "").outcomeKnown, true);
  });

  it("go both ways at once on one connection", async () => {
    const it = await pair();
    it.call("x");
    const back: string[] = [];
    it.theirs.call("back", [], TIMEOUT_MS, (outcome) => back.push("error" in outcome ? outcome.error.code : "answered"));
    await it.pass();
    it.incoming[0]?.reply([bytes("here")]);
    await it.pass();
    assert.deepEqual([it.outcomes, back], [["x here"], ["NOT_IMPLEMENTED"]]);
  });

  it("refuse bytes that are no call, and leave other kinds of message to others", async () => {
    const it = await pair();
    assert.equal(it.ours.message(77, new Uint8Array(8)), false);
    for (const body of [new Uint8Array(3), Uint8Array.of(9, 0, 0, 0, 1), Uint8Array.of(255, 255, 255, 255)])
      for (const kind of [CallKind.request, CallKind.reply]) assert.throws(() => it.ours.message(kind, body), BadPeerMessage);
    // An answer to nothing, or to what is over.
    it.theirs.message(CallKind.cancel, new Uint8Array(0));
  });
});
