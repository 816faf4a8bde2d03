import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { GzipDeflate, GzipInflate } from "../../src/compression/gzip.ts";
import { Slots } from "../../src/compression/slots.ts";

const inflate = new GzipInflate();
const deflate = new GzipDeflate();
const MiB = 1024 * 1024;

describe("gzip", () => {
  it("gives back what was deflated, at exactly the limit", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 2000 }), fc.integer({ min: 1, max: 200 }), async (piece, times) => {
        const bytes = new Uint8Array(piece.length * times);
        for (let n = 0; n < times; n++) bytes.set(piece, n * piece.length);
        const deflated = await deflate.gzip(bytes);
        const result = await inflate.gunzip(deflated, bytes.length);
        assert.ok("bytes" in result);
        assert.deepEqual(new Uint8Array(result.bytes), bytes);
        if (bytes.length > 0) assert.deepEqual(await inflate.gunzip(deflated, bytes.length - 1), { failed: "TOO_LARGE" });
      }),
      { numRuns: 40 },
    );
  });

  it("stops a bomb of 1:1000 at the limit (case 34)", async () => {
    const bomb = gzipSync(new Uint8Array(64 * MiB));
    assert.ok(bomb.length * 900 < 64 * MiB);
    const before = process.memoryUsage().arrayBuffers;
    assert.deepEqual(await inflate.gunzip(bomb, MiB), { failed: "TOO_LARGE" });
    assert.ok(process.memoryUsage().arrayBuffers - before < 16 * MiB, "the bomb was inflated");
  });

  it("reads members that follow each other as one stream", async () => {
    const two = Buffer.concat([gzipSync("one "), gzipSync("two")]);
    const result = await inflate.gunzip(two, 100);
    assert.equal("bytes" in result && new TextDecoder().decode(result.bytes), "one two");
  });

  it("calls truncated, damaged and foreign bytes malformed, and lives on", async () => {
    const good = gzipSync(new TextEncoder().encode("a line of text, a line of text, a line of text"));
    for (let length = 0; length < good.length; length++) {
      assert.deepEqual(await inflate.gunzip(good.subarray(0, length), 1000), { failed: "MALFORMED" }, `cut to ${length}`);
    }
    assert.deepEqual(await inflate.gunzip(Uint8Array.of(1, 2, 3), 1000), { failed: "MALFORMED" });
    assert.deepEqual(await inflate.gunzip(Buffer.concat([good, Uint8Array.of(7)]), 1000), { failed: "MALFORMED" });
    assert.deepEqual(await inflate.gunzip(Buffer.concat([good, Uint8Array.of(0, 0)]), 1000), { failed: "MALFORMED" });
    const checksum = Uint8Array.from(good);
    checksum[good.length - 6] = (checksum[good.length - 6] as number) ^ 1;
    assert.deepEqual(await inflate.gunzip(checksum, 1000), { failed: "MALFORMED" });
    assert.ok("bytes" in (await inflate.gunzip(good, 1000)));
  });
});

describe("slots", () => {
  it("run so many at once, the rest in order, and refuse when the queue is full", async () => {
    const slots = new Slots("compression.inflate.waiting", 2, 2);
    const events: string[] = [];
    const release: (() => void)[] = [];
    const task = (name: string) => () =>
      new Promise<void>((resolve) => {
        events.push(name);
        release.push(resolve);
      });
    const all = ["a", "b", "c", "d"].map((name) => slots.run(task(name)));
    assert.deepEqual(events, ["a", "b"]);
    await assert.rejects(slots.run(task("e")), { code: "TOO_MANY_REQUESTS", metadata: { limit: "compression.inflate.waiting" } });
    release[0]?.();
    await all[0];
    assert.deepEqual(events, ["a", "b", "c"]);
    release[1]?.();
    await all[1];
    for (const end of release.slice(2)) end();
    await all[2];
    release[3]?.();
    await all[3];
    assert.deepEqual(events, ["a", "b", "c", "d"]);
    await slots.run(() => Promise.resolve());
  });

  it("are free again after a task that failed", async () => {
    const slots = new Slots("test.waiting", 1, 1);
    await assert.rejects(
      slots.run(() => Promise.reject(new Error("no"))),
      /no/,
    );
    assert.equal(await slots.run(() => Promise.resolve(5)), 5);
  });
});
