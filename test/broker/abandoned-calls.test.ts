import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Clock } from "../../src/base/ports/clock.ts";
import type { RpcMethod, RpcServer } from "../../src/base/ports/rpc-server.ts";
import { shardOf } from "../../src/consumer-groups/shard.ts";
import { publicMethods } from "../../src/protocol/methods.ts";
import { Acks } from "../../src/protocol/public.ts";
import type { MachinePorts } from "../../src/testing/sim/machine.ts";
import { Cluster, recordSet } from "./harness.ts";
import * as rpc from "./stubs.ts";

const HOUR_MS = 3_600_000;
/** A caller's "ten years". */
const FAR_MS = 2_147_483_000;
/** No metadata ever gets there. */
const FAR_VERSION = 1_000_000_000;

/** What one broker still does for callers. */
class Watched {
  /** Requests whose handler has not ended: their bytes are kept. */
  handling = 0;
  /** Timers that are due in more than an hour: nothing but a caller's deadline is so far away. */
  far = 0;

  ports({ clock, rpcServer }: MachinePorts): { readonly clock: Clock; readonly rpcServer: RpcServer } {
    return { clock: this.#clock(clock), rpcServer: this.#server(rpcServer) };
  }

  #clock(clock: Clock): Clock {
    return {
      monotonic: () => clock.monotonic(),
      wall: () => clock.wall(),
      soon: (run) => clock.soon(run),
      after: (delayMs, fire) => {
        const timer = clock.after(delayMs, fire);
        if (delayMs < HOUR_MS) return timer;
        this.far++;
        let live = true;
        return {
          cancel: () => {
            timer.cancel();
            if (live) this.far--;
            live = false;
          },
        };
      },
    };
  }

  #server(server: RpcServer): RpcServer {
    return {
      register: (path, method) => server.register(path, this.#counted(method)),
      setServing: (service, serving) => server.setServing(service, serving),
      get unsentBytes() {
        return server.unsentBytes;
      },
      listen: (address) => server.listen(address),
      close: (graceMs) => server.close(graceMs),
    };
  }

  #counted(method: RpcMethod): RpcMethod {
    if (method.kind !== "unary") return method;
    return {
      kind: "unary",
      handle: async (request, call) => {
        this.handling++;
        try {
          return await method.handle(request, call);
        } finally {
          this.handling--;
        }
      },
    };
  }
}

type Ask = (signal: AbortSignal) => Promise<unknown>;
interface Row {
  readonly name: string;
  readonly ask: (cluster: Cluster, via: number) => Ask;
}

function row<In, Out>(name: string, method: rpc.Rpc<In, Out>, input: In): Row {
  return { name, ask: (cluster, via) => (signal) => cluster.ask(via, method, input, { timeoutMs: FAR_MS, signal }) };
}

const far = { minMetadataVersion: FAR_VERSION };
/** Wait for metadata that this broker has not read. */
const behind: readonly Row[] = [
  row("CreateTopic", rpc.CreateTopic, { name: "new", ...far }),
  row("DescribeTopics", rpc.DescribeTopics, { names: ["t"], ...far }),
  row("ListTopics", rpc.ListTopics, far),
  row("AlterTopic", rpc.AlterTopic, { name: "t", ...far }),
  row("AddPartitions", rpc.AddPartitions, { name: "t", partitions: 3, ...far }),
  row("DeleteTopic", rpc.DeleteTopic, { name: "t", ...far }),
  row("DescribeCluster", rpc.DescribeCluster, far),
  row("GetClusterHealth", rpc.GetClusterHealth, far),
  row("ListClusterConfigs", rpc.ListClusterConfigs, far),
  row("AlterClusterConfigs", rpc.AlterClusterConfigs, far),
];

