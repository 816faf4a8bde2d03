import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { counters, events } from "../../src/telemetry/events.ts";

const src = fileURLToPath(new URL("../../../src", import.meta.url));

interface Use {
  readonly place: string;
  readonly id: string;
}

/** Literal ids passed to `log(level, id…)` and `count(id…)` anywhere in `src/`. */
function usesOf(pattern: RegExp): readonly Use[] {
  const files = readdirSync(src, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"));
  return files.flatMap((file) => {
    const text = readFileSync(join(src, file), "utf8");
    return [...text.matchAll(pattern)].map((match) => ({ place: `src/${file}`, id: match[1] ?? "" }));
  });
}

const logged = /\.log\(\s*"(?:debug|info|warn|error)",\s*"([^"]*)"/g;
const counted = /\.count\(\s*"([^"]*)"/g;

describe("The catalogue of events", () => {
  it("knows every id that is logged: add missing ones to src/telemetry/events.ts", () => {
    const uses = usesOf(logged);
    assert.ok(uses.length > 0);
    assert.deepEqual(
      uses.filter(({ id }) => !Object.hasOwn(events, id)),
      [],
    );
  });

  it("knows every counter: add missing ones to src/telemetry/events.ts", () => {
    const uses = usesOf(counted);
    assert.ok(uses.length > 0);
    assert.deepEqual(
      uses.filter(({ id }) => !Object.hasOwn(counters, id)),
      [],
    );
  });

  it("holds ids of the form area.what_happened, each with a sentence", () => {
    for (const [id, doc] of [...Object.entries(events), ...Object.entries(counters)]) {
      assert.match(id, /^[a-z]+\.[a-z]+(_[a-z]+)*$/);
      assert.match(doc, /^[A-Z].*\.$/, id);
    }
  });
});
