import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { nodeCallScope } from "../../src/host/call-scope.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("nodeCallScope", () => {
  it("is inside until what the work returns is there, over awaits and timers, and nowhere else", async () => {
    const scope = nodeCallScope();
    const other = nodeCallScope();
    const seen: boolean[] = [];
    let late: (() => void) | undefined;
    const heard = new Promise<boolean>((resolve) => {
      late = () => resolve(scope.isInside());
    });
    const work = scope.run(async () => {
      seen.push(scope.isInside(), other.isInside());
      await turn();
      seen.push(scope.isInside());
      setImmediate(() => setImmediate(() => setImmediate(() => late?.())));
      return 7;
    });
    assert.ok(!scope.isInside(), "who began it is not inside");
    assert.equal(await work, 7);
    assert.ok(!scope.isInside());
    assert.deepEqual(seen, [true, false, true]);
    assert.equal(await heard, false, "it was begun inside, but that is over");
  });

  it("is over when the work throws, now or later", async () => {
    const scope = nodeCallScope();
    const heard: Promise<boolean>[] = [];
    const begin = (): void => void heard.push(turn().then(() => scope.isInside()));
    assert.throws(() =>
      scope.run(() => {
        begin();
        throw new Error("now");
      }),
    );
    await assert.rejects(
      scope.run(async () => {
        begin();
        throw new Error("later");
      }),
    );
    assert.deepEqual(await Promise.all(heard), [false, false]);
  });
});
