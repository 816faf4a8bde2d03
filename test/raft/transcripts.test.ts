import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { describe, it } from "node:test";
import { runTranscript } from "./transcript.ts";

/** Next to the sources, not to the compiled test. RAFT_REGENERATE=1 writes them anew: commit the difference only once it is understood. */
const FOLDER = new URL("../../../test/raft/scenarios/", import.meta.url);

describe("Raft transcripts", () => {
  const files = readdirSync(FOLDER).filter((name) => name.endsWith(".txt"));

  it("are there", () => assert.ok(files.length >= 8));

  for (const name of files) {
    it(`${name} goes as written`, () => {
      const file = new URL(name, FOLDER);
      const written = readFileSync(file, "utf8");
      const happened = runTranscript(written);
      if (process.env["RAFT_REGENERATE"] === "1") writeFileSync(file, happened);
      else assert.equal(happened, written);
    });
  }
});
