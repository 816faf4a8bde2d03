import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { ByteReader, ByteWriter } from "../../src/log/model/bytes.ts";
import { Configs } from "../../src/log/model/configs.ts";
import { decodeStartPoint, startPointBytes } from "../../src/log/model/segment-files.ts";
import type { GroupLog, RecoveredGroup } from "../../src/log/types.ts";
import { makeFrame } from "../../src/records/frame.ts";
import { type FrameDraft, FrameType } from "../../src/records/frame-types.ts";
import { append, draft, EMPTY, group, index, offset, replica, term, text } from "./frames.ts";
import { KiB, Machine } from "./machine.ts";

const configFrame = (name: number): FrameDraft => ({ ...draft(name, 20), type: FrameType.config, recordCount: 0 });
const payloadOf = (name: number): Uint8Array => configFrame(name).payload;

function known(recovered: RecoveredGroup | undefined): { readonly config: string; readonly configs: readonly [number, string][] } {
  assert.ok(recovered !== undefined);
  return { config: nameOf(recovered.config), configs: recovered.configs.map((one) => [one.index, nameOf(one.config)]) };
}

/** "first" for what the group was made with, else the number of the configuration frame. */
function nameOf(config: Uint8Array): string {
  if (Buffer.from(config).toString() === "first") return "first";
  for (let name = 0; name < 1000; name++) if (Buffer.compare(payloadOf(name), config) === 0) return `${name}`;
  return "unknown";
}

async function restarted(machine: Machine, power = false): Promise<RecoveredGroup | undefined> {
  machine.crash(power);
  return (await machine.open()).recovered[0];
}

const begun = async (): Promise<{ machine: Machine; log: GroupLog }> => {
  const machine = new Machine();
  const store = await machine.open();
  return { machine, log: await machine.run(store.create(group(7), replica(3), EMPTY, text("first"))) };
};

describe("Configuration frames in the log", () => {
  it("are told by recovery, with the one in force as of the synced index apart", async () => {
    const { machine, log } = await begun();
    append(log, term(1), [draft(1), configFrame(10), draft(2), configFrame(11)]);
    await machine.settle();
    assert.deepEqual(known(await restarted(machine)), {
      config: "first",
      configs: [
        [2, "10"],
        [4, "11"],
      ],
    });
  });

  it("are gone with what is truncated", async () => {
    const { machine, log } = await begun();
    append(log, term(1), [configFrame(10), draft(2), configFrame(11)]);
    log.write({ state: undefined, truncateFrom: index(2), frames: [] }, () => {});
    await machine.settle();
    assert.deepEqual(known(await restarted(machine)), { config: "first", configs: [[1, "10"]] });
  });

  it("become what is in force once they are in a synced segment", async () => {
    const { machine, log } = await begun();
    append(log, term(1), [configFrame(10), draft(2), configFrame(11)]);
    log.commit(index(2));
    await machine.settle();
    machine.crash();
    let store = await machine.open();
    store.open(group(7)).commit(index(2));
    await machine.run(store.close());
    store = await machine.open();
    assert.deepEqual(known(store.recovered[0]), { config: "10", configs: [[3, "11"]] });
    store.open(group(7)).commit(index(3));
    await machine.run(store.close());
    assert.deepEqual(known(await restarted(machine, true)), { config: "11", configs: [] });
  });

  it("outlive the ring file they stood in, and stand at the head of each later segment", async () => {
    const { machine, log } = await begun();
    append(log, term(1), [configFrame(10)]);
    for (let i = 0; i < 120; i += 1) {
      append(log, term(1), [draft(i, 4000), ...(i === 60 ? [configFrame(11)] : [])]);
      if (i % 5 === 4) await machine.settle();
      log.commit(log.lastIndex);
    }
    await machine.settle();
    const heads = machine.device
      .files()
      .filter(({ path }) => path.endsWith(".log"))
      .map(({ path }) => path)
      .sort();
    assert.ok(heads.length >= 4);
    const points = await Promise.all(heads.map((path) => startPoint(machine, path)));
    assert.deepEqual(
      points.map(({ start, config }) => nameOf(config) === (start.index < 1 ? "first" : start.index < 63 ? "10" : "11")),
      points.map(() => true),
    );
    assert.equal(nameOf(points[0]?.config ?? text("")), "first");
    assert.equal(nameOf(points.at(-1)?.config ?? text("")), "11");
    assert.deepEqual(known(await restarted(machine, true)).config, "11");
  });

  it("are taken from frames that come past the write-ahead log", async () => {
    const { machine, log } = await begun();
    const frames = [draft(1), configFrame(10), configFrame(11), draft(2)].map((one, at) =>
      makeFrame(one, {
        groupId: group(7),
        index: index(at + 1),
        term: term(1),
        baseOffset: offset(at === 0 ? 0 : draft(1).recordCount),
        appendTime: 5,
      }),
    );
    await machine.run(log.extend(frames));
    assert.deepEqual(known(await restarted(machine, true)), { config: "11", configs: [] });
  });
});

describe("Configs", () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant("append" as const), gap: fc.integer({ min: 1, max: 4 }) }),
    fc.record({ kind: fc.constant("truncate" as const), part: fc.double({ min: 0, max: 1, noNaN: true }) }),
    fc.record({ kind: fc.constant("synced" as const), part: fc.double({ min: 0, max: 1, noNaN: true }) }),
  );

  it("says what is in force at every index from the synced one on, whatever was appended, cut and synced, and after being stored", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const configs = new Configs(text("0"));
        const entries: (number | undefined)[] = [];
        let synced = 0;
        for (const [at, one] of steps.entries()) {
          if (one.kind === "append") {
            for (let i = 1; i < one.gap; i++) entries.push(undefined);
            entries.push(at + 1);
            configs.append(index(entries.length), text(`${at + 1}`));
          } else if (one.kind === "truncate") {
            const from = synced + 1 + Math.floor(one.part * (entries.length - synced));
            entries.length = Math.min(entries.length, from - 1);
            configs.truncate(from);
          } else {
            synced += Math.floor(one.part * (entries.length - synced + 0.999));
            configs.synced(synced, undefined);
          }
        }
        const out = new ByteWriter();
        configs.write(out);
        const stored = new Configs(configs.base);
        stored.read(new ByteReader(out.done()));
        for (const each of [configs, stored]) {
          for (let at = synced; at <= entries.length; at++) {
            const expected = entries.slice(0, at).findLast((name) => name !== undefined) ?? 0;
            assert.equal(Buffer.from(each.at(at)).toString(), `${expected}`);
          }
        }
      }),
      { numRuns: 300 },
    );
  });
});

async function startPoint(machine: Machine, path: string): Promise<ReturnType<typeof decodeStartPoint>> {
  const file = await machine.run(machine.disk.open(path, { mode: "read" }));
  const bytes = new Uint8Array(2 * KiB);
  await machine.run(file.read(0, bytes));
  return decodeStartPoint(bytes.subarray(0, startPointBytes(bytes)));
}
