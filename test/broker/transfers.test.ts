import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MillraceError } from "../../src/base/errors.ts";
import { Acks } from "../../src/protocol/public.ts";
import { Cluster, recordSet } from "./harness.ts";
import * as stubs from "./stubs.ts";

async function ledBy(leader: number, seed: number) {
  const cluster = await Cluster.start({ seed });
  await cluster.createTopic("t");
  await cluster.moveLeader("t", 0, leader);
  const group = await cluster.groupOf("t", 0);
  await cluster.call(leader, stubs.Produce, { topic: "t", records: recordSet(["first"]) });
  const transfer = (via: number, toBrokerId: number) => cluster.call(via, stubs.TransferLeader, { topic: "t", partition: 0, toBrokerId });
  const term = () => cluster.replica(leader, group)?.core.term;
  return { cluster, group, transfer, term };
}

describe("Handing over a leadership", () => {
  it("to the one who has it changes nothing", async () => {
    const { cluster, group, transfer, term } = await ledBy(1, 31);
    const before = term();
    assert.deepEqual({ ...(await transfer(2, 1)) }, { leaderId: 1, term: before });
    assert.deepEqual([cluster.serving(group), term()], [1, before]);
    cluster.close();
  });

  it("to nobody in particular goes to the follower that has most", async () => {
    for (const behind of [2, 3]) {
      const { cluster, group, transfer } = await ledBy(1, 32 + behind);
      const { network } = cluster.world;
      // Its answers still come, so that it counts as there: only what the leader sends is slow.
      network.link("b1", `b${behind}`).slowTo(400);
      for (const value of ["a", "b", "c"])
        await cluster.call(1, stubs.Produce, { topic: "t", records: recordSet([value]), acks: Acks.quorum });
      const answer = await transfer(1, 0);
      assert.equal(answer.leaderId, behind === 2 ? 3 : 2);
      network.heal();
      await cluster.until(() => cluster.serving(group) === answer.leaderId, "it leads");
      assert.deepEqual(await cluster.values("t"), ["first", "a", "b", "c"]);
      cluster.close();
    }
  });

  it("to a dead broker, or when all others are dead, is refused and the leader goes on", async () => {
    const { cluster, group, transfer, term } = await ledBy(1, 36);
    const before = term();
    cluster.kill(3);
    await cluster.pass(50);
    const refused = async (to: number) => {
      const error = await transfer(1, to).catch((failure: unknown) => failure);
      assert.ok(error instanceof MillraceError);
      assert.deepEqual([error.code, error.outcomeKnown], ["TRANSFER_FAILED", true]);
      assert.match(error.message, /t-0/);
    };
    await refused(3);
    assert.deepEqual([cluster.serving(group), term()], [1, before]);
    await cluster.call(1, stubs.Produce, { topic: "t", records: recordSet(["goes on"]), acks: Acks.quorum });
    assert.deepEqual(await cluster.values("t"), ["first", "goes on"]);
    cluster.close();
  });

  it("of a partition that is being written to loses and repeats nothing", async () => {
    const { cluster, transfer } = await ledBy(1, 37);
    const values = Array.from({ length: 60 }, (_, n) => `value ${n}`);
    const calls: Promise<unknown>[] = [];
    // Some are on their way at every moment of the three hand-overs.
    for (const [n, value] of values.entries()) {
      const send = () => calls.push(cluster.ask((n % 3) + 1, stubs.Produce, { topic: "t", records: recordSet([value]) }));
      cluster.world.scheduler.after(2 * n, `sends ${value}`, send);
    }
    for (const to of [2, 3, 1]) assert.equal((await transfer(to, to)).leaderId, to);
    await cluster.until(() => calls.length === values.length, "all are sent");
    await cluster.settle(Promise.all(calls));
    assert.deepEqual((await cluster.values("t")).sort(), ["first", ...values].sort());
    cluster.close();
  });
});
