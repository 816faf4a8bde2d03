import { Cluster } from "../../chaos/cluster.ts";
import { header } from "../../chaos/report.ts";
import { type Asked, askedOf } from "./asked.ts";
import { Connections } from "./calls.ts";
import { commits, committers } from "./commits.ts";
import { walWrites } from "./disk.ts";
import { failover } from "./failover.ts";
import { Figures } from "./figures.ts";
import { memory } from "./memory.ts";
import { rebalance } from "./rebalance.ts";

/**
 * Speed and memory of consumer groups on real brokers and real ports: three broker processes on loopback, and the load of this process beside
 * them on the same machine. Each figure is printed with its bar and whether it was met; one that rests on nothing fails.
 *
 * `npm run bench -- groups [--quick] [--runs 1] [--only rebalance,commits,failover,memory] [--members 100] [--full 4] [--partitions 1000]
 * [--events 30] [--groups 1000] [--seconds 15] [--kills 10] [--memory-groups 10000]`
 */
async function main(): Promise<number> {
  let asked: Asked;
  try {
    asked = askedOf(process.argv.slice(2));
  } catch (error) {
    console.error((error as Error).message);
    return 2;
  }
  console.log(`${header("bench groups", 0)}${asked.quick ? ", --quick" : ""}`);
  const figures = new Figures();
  for (let run = 1; run <= asked.runs; run += 1) {
    if (asked.runs > 1) console.log(`run ${run} of ${asked.runs}`);
    if (asked.parts.has("rebalance"))
      await onThree(async (cluster, connections) => {
        await rebalance(cluster, connections, asked.rebalance, figures);
        figures.add(...(await walWrites(cluster, "rebalance")));
      });
    if (asked.parts.has("commits") || asked.parts.has("failover")) {
      await onThree(async (cluster, connections) => {
        const groups = await committers(cluster, connections, asked.groups);
        if (asked.parts.has("commits")) {
          await commits(cluster, connections, groups, asked, figures);
          figures.add(...(await walWrites(cluster, "commits")));
        }
        if (asked.parts.has("failover")) await failover(cluster, connections, groups, asked.kills, figures);
      });
    }
    if (asked.parts.has("memory")) await memory(asked.memoryGroups, figures);
  }
  return figures.close();
}

async function onThree(work: (cluster: Cluster, connections: Connections) => Promise<void>): Promise<void> {
  const cluster = await Cluster.start();
  const connections = new Connections(cluster.addresses);
  try {
    await cluster.healthy();
    await work(cluster, connections);
    const [complaint] = cluster.complaints();
    if (complaint !== undefined) throw new Error(`a broker complained: ${complaint}`);
  } finally {
    connections.close();
    await cluster.stop();
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  console.log(`FAIL  ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  console.log("0 passed, 1 failed");
  process.exitCode = 1;
}
process.exit();
