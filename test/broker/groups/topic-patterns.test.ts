import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { LogIndex, TopicId } from "../../../src/base/ids.ts";
import type { Patterns } from "../../../src/base/ports/patterns.ts";
import { TopicPatterns } from "../../../src/broker/groups/coordinator/topic-patterns.ts";
import type { TopicImage } from "../../../src/cluster/image-state.ts";
import { re2Patterns } from "../../../src/patterns/re2-patterns.ts";

/** Topics, an engine that counts what it is asked, and turns that pass by hand. */
class World {
  readonly topics = new Map<TopicId, TopicImage>();
  version = 1 as LogIndex;
  readonly asked: string[] = [];
  compiled = 0;
  rested = 0;
  soon: (() => void)[] = [];
  readonly patterns: TopicPatterns;

  constructor(engine: Patterns = re2Patterns) {
    const counting: Patterns = {
      compile: (pattern) => {
        this.compiled += 1;
        const found = engine.compile(pattern);
        if ("why" in found) return found;
        return {
          size: found.size,
          matches: (text) => {
            this.asked.push(text);
            return found.matches(text);
          },
          rest: () => {
            this.rested += 1;
          },
        };
      },
    };
    this.patterns = new TopicPatterns(this, counting, { soon: (run) => void this.soon.push(run) });
  }

  make(...names: readonly string[]): void {
    for (const name of names)
      this.topics.set(`id-${name}-${this.version}` as TopicId, { id: `id-${name}-${this.version}`, name } as TopicImage);
    this.version = (this.version + 1) as LogIndex;
  }
  drop(name: string): void {
    for (const { id, name: each } of this.topics.values()) if (each === name) this.topics.delete(id);
    this.version = (this.version + 1) as LogIndex;
  }
  matching(pattern: string): readonly (string | undefined)[] {
    return this.patterns.matching(pattern).map((id) => this.topics.get(id)?.name);
  }
}

describe("What patterns match of the topics", () => {
  it("is found once for each topic, of those that come when they come, and never of the cluster's own", () => {
    const w = new World();
    w.make("a1", "b1", "__groups", "__a");
    assert.deepEqual(w.matching(".*"), ["a1", "b1"]);
    assert.deepEqual(w.matching("a.|__.*"), ["a1"]);
    assert.deepEqual(w.asked.splice(0), ["a1", "b1", "a1", "b1"]);
    assert.deepEqual(w.matching(".*"), ["a1", "b1"]);
    w.make("a2");
    assert.deepEqual(
      [w.matching(".*"), w.matching("a.|__.*")],
      [
        ["a1", "b1", "a2"],
        ["a1", "a2"],
      ],
    );
    assert.deepEqual(w.asked.splice(0), ["a2", "a2"]);
    w.drop("a1");
    assert.deepEqual(w.matching("a.|__.*"), ["a2"]);
    w.make("a1");
    assert.deepEqual(w.matching("a.|__.*"), ["a2", "a1"]);
    assert.deepEqual([w.asked.splice(0), w.compiled], [["a1"], 2]);
    assert.ok(w.rested > 0, "what the engine kept is given back");
  });

  it("is found in slices of a bounded number of steps, whatever the pattern is made to do", async () => {
    const w = new World();
    w.make(...Array.from({ length: 400 }, (_, n) => `${"a".repeat(100)}${n}`));
    const pattern = "(a+)+(a?){50}a{50}!|.*7";
    const { size } = re2Patterns.compile(pattern) as { size: number };
    let ready = false;
    const done = w.patterns.ready(pattern).then(() => {
      ready = true;
    });
    let most = 0;
    let turns = 0;
    for (let before = 0; !ready; before = w.asked.length) {
      await Promise.resolve();
      most = Math.max(
        most,
        w.asked.slice(before).reduce((sum, name) => sum + size * name.length, 0),
      );
      for (const run of w.soon.splice(0)) run();
      await Promise.resolve();
      await Promise.resolve();
      turns += 1;
    }
    await done;
    assert.ok(most <= 20_000 + size * 103, `${most} steps in a turn`);
    assert.ok(turns > 50, `${turns} turns`);
    assert.equal(w.asked.length, 400);
    assert.equal(w.matching(pattern).length, 40);
    assert.equal(w.asked.length, 400, "it was ready");
  });

  it("is nothing by a pattern that is refused, by name and place", () => {
    const w = new World();
    w.make("a");
    const error = w.patterns.refuse("a(");
    assert.deepEqual([error?.code, error?.metadata["field"], error?.metadata["position"]], ["INVALID_REQUEST", "topic_pattern", "2"]);
    assert.match(error?.message ?? "", /topic_pattern: a \( is not closed at position 2; patterns are of RE2's syntax/);
    assert.equal(w.patterns.refuse("x".repeat(501))?.metadata["limit"], "group.topic.pattern.max");
    assert.deepEqual(w.matching("a("), []);
    assert.equal(w.patterns.refuse("a"), undefined);
  });

  it("is kept of the thousand patterns that were asked for last", () => {
    const w = new World();
    w.make("a");
    for (let n = 0; n < 1_000; n += 1) w.matching(`a|${n}`);
    w.matching("a|0");
    w.matching("a|new");
    assert.equal(w.compiled, 1_001);
    assert.deepEqual(w.matching("a|0"), ["a"]);
    assert.equal(w.compiled, 1_001, "it was asked for lately");
    assert.deepEqual(w.matching("a|1"), ["a"]);
    assert.equal(w.compiled, 1_002);
  });
});
