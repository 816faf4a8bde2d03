import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MillraceError } from "../../src/base/errors.ts";
import { type RpcChannel, type RpcClient, RpcFailure } from "../../src/base/ports/rpc-client.ts";
import { silentTelemetry } from "../../src/base/ports/telemetry.ts";
import { Brokers } from "../../src/client/brokers.ts";
import { Calls } from "../../src/client/calls.ts";
import { AdminService } from "../../src/protocol/methods.ts";
import { DescribeClusterRequest } from "../../src/protocol/public.ts";
import { FakeCluster, fakeAddresses } from "./fake/cluster.ts";
import { World } from "./fake/world.ts";

const REACH_MS = 1_500;
const TIMEOUT_MS = 10_000;

function setup() {
  const world = new World(7);
  const addresses = fakeAddresses(3);
  const cluster = new FakeCluster(world, addresses);
  /** Brokers that take a request and die with it. */
  const dying = new Set<string>();
  const rpc: RpcClient = {
    channel: (address) => {
      const channel = cluster.channel(address);
      const unary: RpcChannel["unary"] = async (path, request, options) => {
        const reply = await channel.unary(path, request, options);
        if (dying.has(address)) throw new RpcFailure("UNAVAILABLE", "connection reset", false);
        return reply;
      };
      return { address, unary, openStream: (path, kind) => channel.openStream(path, kind), close: () => channel.close() };
    },
  };
  const brokers = new Brokers(addresses, rpc, world, world.random);
  const calls = new Calls(brokers, { rpc, clock: world, random: world.random, telemetry: silentTelemetry });
  const ask = (reachMs?: number, repeatable = true): Promise<Uint8Array> =>
    calls.unary(AdminService.DescribeCluster.path, DescribeClusterRequest.encode({}), { timeoutMs: TIMEOUT_MS, repeatable, reachMs });
  return { world, cluster, addresses, ask, dying };
}

async function failure(world: World, call: Promise<unknown>): Promise<MillraceError> {
  const error = await world.until(
    call.then(
      () => undefined,
      (thrown: unknown) => thrown,
    ),
  );
  assert.ok(error instanceof MillraceError, String(error));
  return error;
}

describe("A call that no broker takes", () => {
  it("ends after reachMs when every address refuses the connection, and names them all", async () => {
    const { world, cluster, addresses, ask } = setup();
    for (const address of addresses) cluster.kill(address);
    const error = await failure(world, ask(REACH_MS));
    assert.equal(error.code, "BROKERS_UNREACHABLE");
    for (const address of addresses) assert.ok(error.message.includes(`${address}: connection refused`), error.message);
    assert.ok(world.now <= REACH_MS, `${world.now}`);
  });

  it("goes on until its time is over when reachMs is not given", async () => {
    const { world, cluster, addresses, ask } = setup();
    for (const address of addresses) cluster.kill(address);
    assert.equal((await failure(world, ask())).code, "BROKERS_UNREACHABLE");
    assert.ok(world.now > TIMEOUT_MS - 2_000 && world.now <= TIMEOUT_MS, `${world.now}`);
  });

  it("goes on beyond reachMs when one of the brokers was there before it refused too, and succeeds once one is back", async () => {
    const { world, cluster, addresses, ask, dying } = setup();
    const [first, second, third] = addresses as [string, string, string];
    cluster.kill(second);
    cluster.kill(third);
    dying.add(first);
    world.after(REACH_MS / 3, () => cluster.kill(first));
    world.after(REACH_MS * 3, () => {
      dying.clear();
      cluster.restart(first);
    });
    await world.until(ask(REACH_MS));
    assert.ok(world.now >= REACH_MS * 3);
  });
});

describe("A call whose connection breaks", () => {
  it("is not sent again when it may have changed something: its outcome is unknown", async () => {
    const { world, cluster, addresses, ask, dying } = setup();
    for (const address of addresses) dying.add(address);
    const error = await failure(world, ask(undefined, false));
    assert.equal(error.code, "CONNECTION_LOST");
    assert.ok(!error.outcomeKnown);
    assert.deepEqual(cluster.calls, [AdminService.DescribeCluster.path]);
  });
});
