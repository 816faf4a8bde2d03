import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/**
 * Loaded into the brokers of `npm run bad-input` by NODE_OPTIONS: SIGUSR2 collects garbage, so that what a case leaves on the heap can
 * be told from what nobody has collected yet. Part of no broker that anybody else starts.
 */
setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;
process.on("SIGUSR2", () => {
  collect();
  collect();
});
