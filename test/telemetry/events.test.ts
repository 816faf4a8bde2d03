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

/** Ids passed as `log(level, id…)` and `count(id…)` anywhere in `src/`: every string in that place, or the place itself when there is none. */
function usesOf(pattern: RegExp): readonly Use[] {
  const files = readdirSync(src, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"));
  return files.flatMap((file) => {
    const text = readFileSync(join(src, file), "utf8");
    return [...text.matchAll(pattern)].flatMap(([, argument = ""]) => {
      const ids = [...argument.matchAll(/"([^"]*)"/g)].map((match) => match[1] ?? "");
      return (ids.length > 0 ? ids : [argument]).map((id) => ({ place: `src/${file}`, id }));
    });
  });
}

const logged = /\.log\(\s*"(?:debug|info|warn|error)",\s*([^,)]+)/g;
const counted = /[tT]elemetry\.count\(\s*([^,)]+)/g;

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
    for (const id of Object.keys(events)) assert.match(id, /^[a-z]+\.[a-z]+(_[a-z]+)*$/);
    for (const [id, doc] of [...Object.entries(events), ...Object.entries(counters)]) assert.match(doc, /^[A-Z].*\.$/, id);
  });
});