/** Wait for the controller: for a command of theirs, or whether there is such a topic. */
const unknown = { topic: "none", partition: 0 };
const askController: readonly Row[] = [
  row("CreateTopic", rpc.CreateTopic, { name: "new" }),
  row("DescribeTopics", rpc.DescribeTopics, { names: ["none"] }),
  row("ListTopics", rpc.ListTopics, {}),
  row("AlterTopic", rpc.AlterTopic, { name: "t", set: new Map([["retention.ms", "1000"]]) }),
  row("AddPartitions", rpc.AddPartitions, { name: "t", partitions: 3 }),
  row("DeleteTopic", rpc.DeleteTopic, { name: "gone" }),
  row("ListClusterConfigs", rpc.ListClusterConfigs, {}),
  row("AlterClusterConfigs", rpc.AlterClusterConfigs, { set: new Map([["retention.ms", "1000"]]) }),
  row("TransferLeader", rpc.TransferLeader, unknown),
  row("TrimTopic", rpc.TrimTopic, { name: "none", partitions: [{ partition: 0, beforeOffset: 0 }] }),
  row("InitProducer", rpc.InitProducer, {}),
  row("Produce", rpc.Produce, { ...unknown, records: recordSet(["a"]) }),
  row("Fetch", rpc.Fetch, unknown),
  row("ListOffsets", rpc.ListOffsets, { topic: "none" }),
];

/** Wait for the coordinator of a group; or for the controller, while there are no groups. */
const inG = { groupId: "g", topics: [{ topic: "t" }] };
const askCoordinator: readonly Row[] = [
  row("FetchOffsets", rpc.FetchOffsets, { groupId: "g" }),
  row("DescribeGroup", rpc.DescribeGroup, { groupId: "g" }),
  row("ListGroups", rpc.ListGroups, {}),
  row("CommitOffsets", rpc.CommitOffsets, { groupId: "g", memberEpoch: -1, offsets: [{ topic: "t", offset: 0 }] }),
  row("SeekGroup", rpc.SeekGroup, { ...inG, start: true }),
  row("DeleteOffsets", rpc.DeleteOffsets, inG),
  row("Heartbeat", rpc.Heartbeat, { heartbeat: { groupId: "g", memberId: "a", topics: ["t"] } }),
  row("Heartbeat", rpc.Heartbeat, { heartbeat: { groupId: "g", memberId: "b", topics: ["none"] } }),
  row("DeleteGroup", rpc.DeleteGroup, { groupId: "g" }),
];

/** Wait for the leader of a partition, or for other brokers. */
const known = { topic: "t", partition: 0 };
const askLeader: readonly Row[] = [
  row("Produce", rpc.Produce, { ...known, records: recordSet(["a"]), acks: Acks.all }),
  row("Fetch", rpc.Fetch, { ...known, offset: 0, maxWaitMs: 30_000 }),
  row("ListOffsets", rpc.ListOffsets, { topic: "t" }),
  row("ListOffsets", rpc.ListOffsets, { topic: "t", timeMs: 5 }),
  row("TrimTopic", rpc.TrimTopic, { name: "t", partitions: [{ partition: 0, beforeOffset: -1 }] }),
  row("TransferLeader", rpc.TransferLeader, { ...known, toBrokerId: 3 }),
  row("GetClusterHealth", rpc.GetClusterHealth, {}),
];

/** A group with an offset. */
async function madeGroup(cluster: Cluster): Promise<void> {
  await cluster.call(1, rpc.CommitOffsets, { groupId: "g", memberEpoch: -1, offsets: [{ topic: "t", offset: 0 }] });
}

/** As a broker that leaves does. */
async function coordinatedBy(cluster: Cluster, n: number): Promise<void> {
  const group = cluster.broker(1).groups?.groupOf(shardOf("g")) ?? assert.fail("__groups is there");
  const leads = (): number | undefined => cluster.serving(group);
  await cluster.until(() => leads() !== undefined, "a coordinator");
  const target = cluster.replica(n, group) ?? assert.fail("it has a replica");
  if (leads() !== n) assert.deepEqual(cluster.replica(leads() ?? 0, group)?.transfer(target.id), { kind: "started" });
  await cluster.until(
    () => leads() === n && cluster.alive.every((on) => cluster.replica(on, group)?.core.leader === target.id),
    `broker ${n} coordinates`,
  );
}

