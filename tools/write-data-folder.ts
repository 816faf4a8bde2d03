import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pack } from "../test/data/archive.ts";
import { writeBroker } from "../test/data/write-broker.ts";
import { writeLog } from "../test/data/write-log.ts";
import { Machine } from "../test/log/machine.ts";

/**
 * `node dist/tools/write-data-folder.js v2`: what this version writes to disk, kept in `test/data/v2/` for every later one to open. A folder
 * that was landed is never written again: another kind of record, or another layout, gets the next number.
 */
const [name = ""] = process.argv.slice(2);
if (!/^v\d+$/.test(name)) throw new Error("Say which: v2, v3, …");
const folder = join("test", "data", name);
if (existsSync(folder)) throw new Error(`${folder} is there: what was landed is not written again`);

const machine = new Machine(5);
const groups = await writeLog(machine);
const { cluster, expected } = await writeBroker();
mkdirSync(folder, { recursive: true });
const files = {
  "log.gz": pack(machine.device),
  "log.json": `${JSON.stringify(groups, undefined, 1)}\n`,
  "broker.gz": pack(cluster.disk(1)),
  "broker.json": `${JSON.stringify(expected, undefined, 1)}\n`,
};
for (const [file, content] of Object.entries(files)) {
  writeFileSync(join(folder, file), content);
  console.log(`${join(folder, file)}: ${content.length} bytes`);
}
cluster.close();
