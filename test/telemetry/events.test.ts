import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { type EventSpec, events } from "../../src/base/events.ts";
import { counters, histograms } from "../../src/base/metrics.ts";

const src = fileURLToPath(new URL("../../../src", import.meta.url));

interface Use {
  readonly place: string;
  readonly id: string;
}

/** Ids passed as `log(level, id…)` and `count(id…)` anywhere in `src/`: every string in that place, or the place itself when there is none. */
function usesOf(pattern: RegExp): readonly Use[] {
  const files = readdirSync(src, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"));
  return files.flatMap((file) => {
    const text = readFileSync(join(src, file), "utf8");
    return [...text.matchAll(pattern)].flatMap((match) => {
      const argument = match.at(-1) ?? "";
      const ids = [...argument.matchAll(/"([^"]*)"/g)].map((each) => each[1] ?? "");
      return (ids.length > 0 ? ids : [argument]).map((id) => ({ place: `src/${file}`, id }));
    });
  });
}

const logged = /\.log\(\s*"(debug|info|warn|error)",\s*([^,)]+)/g;
const counted = /[tT]elemetry\.count\(\s*([^,)]+)/g;
const observed = /[tT]elemetry\.observe\(\s*([^,)]+)/g;

describe("The catalogue of events and meters", () => {
  it("knows every event that is logged, and holds none that nothing logs: src/base/events.ts", () => {
    const used = new Set(usesOf(logged).map(({ id }) => id));
    assert.deepEqual([...used].sort(), Object.keys(events).sort());
  });

  it("knows every counter and histogram that is fed, and holds none that nothing feeds: src/base/metrics.ts", () => {
    assert.deepEqual([...new Set(usesOf(counted).map(({ id }) => id))].sort(), Object.keys(counters).sort());
    assert.deepEqual([...new Set(usesOf(observed).map(({ id }) => id))].sort(), Object.keys(histograms).sort());
  });

  it("holds ids of the form area.what_happened, each with what it means and what to do, and each field named once", () => {
    for (const [id, { fields, means, todo }] of Object.entries(events)) {
      assert.match(id, /^[a-z]+\.[a-z]+(_[a-z]+)*$/);
      for (const sentence of [means, todo]) assert.match(sentence, /^[A-Z].*\.$/s, id);
      assert.equal(new Set(fields).size, fields.length, id);
      for (const field of fields) assert.match(field, /^[a-z][a-zA-Z]*$/, id);
    }
  });

  it("says of every warning and error what a person does about it", () => {
    const idle = Object.entries<EventSpec>(events).filter(
      ([, { level, todo }]) => (level === "warn" || level === "error") && todo === "Nothing.",
    );
    assert.deepEqual(idle, []);
  });
});
