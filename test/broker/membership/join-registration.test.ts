import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MillraceError } from "../../../src/base/errors.ts";
import { type ClusterId, toBrokerId, toLogIndex, toReplicaId } from "../../../src/base/ids.ts";
import { type Belonging, type Door, registerAtDoor, serveRegistration } from "../../../src/broker/membership/join-registration.ts";
import type { IncomingCall } from "../../../src/broker/peers/peer-calls.ts";
import { type Command, type CommandOf, encodeCommand } from "../../../src/cluster/commands.ts";
import { JoinRegistration } from "../../../src/protocol/routing.ts";
import { World } from "../../../src/testing/sim/world.ts";
import { Cluster } from "../../cluster/cluster-fixture.ts";

const MINE: Belonging = { clusterId: "mine", recoveryEpoch: 4 };
const registration: CommandOf<"registerBroker"> = new Cluster().registration(1);

/** What the controller is asked, and what comes of it, when a broker of cluster "mine" is called so. */
async function serve(belonging: Belonging, command: Command = registration, controller: "there" | "away" = "there") {
  const { clock } = new World(3).machine("b2").boot();
  const submitted: Command[] = [];
  const outcome: { reply?: Uint8Array; error?: MillraceError } = {};
  const call: IncomingCall = {
    from: toBrokerId(1),
    method: "",
    body: JoinRegistration.encode({ ...belonging, command: encodeCommand(command) }),
    deadline: clock.monotonic() + 1_000,
    cancelled: false,
    unsentBytes: 0,
    onCancel: () => () => {},
    reply: ([body = new Uint8Array()]) => {
      outcome.reply = Uint8Array.from(body);
    },
    fail: (error) => {
      outcome.error = error;
    },
  };
  const group: Door = {
    view: { image: { clusterId: "mine" as ClusterId } },
    submit: async (asked: Command) => {
      submitted.push(asked);
      if (controller === "away") throw new MillraceError("CONTROLLER_UNKNOWN", "no controller");
      return { reply: { kind: "registered", metadataReplicaId: toReplicaId(7) }, metadataVersion: toLogIndex(12) };
    },
  };
  await serveRegistration(clock, call, group, 4);
  return { submitted, ...outcome };
}

describe("A registration at the door of a broker", () => {
  it("goes to the controller, if it is one, of this cluster and this recovery epoch", async () => {
    assert.deepEqual((await serve(MINE)).submitted, [registration]);
    for (const [belonging, command, code] of [
      [{ ...MINE, clusterId: "another" }, registration, "WRONG_CLUSTER"],
      [{ ...MINE, recoveryEpoch: 3 }, registration, "FENCED"],
      [{ ...MINE, recoveryEpoch: 5 }, registration, "NOT_READY"],
      [MINE, { kind: "allocateProducerIds", count: 1 }, "INVALID_REQUEST"],
    ] as const) {
      const { submitted, reply, error } = await serve(belonging, command);
      assert.deepEqual([submitted, reply, error?.code], [[], undefined, code]);
    }
  });

  it("is tried at the next one while nobody answers or knows the controller, and ends with the first word of it", async () => {
    const { reply: recorded } = await serve(MINE);
    const { reply: away } = await serve(MINE, registration, "away");
    const asked: string[] = [];
    const links = (answers: Record<string, Uint8Array | undefined>) => ({
      callOnce: async (address: string) => {
        asked.push(address);
        const answer = answers[address];
        if (answer === undefined) throw new MillraceError("HOP_LOST", address);
        return answer;
      },
    });
    const answer = await registerAtDoor(links({ b: away, c: recorded }), ["a", "b", "c", "d"], MINE, registration);
    assert.deepEqual([asked, answer !== undefined && "metadataVersion" in answer && answer.metadataVersion], [["a", "b", "c"], 12]);
    assert.equal(await registerAtDoor(links({ b: away }), ["a", "b"], MINE, registration), undefined);
  });

  it("that is of an earlier recovery epoch is told so by name, and asks on: one broker's word is not enough to end for", async () => {
    const { error: fenced } = await serve({ ...MINE, recoveryEpoch: 3 });
    assert.match(fenced?.message ?? "", /recovery epoch 4\): start the broker again/);
    const told: string[] = [];
    const answers: Record<string, Uint8Array | undefined> = { b: (await serve(MINE)).reply };
    const links = {
      callOnce: async (address: string) => answers[address] ?? Promise.reject(fenced),
    };
    const answer = await registerAtDoor(links, ["a", "b"], { ...MINE, recoveryEpoch: 3 }, registration, (address, { code }) =>
      told.push(`${address} ${code}`),
    );
    assert.deepEqual([told, answer !== undefined && "metadataVersion" in answer], [["a FENCED"], true]);
  });
});
