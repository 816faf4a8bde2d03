import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { parsePosition, resolvePosition } from "../../src/cli/positions.ts";

/** 2026-01-01T00:00:00Z. */
const NOW = 1767225600000;
const HOUR = 3_600_000;

const parse = (text: string) => parsePosition("--from", text, NOW);

describe("parsePosition", () => {
  it("reads start, end, offsets, +n and -n", () => {
    assert.equal(parse("start"), "start");
    assert.equal(parse("end"), "end");
    assert.deepEqual(parse("12"), { offset: 12 });
    assert.deepEqual(parse("+5"), { afterStart: 5 });
    assert.deepEqual(parse("-5"), { beforeEnd: 5 });
  });

  it("reads times: milliseconds, before now, days and times, which are UTC unless they say otherwise", () => {
    const times: [string, number][] = [
      ["@1767225600000", NOW],
      ["@0", 0],
      ["@-90s", NOW - 90_000],
      ["@-15m", NOW - 15 * 60_000],
      ["@-1h", NOW - HOUR],
      ["@-7d", NOW - 7 * 24 * HOUR],
      ["@2026-01-01", NOW],
      ["@2026-01-01T00:00", NOW],
      ["@2026-01-01 00:00", NOW],
      ["@2026-01-01T00:00:00Z", NOW],
      ["@2026-01-01t01:00:00+01:00", NOW],
      ["@2025-12-31T19:30-04:30", NOW],
      ["@2026-01-01T00:00:00.5", NOW + 500],
      ["@2024-02-29", Date.UTC(2024, 1, 29)],
    ];
    for (const [text, timeMs] of times) assert.deepEqual(parse(text), { timeMs }, text);
  });

  it("refuses anything else by name, also days and times that do not exist", () => {
    const wrong = ["", "begin", "1.5", "+", "-", "+-1", "0x10", "99999999999999999999", "@", "@yesterday", "@-1w", "@-1", "@+1h"];
    const noTimes = ["1 Jan 2026", "2026-02-30", "2025-02-29", "2026-13-01", "2026-00-10", "2026-01-01T24:00", "2026-01-01T00:60"];
    const noZones = [
      "2026-01-01T00:00+15:00",
      "2026-01-01T00:00+01:60",
      "2026-01-01Z",
      "1969-12-31",
      "0099-01-01",
      "2026-01-32",
      "2026-01-00",
      "2026-01-01T00:00:00.1234",
    ];
    for (const text of [...wrong, ...[...noTimes, ...noZones].map((time) => `@${time}`)])
      assert.throws(() => parse(text), { name: "CommandFailed", exitCode: 2 }, text);
  });

  it("reads every time as it is written by toISOString, whole or without its end", () => {
    fc.assert(
      fc.property(fc.date({ min: new Date(0), max: new Date("9999-12-31T23:59:59.999Z"), noInvalidDate: true }), (date) => {
        const text = date.toISOString();
        const timeMs = date.getTime();
        assert.deepEqual(parse(`@${text}`), { timeMs });
        assert.deepEqual(parse(`@${text.slice(0, -1)}`), { timeMs });
        assert.deepEqual(parse(`@${timeMs}`), { timeMs });
        assert.deepEqual(parse(`@${text.slice(0, 16)}`), { timeMs: timeMs - (timeMs % 60_000) });
      }),
    );
  });

  it("reads a time in any zone as that time", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 10 ** 12 }), fc.integer({ min: -14 * 60 + 1, max: 14 * 60 - 1 }), (timeMs, minutes) => {
        const local = new Date(timeMs + 14 * HOUR + minutes * 60_000).toISOString().slice(0, -1);
        const pad = (n: number) => String(n).padStart(2, "0");
        const zone = `${minutes < 0 ? "-" : "+"}${pad(Math.floor(Math.abs(minutes) / 60))}:${pad(Math.abs(minutes) % 60)}`;
        assert.deepEqual(parse(`@${local}${zone}`), { timeMs: timeMs + 14 * HOUR });
      }),
    );
  });

  it("either refuses a text or gives a place a log can have", () => {
    const text = fc.oneof(fc.string(), fc.stringMatching(/^[@+-]?[-+0-9TZ:.smhd ]{0,24}$/));
    fc.assert(
      fc.property(text, (written) => {
        try {
          const position = parse(written);
          if (typeof position !== "string") for (const n of Object.values(position)) assert.ok(Number.isSafeInteger(n) && n >= 0);
        } catch (error) {
          assert.equal((error as Error).name, "CommandFailed", `${error}`);
        }
      }),
    );
  });
});

describe("resolvePosition", () => {
  const ends = fc.tuple(fc.nat(1_000_000), fc.nat(1_000_000)).map(([logStartOffset, length]) => ({
    logStartOffset,
    highWatermark: logStartOffset + length,
  }));

  it("counts +n from the start and -n from the end, and stays between the two", () => {
    fc.assert(
      fc.property(ends, fc.nat(2_000_000), (range, n) => {
        const after = resolvePosition({ afterStart: n }, range) as { offset: number };
        const before = resolvePosition({ beforeEnd: n }, range) as { offset: number };
        const length = range.highWatermark - range.logStartOffset;
        assert.equal(after.offset, n <= length ? range.logStartOffset + n : range.highWatermark);
        assert.equal(before.offset, n <= length ? range.highWatermark - n : range.logStartOffset);
      }),
    );
  });

  it("makes of +n and of what is left the same place", () => {
    fc.assert(
      fc.property(ends, fc.nat(), (range, at) => {
        const length = range.highWatermark - range.logStartOffset;
        const n = at % (length + 1);
        assert.deepEqual(resolvePosition({ afterStart: n }, range), resolvePosition({ beforeEnd: length - n }, range));
      }),
    );
  });

  it("leaves start, end, offsets and times as they are", () => {
    const range = { logStartOffset: 10, highWatermark: 50 };
    for (const place of ["start", "end", { offset: 3 }, { timeMs: 5 }] as const) assert.deepEqual(resolvePosition(place, range), place);
  });
});
