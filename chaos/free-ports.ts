import { createServer } from "node:net";
import { Draws } from "./draws.ts";

/** Below those that systems hand out for outgoing connections: what is free now is not taken by one while a broker starts again. */
const PORT_FROM = 10_000;
/** Each process draws from a stretch of its own, so that two which look at once do not find the same ports free. */
const STRETCHES = 100;
const STRETCH = 200;
/** Brokers of `millrace dev` stand ten ports apart and use three each. */
const STEP = 10;

/** A port from which all ports of a cluster of this size are free. */
export async function freePort(brokers: number): Promise<number> {
  // Not from the seed: two runs of one seed may go on at a time.
  const draws = new Draws(Date.now() ^ (process.pid << 12));
  for (let attempt = 0; attempt < 200; attempt++) {
    const stretch = (process.pid + Math.floor(attempt / 20)) % STRETCHES;
    const places = STRETCH / STEP - brokers + 1;
    const port = PORT_FROM + stretch * STRETCH + STEP * (places < 1 ? 0 : draws.below(places));
    const ports = Array.from({ length: brokers }, (_, i) => [0, 1, 2].map((n) => port + STEP * i + n)).flat();
    if ((await Promise.all(ports.map(isFree))).every(Boolean)) return port;
  }
  throw new Error("no free ports found");
}

/** So many single ports. */
export async function freePorts(count: number): Promise<number[]> {
  const port = await freePort(Math.ceil(count / 3));
  return Array.from({ length: count }, (_, i) => port + STEP * Math.floor(i / 3) + (i % 3));
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
