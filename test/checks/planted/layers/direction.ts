// plant: src/raft/planted.ts
// expect: layers/direction:4, layers/direction:5, layers/direction:6
import { invariant } from "../base/invariant.ts";
import { append } from "../log/wal.ts";
export type { Broker } from "../broker/broker.ts";
const clock = import("../base/ports/clock.ts");
invariant(append !== clock, "planted");
