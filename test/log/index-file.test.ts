import assert from "node:assert/strict";
import { it } from "node:test";
import { GroupLogImpl } from "../../src/log/group-log.ts";
import { SparseIndex } from "../../src/log/model/sparse-index.ts";
import { contents, overwrite, segmentPaths } from "./damaged.ts";
import { append, draft, EMPTY, group, replica, term, text } from "./frames.ts";
import { Machine } from "./machine.ts";

it("An index is written over whatever lies under its name, and ends where it ends", async () => {
  const machine = new Machine();
  const store = await machine.open();
  const log = await machine.run(store.create(group(7), replica(3), EMPTY, text("who votes")));
  assert.ok(log instanceof GroupLogImpl);
  append(log, term(1), [draft(1), draft(2)]);
  await machine.settle();
  const path = "groups/7-3/00000000000000000001-00000000000000000000.index";
  await overwrite(machine, path, new Uint8Array(10_000).fill(7));
  log.commit(log.lastIndex);
  await machine.run(log.flush());
  assert.deepEqual(segmentPaths(machine, ".index"), [path]);
  const written = contents(machine, path);
  assert.ok(written.length < 1_000);
  assert.ok(SparseIndex.decode(written) !== undefined);
});
