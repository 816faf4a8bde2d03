import { Client } from "../../client/index.ts";
import type { MachinePorts } from "../sim/machine.ts";
import type { World } from "../sim/world.ts";
import { clientAddress } from "./config.ts";
import type { Situations } from "./situations.ts";
import { SimTelemetry } from "./telemetry.ts";

/** A client of its own process on its own machine. */
export function simClient(world: World, ports: MachinePorts, brokers: number, situations?: Situations): Client {
  const addresses = Array.from({ length: brokers }, (_, i) => clientAddress(i + 1));
  const telemetry = new SimTelemetry(world, ports.process.name, new Map(), situations);
  return new Client(
    { brokers: addresses },
    { rpc: ports.rpcClient, clock: ports.clock, random: ports.random, telemetry, inflate: ports.inflate },
  );
}

/** Lets `ms` of virtual time pass for this process. */
export function wait(ports: MachinePorts, ms: number): Promise<void> {
  return ports.process.promise((resolve) => void ports.process.after(ms, "waits", () => resolve()));
}
