import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Brokers } from "../../../src/client/brokers.ts";
import { CoordinatorAddress } from "../../../src/client/group/coordinator-address.ts";
import { BrokerState, DescribeClusterResponse } from "../../../src/protocol/public.ts";
import { World } from "../fake/world.ts";

describe("CoordinatorAddress", () => {
  it("asks again where a broker is that did not answer there, and not too often", async () => {
    const world = new World(1);
    let address = "b1:7400";
    let asked = 0;
    const unary = async (): Promise<Uint8Array> => {
      asked++;
      return DescribeClusterResponse.encode({ brokers: [{ brokerId: 1, address, state: BrokerState.live }] });
    };
    const rpc = { channel: (at: string) => ({ address: at, unary, openStream: () => assert.fail(), close: () => undefined }) };
    const brokers = new Brokers(["b2:7400"], rpc, world, world.random);
    const addresses = new CoordinatorAddress(brokers, { clock: world });
    assert.equal(addresses.of(1, "b2:7400"), undefined);
    await world.run(1, () => false);
    assert.equal(addresses.of(1, "b2:7400"), "b1:7400");
    // It was started anew elsewhere.
    address = "b9:7400";
    addresses.failed("b2:7400");
    assert.equal(addresses.of(1, "b2:7400"), "b1:7400", "another one failed");
    addresses.failed("b1:7400");
    assert.equal(addresses.of(1, "b2:7400"), undefined);
    assert.equal(asked, 1);
    await world.run(10_000, () => false);
    addresses.of(1, "b2:7400");
    await world.run(10_001, () => false);
    assert.equal(addresses.of(1, "b2:7400"), "b9:7400");
    assert.equal(asked, 2);
  });
});
