import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import type { BrokerConfig } from "../../src/base/broker-config.ts";
import type { GroupId, LogIndex } from "../../src/base/ids.ts";
import { padded, readBlockHeader } from "../../src/log/model/block.ts";
import type { ReadResult } from "../../src/log/types.ts";
import { Acks } from "../../src/protocol/public.ts";
import type { Frame } from "../../src/records/frame-types.ts";
import { Cluster, recordSet } from "./harness.ts";
import * as stubs from "./stubs.ts";
import { Surgery } from "./surgery.ts";

const KiB = 1024;
const RECORDS = 80;

type Wound = (surgery: Surgery, path: string, sibling: string) => Promise<void>;

const flip =
  (place: (size: number) => number): Wound =>
  async (surgery, path) => {
    const bytes = surgery.read(path);
    const at = place(bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ 8;
    await surgery.write(path, bytes);
  };
const zero: Wound = async (surgery, path) => {
  const bytes = surgery.read(path);
  const from = Math.min(4096 * Math.floor(bytes.length / 8192), Math.max(0, bytes.length - 4096));
  bytes.fill(0, from, from + 4096);
  await surgery.write(path, bytes);
};
const remove: Wound = (surgery, path) => surgery.delete(path);
const copyOver: Wound = (surgery, path, sibling) => surgery.write(path, surgery.read(sibling));

const middle = (size: number): number => Math.floor(size / 2);

/** Where, and what happens to it there. `place` picks the file among those of the partition. */
const rows: readonly {
  readonly name: string;
  readonly ending: string;
  readonly place: number;
  readonly wounds: Readonly<Record<string, Wound>>;
}[] = [
  { name: "a sealed segment", ending: ".log", place: 1, wounds: { flip: flip(middle), zero, remove, copyOver } },
  { name: "the unsealed tail before the durable mark", ending: ".log", place: -1, wounds: { flip: flip(middle), zero, remove, copyOver } },
  { name: "an index", ending: ".index", place: 1, wounds: { flip: flip(middle), zero, remove, copyOver } },
  { name: "the index of the tail", ending: ".index", place: -1, wounds: { flip: flip(middle), zero, remove, copyOver } },
  { name: "a footer", ending: ".log", place: 0, wounds: { flip: flip((size) => size - 40), cut: cutFooter } },
  { name: "a start point", ending: ".log", place: -1, wounds: { flip: flip(() => 40), zero: zeroHead } },
];

async function cutFooter(surgery: Surgery, path: string): Promise<void> {
  const bytes = surgery.read(path);
  await surgery.write(path, bytes.subarray(0, bytes.length - 60));
}

async function zeroHead(surgery: Surgery, path: string): Promise<void> {
  const bytes = surgery.read(path);
  bytes.fill(0, 0, 4096);
  await surgery.write(path, bytes);
}

/** The newest ring file, and its blocks but the last, which would pass for torn. */
function newest(surgery: Surgery): {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly blocks: readonly number[];
  readonly head: number;
} {
  const files = surgery.paths("wal/").map((path) => {
    const bytes = surgery.read(path);
    const blocks: number[] = [];
    let sequence = 0;
    for (let at = 0; ; ) {
      const header = readBlockHeader(bytes, at, bytes.slice(8, 24));
      if (header === undefined || (sequence > 0 && header.sequence !== sequence + 1)) break;
      sequence = header.sequence;
      blocks.push(at);
      at += padded(header.bytes);
    }
    return { path, bytes, blocks: blocks.slice(0, -1), head: sequence - blocks.length };
  });
  return files.reduce((a, b) => (b.head > a.head ? b : a));
}

const walWounds: Readonly<Record<string, (surgery: Surgery) => Promise<{ readonly path: string; readonly position: number | undefined }>>> =
  {
    flip: async (surgery) => {
      const { path, bytes, blocks } = newest(surgery);
      const position = blocks.at(-4) as number;
      bytes[position + 90] = (bytes[position + 90] ?? 0) ^ 8;
      await surgery.write(path, bytes);
      return { path, position };
    },
    "flip of the checkpoint": async (surgery) => {
      const { path, bytes } = newest(surgery);
      bytes[26] = (bytes[26] ?? 0) ^ 8;
      await surgery.write(path, bytes);
      return { path, position: undefined };
    },
    zero: async (surgery) => {
      const { path, bytes, blocks } = newest(surgery);
      const position = blocks.at(-3) as number;
      bytes.fill(0, position, position + 4096);
      await surgery.write(path, bytes);
      return { path, position };
    },
    remove: async (surgery) => {
      const [path] = surgery.paths("wal/");
      await surgery.delete(path as string);
      return { path: path as string, position: 0 };
    },
  };

interface Working {
  readonly cluster: Cluster;
  readonly groups: readonly [GroupId, GroupId];
  count: number;
}

/** Three brokers and two partitions with the same records, most of them in segments. */
async function working(timings: Partial<BrokerConfig["timings"]> = {}): Promise<Working> {
  const cluster = await Cluster.start({
    configure: (config) => ({
      ...config,
      timings: { ...config.timings, ...timings },
      log: { ...config.log, segmentBytes: 512 * KiB, hotTailBytes: 256 * KiB },
    }),
  });
  await cluster.createTopic("t", 2);
  const groups = [await cluster.groupOf("t", 0), await cluster.groupOf("t", 1)] as const;
  const work = { cluster, groups, count: 0 };
  for (let i = 0; i < RECORDS; i += 1) await produce(work);
  return work;
}

async function produce(work: Working): Promise<void> {
  const value = `${work.count}-`.padEnd(20_000, "x");
  work.count += 1;
  for (const partition of [0, 1])
    await work.cluster.call(1, stubs.Produce, { topic: "t", partition, records: recordSet([value]), acks: Acks.all });
}

async function isrOf(cluster: Cluster, via: number, partition: number): Promise<readonly number[]> {
  const { topics } = await cluster.call(via, stubs.DescribeTopics, { names: ["t"] });
  return topics[0]?.partitions[partition]?.isrBrokerIds ?? [];
}

/** (index, term, offset, type, payload) of everything committed, as this broker's own replica has it. */
async function hashOf(cluster: Cluster, n: number, group: GroupId, upTo: LogIndex): Promise<string> {
  const replica = cluster.replica(n, group);
  assert.ok(replica !== undefined);
  const hash = createHash("sha256");
  for (let next = 1; next <= upTo; ) {
    const read: ReadResult = await cluster.settle(Promise.resolve(replica.log.read(next as LogIndex, 1024 * KiB, upTo, false)));
    const frames: readonly Frame[] = read.kind === "frames" ? read.frames : [];
    assert.ok(frames.length > 0);
    for (const frame of frames) {
      assert.equal(frame.index, next);
      hash.update(`${frame.index} ${frame.term} ${frame.baseOffset} ${frame.type} `).update(frame.payload);
      next += 1;
    }
  }
  return hash.digest("hex");
}

/** What is committed everywhere is the same on each broker's own replica. */
async function sameEverywhere(cluster: Cluster, group: GroupId, what: string): Promise<void> {
  const upTo = Math.min(...cluster.numbers.map((n) => cluster.replica(n, group)?.core.commit ?? 0)) as LogIndex;
  const hashes = new Set<string>();
  for (const n of cluster.numbers) hashes.add(await hashOf(cluster, n, group, upTo));
  assert.equal(hashes.size, 1, what);
}

/** Every record that was produced is there, once and in order. */
async function holdsAll({ cluster, count }: Working): Promise<void> {
  assert.deepEqual(
    (await cluster.values("t")).map((value) => Number.parseInt(value, 10)),
    Array.from({ length: count }, (_, i) => i),
  );
}

describe("Damage to one replica of three", () => {
  it("is found at start, on read or by scrub, named by file and byte, and repaired from a peer without a command", async () => {
    const work = await working();
    const { cluster, groups } = work;
    const [group] = groups;
    for (const { name, ending, place, wounds } of rows) {
      for (const [kind, wound] of Object.entries(wounds)) {
        const row = `${name}, ${kind}`;
        for (let i = 0; i < 4; i += 1) await produce(work);
        // Each in turn, whoever leads: one time it is the leader of the partition.
        const victim = (work.count % 3) + 1;
        await cluster.stop(victim);
        const surgery = new Surgery(cluster, victim);
        const [own, other] = groups.map((id) => surgery.paths(`groups/${id}-`, ending));
        const path = own?.at(place) as string;
        await wound(surgery, path, other?.at(place) as string);
        await cluster.restart(victim);
        const log = cluster.replica(victim, group)?.log;
        assert.ok(log !== undefined);
        const scrub = await cluster.settle(log.scrub((_bytes, read) => read()));
        const said = cluster.errors.splice(0);
        if (ending === ".log" && name !== "a footer") {
          assert.ok(said.length > 0, `${row}: said`);
          for (const event of said)
            assert.match(event, new RegExp(`^broker ${victim}: log.hole_found .*"path":"${path}","position":\\d+`), row);
        } else assert.deepEqual(said, [], row);
        assert.ok(scrub.segments > 0);
        await cluster.until(() => log.holes.length === 0, `${row}: repaired`);
        const via = (victim % 3) + 1;
        while ((await isrOf(cluster, via, 0)).length < 3) await cluster.pass(200);
        await sameEverywhere(cluster, group, row);
        assert.deepEqual((await cluster.settle(log.scrub((_bytes, read) => read()))).rebuilt, [], row);
      }
    }
    await holdsAll(work);
    cluster.close();
  });

  it("of a running broker is found by its scrub, without anybody reading, and repaired", async () => {
    const work = await working({ scrubIntervalMs: 5_000 });
    const { cluster, groups } = work;
    const surgery = new Surgery(cluster, 2);
    const [, path] = surgery.paths(`groups/${groups[0]}-`, ".log");
    const node = cluster
      .disk(2)
      .files()
      .find((one) => one.path.replace(/^\//, "") === path);
    node?.file.flipBit(100_000, 4);
    // The first scrub begins a minute after the start.
    await cluster.until(() => cluster.errors.length > 0, "found", 120_000);
    assert.match(cluster.errors.splice(0).join(), new RegExp(`^broker 2: log.hole_found .*"path":"${path}"`));
    await cluster.until(() => cluster.replica(2, groups[0])?.log.holes.length === 0, "repaired");
    await cluster.settle(cluster.broker(2).scrub());
    const status = cluster.broker(2).scrubStatus;
    assert.deepEqual([status?.running, status?.found, status?.holes, status?.rebuilt], [false, [], [], []]);
    // The metadata and two partitions, every byte of their segments.
    assert.equal(status?.groups, 3);
    assert.ok((status?.bytes ?? 0) > 2 * RECORDS * 15_000);
    cluster.close();
  });

  it("that no replica can repair ends when it is trimmed away: the replicas are in sync again", async () => {
    const work = await working();
    const { cluster, groups } = work;
    const [group] = groups;
    for (const n of cluster.numbers) await cluster.stop(n);
    for (const n of cluster.numbers) {
      const surgery = new Surgery(cluster, n);
      await flip(middle)(surgery, surgery.paths(`groups/${group}-`, ".log")[0] as string, "");
    }
    for (const n of cluster.numbers) cluster.boot(n);
    for (const n of cluster.numbers) await cluster.settle(cluster.started(n));
    const logs = cluster.numbers.map((n) => cluster.replica(n, group));
    for (const replica of logs) await cluster.settle(replica?.log.scrub((_bytes, read) => read()) ?? assert.fail());
    await cluster.until(() => logs.every((replica) => replica?.core.lastResort === true), "each has the same hole");
    const beforeOffset = logs[0]?.log.segments[0]?.endOffset ?? 0;
    await cluster.call(1, stubs.TrimTopic, { name: "t", partitions: [{ partition: 0, beforeOffset }] });
    await cluster.until(() => logs.every((replica) => replica?.log.holes.length === 0), "trimmed away");
    await cluster.until(() => logs.every((replica) => replica?.core.lastResort === false), "told so");
    while ((await isrOf(cluster, 1, 0)).length < 3) await cluster.pass(200);
    await produce(work);
    cluster.errors.splice(0);
    cluster.close();
  });

  it("to the write-ahead log quarantines what is not proved, until the others told it what it may have forgotten", async () => {
    const work = await working();
    const { cluster, groups } = work;
    for (const [kind, wound] of Object.entries(walWounds)) {
      const victim = (work.count % 3) + 1;
      // Votes, terms and records in the newest file of the ring, with more behind each.
      await cluster.moveLeader("t", 0, victim);
      for (let i = 0; i < 6; i += 1) await produce(work);
      cluster.kill(victim);
      const surgery = new Surgery(cluster, victim);
      const { path, position } = await wound(surgery);
      cluster.boot(victim);
      await cluster.settle(cluster.started(victim));
      const said = cluster.errors.splice(0);
      assert.equal(said.length, 1, `${kind}: ${said.join()}`);
      assert.match(
        said[0] ?? "",
        new RegExp(`^broker ${victim}: log.wal_found_damaged .*"path":"${path}","position":${position ?? "\\d+"},`),
        kind,
      );
      const replicas = [...cluster.broker(victim).replicas];
      await cluster.until(
        () => replicas.every(({ core, log }) => !core.quarantined && !log.doubted && log.holes.length === 0),
        `${kind}: the others vouched for it`,
      );
      const via = (victim % 3) + 1;
      for (const partition of [0, 1]) while ((await isrOf(cluster, via, partition)).length < 3) await cluster.pass(200);
      await produce(work);
      await cluster.pass(1_000);
      for (const group of groups) await sameEverywhere(cluster, group, kind);
    }
    await holdsAll(work);
    cluster.close();
  });

  it("keeps it out of the in-sync replicas, and from leading, until it is whole; a read repairs what it meets", async () => {
    const work = await working();
    const { cluster, groups } = work;
    const [group] = groups;
    await cluster.moveLeader("t", 0, 1);
    // Both others are off: the leader's damage cannot be repaired, and its reads come to it.
    for (const n of [2, 3]) await cluster.stop(n);
    await cluster.stop(1);
    const surgery = new Surgery(cluster, 1);
    const [first] = surgery.paths(`groups/${group}-`, ".log");
    await flip(middle)(surgery, first as string, "");
    for (const n of [1, 2]) cluster.boot(n);
    for (const n of [1, 2]) await cluster.settle(cluster.started(n));
    const leader = await cluster.leaderOf("t", 0);
    assert.deepEqual((await cluster.values("t", 0, leader)).length, work.count);
    if (leader !== 1) await cluster.moveLeader("t", 0, 1);
    assert.deepEqual((await cluster.values("t", 0, 1)).length, work.count);
    assert.ok(cluster.errors.splice(0).every((event) => /log.hole_found/.test(event)));
    assert.equal(cluster.replica(1, group)?.log.holes.length, 0);
    cluster.close();
  });

  it("on every replica loses that range alone: DATA_LOSS, the rest is read and written, and nobody leads who need not", async () => {
    const work = await working();
    const { cluster, groups } = work;
    const [group] = groups;
    for (const n of cluster.numbers) await cluster.stop(n);
    for (const n of cluster.numbers) {
      const surgery = new Surgery(cluster, n);
      const [first] = surgery.paths(`groups/${group}-`, ".log");
      const bytes = surgery.read(first as string);
      // The payload of the same record everywhere.
      const at = Buffer.from(bytes).indexOf("5-xxxxxxxx");
      assert.ok(at > 0);
      await flip(() => at + 100)(surgery, first as string, "");
    }
    for (const n of cluster.numbers) cluster.boot(n);
    for (const n of cluster.numbers) await cluster.settle(cluster.started(n));
    const leader = await cluster.leaderOf("t", 0);
    const fetch = (offset: number) => ({ topic: "t", partition: 0, offset, maxBytes: 1024 });
    const error = await cluster.refused(leader, stubs.Fetch, fetch(5), "DATA_LOSS", { timeoutMs: 30_000 });
    assert.match(error.message, /groups\/.*\.log at byte \d+/);
    assert.equal((await cluster.call(leader, stubs.Fetch, fetch(4))).nextOffset, 5);
    assert.equal((await cluster.call(leader, stubs.Fetch, fetch(6))).nextOffset, 7);
    await cluster.call(1, stubs.Produce, { topic: "t", records: recordSet(["after"]), acks: Acks.quorum });
    cluster.errors.splice(0);
    cluster.close();
  });
});
