import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BadDataDirectory, incarnationOf, readMeta } from "../../src/log/meta.ts";
import { sealJson } from "../../src/log/model/sealed-json.ts";
import { setAside, setAsideIf } from "../../src/log/set-aside.ts";
import { append, draft, EMPTY, group, replica, term, text } from "./frames.ts";
import { Machine } from "./machine.ts";

/** Without what is derived and never synced. */
const paths = (machine: Machine): readonly string[] =>
  machine.device
    .files()
    .map(({ path }) => path)
    .filter((path) => !path.endsWith(".index"));

async function written(seed: number): Promise<Machine> {
  const machine = new Machine(seed);
  const store = await machine.open();
  const log = await machine.run(store.create(group(7), replica(3), EMPTY, text("")));
  append(log, term(1), [draft(1), draft(2)]);
  log.commit(log.lastIndex);
  await machine.run(store.close());
  machine.crash();
  return machine;
}

describe("Setting a data directory aside", () => {
  it("moves all of it into a folder with a number of its own, and leaves an empty directory that begins with another incarnation", async () => {
    const machine = await written(1);
    const before = paths(machine);
    assert.equal(await machine.run(setAside(machine.disk)), "set-aside/1");
    assert.deepEqual([...paths(machine)].sort(), before.map((path) => `set-aside/1/${path}`).sort());
    const store = await machine.open();
    assert.deepEqual(store.recovered, []);
    await machine.run(store.close());
    assert.equal(await machine.run(setAside(machine.disk)), "set-aside/2");
  });

  it("says so when there is nothing", async () => {
    const machine = new Machine(2);
    assert.equal(await machine.run(setAside(machine.disk)), undefined);
    assert.deepEqual(paths(machine), []);
  });

  it("is durable when it says that it is done", async () => {
    const machine = await written(3);
    await machine.run(setAside(machine.disk));
    machine.crash(true);
    assert.ok(paths(machine).length > 2 && paths(machine).every((path) => path.startsWith("set-aside/1/")), paths(machine).join(" "));
  });

  it("loses nothing when the power goes in its middle, and is finished by the next call", async () => {
    for (let seed = 1; seed <= 12; seed++) {
      const machine = await written(seed);
      const names = paths(machine).map((path) => path.split("/").at(-1));
      const under = setAside(machine.disk);
      under.catch(() => {});
      await machine.scheduler.run(machine.scheduler.now + seed * 0.6);
      machine.crash(true);
      await machine.run(setAside(machine.disk));
      const left = paths(machine);
      assert.ok(
        left.every((path) => path.startsWith("set-aside/")),
        `seed ${seed}: ${left.join(" ")}`,
      );
      assert.deepEqual(left.map((path) => path.split("/").at(-1)).sort(), [...names].sort());
    }
  });

  it("is done to the disk that was named, and to no other", async () => {
    const machine = await written(4);
    const found = (await machine.run(incarnationOf(machine.disk))) as string;
    assert.deepEqual(await machine.run(setAsideIf(machine.disk, "0".repeat(8))), { found, folder: undefined });
    assert.deepEqual(await machine.run(setAsideIf(machine.disk, "unreadable")), { found, folder: undefined });
    assert.deepEqual(await machine.run(setAsideIf(machine.disk, found)), { found, folder: "set-aside/1" });
    assert.deepEqual(await machine.run(setAsideIf(machine.disk, found)), { found: undefined, folder: undefined });
    const again = await written(5);
    await again.run(again.disk.unlink("meta.json"));
    assert.deepEqual(await again.run(setAsideIf(again.disk, found)), { found: "unreadable", folder: undefined });
    assert.deepEqual(await again.run(setAsideIf(again.disk, "unreadable")), { found: "unreadable", folder: "set-aside/1" });
  });

  for (const [what, change, says] of [
    ["a newer format", { format: 2, disks: 3 }, /meta\.json has format 2, this version knows 1: .*version that wrote it/],
    ["a state it does not know", { recovery: "moving" }, /meta\.json has no readable state of a recovery: .*version that wrote it/],
  ] as const)
    it(`never takes a whole meta.json with ${what} for one that cannot be read: a version that knows it wrote it`, async () => {
      const machine = await written(6);
      const kept = [...paths(machine)].sort();
      await rewriteMeta(machine, (fields) => sealJson({ ...fields, ...change }));
      for (const named of ["unreadable", "0".repeat(8)])
        await assert.rejects(machine.run(setAsideIf(machine.disk, named)), (error: unknown) => {
          assert.ok(error instanceof BadDataDirectory);
          assert.match(error.message, says);
          assert.doesNotMatch(error.message, /new-incarnation/);
          return true;
        });
      await assert.rejects(machine.run(readMeta(machine.disk)), says);
      assert.deepEqual([...paths(machine)].sort(), kept);
    });

  it("takes one that is damaged for unreadable, whatever it seems to say", async () => {
    for (const damaged of [
      (text: string) => text.replace('"format": 1', '"format": 2'),
      (text: string) => text.slice(0, 40),
      // As of before there was a seal.
      (text: string) => text.replace(/,\n {2}"crc": .*\n/, "\n").replace('"brokerId": 1', '"brokerId": 0'),
    ]) {
      const machine = await written(7);
      await rewriteMeta(machine, (_, whole) => damaged(whole));
      await assert.rejects(machine.run(readMeta(machine.disk)), /new-incarnation unreadable/);
      assert.deepEqual(await machine.run(setAsideIf(machine.disk, "unreadable")), { found: "unreadable", folder: "set-aside/1" });
    }
  });
});

async function rewriteMeta(machine: Machine, rewrite: (fields: object, text: string) => string): Promise<void> {
  const before = await machine.run(machine.disk.open("meta.json", { mode: "read" }));
  const read = new Uint8Array(await machine.run(before.size()));
  await machine.run(before.read(0, read));
  await machine.run(before.close());
  await machine.run(machine.disk.unlink("meta.json"));
  const whole = new TextDecoder().decode(read);
  const { crc: _, ...fields } = JSON.parse(whole) as Record<string, unknown>;
  const after = await machine.run(machine.disk.open("meta.json", { mode: "create" }));
  await machine.run(after.write(0, [text(rewrite(fields, whole))]));
  await machine.run(after.close());
}
