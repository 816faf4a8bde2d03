import { describe, it } from "node:test";
import { Story } from "./story.ts";

const SEEDS = Number(process.env["MILLRACE_LOG_SEEDS"] ?? 40);
const FIRST = Number(process.env["MILLRACE_LOG_SEED"] ?? 1);

describe("a log that crashes at any disk operation", () => {
  it("is one that was written, with everything that was called durable", async () => {
    let durables = 0;
    for (let seed = FIRST; seed < FIRST + SEEDS; seed += 1) {
      const story = new Story({ seed, crashes: 6 });
      await story.run().catch((error: unknown) => {
        throw new Error(`seed ${seed}`, { cause: error });
      });
      durables += story.durables;
    }
    if (durables === 0) throw new Error("nothing was ever durable: the story tests nothing");
  });
});
