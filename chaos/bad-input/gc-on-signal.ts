import { renameSync, writeFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/**
 * Loaded into the brokers of `npm run bad-input` by NODE_OPTIONS: SIGUSR2 collects garbage and writes down in the same turn what is left, so
 * that what a case keeps is told from what nobody has collected yet. The numbers of `/metrics` are of a later turn, or of an earlier one.
 * Part of no broker that anybody else starts.
 *
 * Writes `<pid>.json` into the folder that BAD_INPUT_MEMORY_FOLDER names: `{"heapBytes": …}`, objects and buffers.
 */
setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;
// Not MILLRACE_…: a broker refuses settings it does not know.
const folder = process.env["BAD_INPUT_MEMORY_FOLDER"] ?? ".";
process.on("SIGUSR2", () => {
  collect();
  collect();
  const { heapUsed, external } = process.memoryUsage();
  const file = `${folder}/${process.pid}.json`;
  writeFileSync(`${file}.new`, JSON.stringify({ heapBytes: heapUsed + external }));
  renameSync(`${file}.new`, file);
});
