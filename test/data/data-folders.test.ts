import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { RAISED_LEVEL_MIN, supportedLevels } from "../../src/cluster/feature-levels.ts";
import { Cluster, recordSet } from "../broker/harness.ts";
import * as stubs from "../broker/stubs.ts";
import { append, draft, group, term } from "../log/frames.ts";
import { Machine } from "../log/machine.ts";
import { unpack } from "./archive.ts";
import type { ExpectedBroker } from "./write-broker.ts";
import { type ExpectedGroup, framesOf, moreOf, stateOf } from "./write-log.ts";

/** The sources, not what was compiled of them. */
const folder = new URL("../../../test/data/", import.meta.url);
const versions = readdirSync(folder).filter((name) => /^v\d+$/.test(name));

function json<T>(version: string, name: string): T {
  return JSON.parse(readFileSync(new URL(`${version}/${name}`, folder), "utf8")) as T;
}

describe("data folders of former versions", () => {
  it("are there", () => assert.ok(versions.includes("v1")));

  for (const version of versions) {
    it(`${version}: the log is opened with exactly what it held, and goes on`, async () => {
      const machine = new Machine(3);
      unpack(readFileSync(new URL(`${version}/log.gz`, folder)), machine.device);
      const expected = json<readonly ExpectedGroup[]>(version, "log.json");
      const store = await machine.open();
      assert.deepEqual(store.recovered.map(({ groupId }) => groupId).sort(), expected.map(({ groupId }) => groupId).sort());
      for (const { frames, more, ...state } of expected) {
        assert.deepEqual(stateOf(store, state.groupId), state);
        const log = store.open(group(state.groupId));
        if (more !== undefined) assert.deepEqual(moreOf(log), more, `group ${state.groupId}`);
        assert.deepEqual(await framesOf(machine, log), frames, `group ${state.groupId}`);
        await machine.run(new Promise<void>((durable) => append(log, term(9), [draft(1, 500)], durable)));
        log.commit(log.lastIndex);
      }
      await machine.run(store.close());
      const again = await machine.open();
      for (const { groupId, frames } of expected) {
        const read = await framesOf(machine, again.open(group(groupId)));
        assert.deepEqual(read.slice(0, -1), frames);
        assert.equal(read.length, frames.length + 1);
      }
      await machine.run(again.close());
      assert.deepEqual(machine.failures, []);
    });

    it(`${version}: a broker starts on its folder, serves every record, and takes more`, async () => {
      const expected = json<ExpectedBroker>(version, "broker.json");
      const archive = readFileSync(new URL(`${version}/broker.gz`, folder));
      const cluster = await Cluster.start({ brokers: 1, seed: 8, prepare: (_, disk) => unpack(archive, disk) });
      for (const { topic, partition, logStart, values } of expected.partitions) {
        await cluster.leaderOf(topic, partition);
        assert.deepEqual(await cluster.values(topic, partition, 1, logStart), values);
        await cluster.call(1, stubs.Produce, { topic, partition, records: recordSet(["new"]) });
        assert.deepEqual(await cluster.values(topic, partition, 1, logStart), [...values, "new"]);
      }
      const { topics } = await cluster.call(1, stubs.DescribeTopics, {});
      assert.deepEqual(topics.map(({ name }) => name).sort(), Object.keys(expected.configs));
      for (const { name, configs } of topics) {
        const shown = new Map(configs.map(({ key, value }) => [key, value]));
        for (const [key, value] of Object.entries(expected.configs[name] ?? {})) assert.equal(shown.get(key), value, key);
      }
      for (const { topic, partition, logStart } of expected.partitions) {
        if (logStart === undefined) continue;
        const offsets = await cluster.call(1, stubs.ListOffsets, { topic, partitions: [partition] });
        assert.equal(offsets.partitions[0]?.logStartOffset, logStart);
      }
      await cluster.stop(1);
      cluster.close();
    });

    it(`${version}: its cluster is at the feature level it was at, until a broker that understands more opens it`, async () => {
      const archive = readFileSync(new URL(`${version}/broker.gz`, folder));
      const before = { featureLevels: { min: 1, max: RAISED_LEVEL_MIN - 1 } };
      const cluster = await Cluster.start({ brokers: 1, seed: 9, prepare: (_, disk) => unpack(archive, disk), software: () => before });
      assert.equal((await cluster.call(1, stubs.DescribeCluster, {})).featureLevel, 1);
      await cluster.stop(1);
      cluster.boot(1, { featureLevels: supportedLevels });
      await cluster.settle(cluster.started(1));
      assert.equal((await cluster.call(1, stubs.DescribeCluster, {})).featureLevel, supportedLevels.max);
      await cluster.stop(1);
      cluster.close();
    });
  }
});