describe("A call whose caller goes leaves nothing behind", () => {
  let cluster: Cluster;
  const watched = new Map<number, Watched>();
  const of = (n: number): Watched => watched.get(n) as Watched;
  before(async () => {
    cluster = await Cluster.start({
      seed: 311,
      watch: (n, ports) => {
        const watch = new Watched();
        watched.set(n, watch);
        return watch.ports(ports);
      },
    });
    await cluster.createTopic("t", 1);
    await cluster.createTopic("gone", 1);
    await cluster.moveController(2);
    await cluster.moveLeader("t", 0, 2);
  });
  after(() => cluster.close());

  /** Asks, sees that it waits, goes, and looks at what is left there. */
  const abandon = async ({ name: rpcName, ask }: Row, via: number): Promise<void> => {
    const name = `${rpcName} on broker ${via}`;
    const going = new AbortController();
    const answer = ask(
      cluster,
      via,
    )(going.signal).then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    );
    let settled = false;
    void answer.then(() => {
      settled = true;
    });
    await cluster.pass(12);
    assert.equal(settled, false, `${name}: it waits`);
    assert.equal(of(via).handling, 1, `${name}: one is handled`);
    going.abort();
    await cluster.settle(answer);
    await cluster.pass(4);
    const { heldBytes } = cluster.broker(via).numbers ?? assert.fail("it runs");
    assert.deepEqual({ handling: of(via).handling, far: of(via).far, heldBytes }, { handling: 0, far: 0, heldBytes: 0 }, name);
  };

  it("when it waited for metadata that is not there yet", async () => {
    for (const each of behind) for (const via of [1, 2]) await abandon(each, via);
  });

  it("when it waited for a controller or a leader that does not answer, here and there", async () => {
    for (const rows of [askController, askCoordinator, askLeader, askCoordinator]) {
      await cluster.moveController(2);
      await cluster.moveLeader("t", 0, 2);
      if (rows === askLeader) await madeGroup(cluster);
      if (cluster.broker(1).groups?.made === true) await coordinatedBy(cluster, 2);
      // Each knows who the others are, and has not noticed yet.
      cluster.world.network.partition([["b1"], ["b2"], ["b3"]]);
      for (const each of rows) for (const via of [1, 2]) await abandon(each, via);
      cluster.world.network.heal();
      await cluster.leaderOf("t", 0);
    }
  });

  it("when nobody knows a leader", async () => {
    cluster.world.network.partition([["b1"], ["b2"], ["b3"]]);
    await cluster.pass(5_000);
    const noLeader = askLeader.filter(({ name }) => name !== "GetClusterHealth");
    for (const each of [...askController, ...askCoordinator, ...noLeader]) await abandon(each, 1);
    cluster.world.network.heal();
    await cluster.leaderOf("t", 0);
    for (const n of [1, 2, 3]) assert.equal(cluster.broker(n).numbers?.forwardedBytes, 0);
  });

  it("but the bytes that a broker which hangs has not taken, and those count", async () => {
    await cluster.moveLeader("t", 0, 2);
    const link = cluster.world.network.link("b1", "b2");
    link.stopReading();
    const going = new AbortController();
    const records = recordSet(["x".repeat(100 * 1024)]);
    const asked: Promise<unknown>[] = [];
    for (let n = 0; n < 8; n++) {
      asked.push(cluster.ask(1, rpc.Produce, { ...known, records }, { signal: going.signal }).catch(() => {}));
      await cluster.pass(5);
    }
    const forwarded = (): number => cluster.broker(1).numbers?.forwardedBytes ?? assert.fail("it runs");
    assert.ok(forwarded() > 800 * 1024);
    going.abort();
    await cluster.settle(Promise.all(asked));
    await cluster.pass(5);
    // Some were taken by its kernel.
    assert.ok(forwarded() > 300 * 1024 && forwarded() < 800 * 1024, `${forwarded()} bytes`);
    assert.equal(of(1).handling, 0);
    link.startReading();
    await cluster.until(() => forwarded() === 0, "they are taken");
    await cluster.leaderOf("t", 0);
  });

  it("and each RPC of this version that is one question and one answer was asked", () => {
    const asked = new Set([...behind, ...askController, ...askCoordinator, ...askLeader].map(({ name }) => name));
    const unary = publicMethods.filter(({ kind, implemented }) => implemented && kind === "unary").map(({ name }) => name);
    assert.deepEqual([...asked].sort(), unary.sort());
  });
});
