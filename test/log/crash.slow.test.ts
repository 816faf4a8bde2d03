import { describe, it } from "node:test";
import { runStories, TINY_SEGMENTS } from "./story.ts";

describe("a log that crashes at any disk operation", () => {
  it("is one that was written, in 150 more stories, in which logs begin anew too (scenario 44)", () => runStories(1000, 150));

  it("is so in 100 more where segments are tiny beside the files of the ring", () => runStories(2000, 100, TINY_SEGMENTS));
});
