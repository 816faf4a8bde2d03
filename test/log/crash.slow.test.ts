import { describe, it } from "node:test";
import { runStories } from "./story.ts";

describe("a log that crashes at any disk operation", () => {
  it("is one that was written, in 150 more stories, in which logs begin anew too (scenario 44)", () => runStories(1000, 150));
});
