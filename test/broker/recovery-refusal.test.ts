import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MillraceError } from "../../src/base/errors.ts";
import { silentTelemetry } from "../../src/base/ports/telemetry.ts";
import { Recovery } from "../../src/broker/recovery/recovery.ts";
import { World } from "../../src/testing/sim/world.ts";
import { CLUSTER } from "../cluster/cluster-fixture.ts";
import { five, member, standing } from "../cluster/recovery-fixture.ts";

describe("A plan with nothing in it that could be applied (scenario 62)", () => {
  it("is refused with why, and with what can be done, where copies are left that cannot be placed", async () => {
    const { cluster, partition, on } = five();
    const [one, two] = on as [number, number];
    const learner = standing(partition(), two, { voters: [member(standing(partition(), one))] });
    const applied = async (replicas: readonly (typeof learner)[]): Promise<MillraceError> => {
      const recovery = new Recovery({
        clock: new World(1).machine("a").boot().clock,
        telemetry: silentTelemetry,
        links: {
          call: (_broker, _method, _body, _ms, done) => {
            done({ error: new MillraceError("HOP_LOST", "nobody is there") });
            return () => {};
          },
          connected: () => false,
        },
        group: { submit: () => assert.fail("nothing is recorded") },
        self: learner.brokerId,
        clusterId: CLUSTER,
        recoveryEpoch: () => 0,
        image: () => cluster.image,
        seeds: [],
        here: () => ({
          replicas: replicas.map((each) => ({
            ...each,
            replicaId: learner.replicaId + 50,
            voters: each.voters.map((voter) => ({ ...voter, role: 0 })),
            oldVoters: [],
          })),
          connected: [],
          held: false,
          opening: [],
          incarnation: learner.incarnation,
        }),
        recoverMetadata: () => assert.fail("nothing is forced"),
      });
      const { clusterId, digest } = await recovery.plan();
      return recovery.apply({ clusterId, digest }).then(
        () => assert.fail("nothing to apply"),
        (error: MillraceError) => error,
      );
    };
    const stuck = await applied([learner]);
    assert.deepEqual([stuck.code, stuck.metadata["why"]], ["RECOVERY_REFUSED", "not_placeable"]);
    assert.match(
      stuck.message,
      /t-0 cannot be gone on from: replica \d+ on broker \d: it has never voted.*What can be done: .*stop broker \d, and/,
    );
    assert.equal((await applied([])).metadata["why"], "not_needed");
  });
});
