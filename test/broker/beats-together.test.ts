import assert from "node:assert/strict";
import { it } from "node:test";
import { Acks } from "../../src/protocol/public.ts";
import type { WireMessage } from "../../src/testing/sim/network/wire.ts";
import { Cluster, recordSet } from "./harness.ts";
import * as stubs from "./stubs.ts";

const RECORDS = 1;
const BEAT = 3;
const HEARTBEAT = 7;
const RECORD_BYTES = 80;

/** Whether there is a heartbeat among these records (`raft-codec.ts`). */
function holdsHeartbeat({ chunks }: Extract<WireMessage, { type: "peer" }>): boolean {
  const [bytes] = chunks;
  // Calls have kinds of their own, on another connection.
  if (bytes === undefined || bytes.byteLength === 0 || bytes.byteLength % RECORD_BYTES !== 0) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.byteLength; at += RECORD_BYTES) if (view.getFloat64(at + 24, true) % 16 === HEARTBEAT) return true;
  return false;
}

it("Heartbeats of groups that do not rest leave in the turn of the beat that stands for those that do", async () => {
  const cluster = await Cluster.start({ seed: 4, brokers: 3 });
  await cluster.createTopic("t", 4);
  for (let partition = 0; partition < 4; partition++)
    await cluster.call(1, stubs.Produce, { topic: "t", partition, records: recordSet(["a"]), acks: Acks.all });
  await cluster.pass(2_000);
  const [beats, heartbeats] = [new Set<number>(), new Set<number>()];
  const { network, scheduler } = cluster.world;
  const group = await cluster.groupOf("t", 0);
  const leader = cluster.numbers.find((n) => cluster.replica(n, group)?.leads) ?? 0;
  const follower = cluster.numbers.find((n) => n !== leader) ?? 0;
  network.link(`b${leader}`, `b${follower}`).watch = (message) => {
    if (message.type !== "peer") return;
    if (message.kind === BEAT) beats.add(scheduler.ran);
    if (message.kind === RECORDS && holdsHeartbeat(message)) heartbeats.add(scheduler.ran);
  };
  for (let i = 0; i < 40; i++) {
    await cluster.call(leader, stubs.Produce, { topic: "t", partition: 0, records: recordSet([`${i}`]), acks: Acks.all });
    await cluster.pass(70);
  }
  const together = [...heartbeats].filter((turn) => beats.has(turn)).length;
  assert.ok(heartbeats.size >= 10 && beats.size >= 10, `${heartbeats.size} turns with heartbeats, ${beats.size} with beats`);
  assert.equal(together, heartbeats.size, `${together} of ${heartbeats.size} turns with heartbeats have a beat`);
  cluster.close();
});
