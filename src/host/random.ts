import { randomInt, randomUUID } from "node:crypto";
import type { Random } from "../base/ports/random.ts";

/** The system's randomness. */
export const nodeRandom: Random = {
  below: (bound) => randomInt(bound),
  uuid: () => randomUUID(),
};
