import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { toTerm } from "../../../src/base/ids.ts";
import { silentTelemetry } from "../../../src/base/ports/telemetry.ts";
import { Replacements } from "../../../src/broker/membership/replacements.ts";
import type { Command } from "../../../src/cluster/commands.ts";
import { World } from "../../../src/testing/sim/world.ts";
import { Cluster, disk } from "../../cluster/cluster-fixture.ts";

describe("Replicas on a lost disk", () => {
  it("are replaced replica.replacements.max at a time: the next begins when one is done", async () => {
    const cluster = Cluster.ofThree();
    const partitions = cluster.create("t", 5);
    // All are led, and in sync, without broker 3.
    for (const partition of partitions) {
      const isr = partition.replicas.filter(({ brokerId }) => brokerId !== 3).map(({ replicaId }) => replicaId);
      const leader = partition.replicas.findIndex(({ brokerId }) => brokerId !== 3);
      cluster.claim(partition, leader, 5, isr);
    }
    cluster.fence(3);
    cluster.register(3, 2);
    const world = new World(1);
    const asked: Command[] = [];
    const controller = {
      active: true,
      get image() {
        return cluster.image;
      },
      submit: (command: Command) => {
        asked.push(command);
        cluster.done(command);
        return () => {};
      },
    };
    const replacements = new Replacements(world.machine("a").boot().clock, silentTelemetry, { controller, replica: undefined }, 2);
    replacements.restart();
    const underWay = () => partitions.map(({ groupId }) => cluster.partition(groupId)).filter(({ replacing }) => replacing !== undefined);
    for (const done of [0, 1, 2, 3]) {
      await world.scheduler.run(world.now + 2_000);
      assert.deepEqual([asked.length, underWay().length], [2 + done, 2]);
      const [first] = underWay();
      assert.ok(first?.replacing !== undefined);
      assert.equal(first.replacing.adding.incarnation, disk(3, 2));
      const { removing, adding } = first.replacing;
      cluster.done({
        kind: "reportReplaced",
        groupId: first.groupId,
        term: toTerm(5),
        removing,
        replicaId: adding.replicaId,
      });
    }
    replacements.close();
  });
});
