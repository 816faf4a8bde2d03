import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MillraceError } from "../../src/base/errors.ts";
import { METADATA_GROUP, toBrokerId } from "../../src/base/ids.ts";
import { Cluster } from "./harness.ts";

/** Nobody is told at a start: not by the seeds that it asks, because they cannot be reached then. */
const APART_MS = 3_000;

function apart(cluster: Cluster, n: number, others: readonly number[]): void {
  for (const other of others)
    for (const [from, to] of [
      [n, other],
      [other, n],
    ])
      cluster.world.network.link(`b${from}`, `b${to}`).cut();
}

describe("A broker of an earlier recovery epoch that nobody dials (scenario 62)", () => {
  it("hears at the door that it was fenced, says what to do, and joins at its next start", async () => {
    const ended: Error[] = [];
    let cluster: Cluster | undefined;
    let moved = false;
    cluster = await Cluster.start({
      seed: 621,
      // Of a pair the higher id dials, at the address that was registered: the lowest one, somewhere else, has to ask by itself.
      configure: (config) =>
        moved && config.brokerId === toBrokerId(1) ? { ...config, peerListen: "b1:7501", peerAdvertise: "b1:7501" } : config,
      fatal: (n, error) => {
        assert.equal(n, 1, error.message);
        ended.push(error);
        cluster?.kill(n);
      },
    });
    for (const n of [1, 2]) cluster.kill(n);
    await cluster.pass(3_000);
    const { clusterId, digest } = await cluster.settle(cluster.broker(3).planRecovery());
    await cluster.settle(cluster.broker(3).applyRecovery({ clusterId, digest }));
    await cluster.until(() => cluster.serving(METADATA_GROUP) === 3, "the metadata goes on");
    moved = true;
    apart(cluster, 1, [3]);
    cluster.boot(1);
    await cluster.pass(APART_MS);
    assert.deepEqual([cluster.broker(1).state, ended], ["joining", []], "nobody told it yet");
    cluster.world.network.heal();
    await cluster.until(() => ended.length > 0, "it is told", 20_000);
    const [error] = ended;
    assert.ok(error instanceof MillraceError && error.code === "FENCED", String(error));
    assert.match(error.message, /start the broker again/);
    assert.ok(cluster.warnings.some((warning) => warning.startsWith("broker 1: broker.fenced")));
    cluster.boot(1);
    await cluster.settle(cluster.started(1));
    assert.equal(cluster.broker(1).state, "running");
    cluster.close();
  });
});
