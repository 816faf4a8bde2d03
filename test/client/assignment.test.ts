import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MillraceError } from "../../src/base/errors.ts";
import { checkAssignment, type From, type Until } from "../../src/client/consumer/options.ts";

const check = (from: From | undefined, until?: Until): void => checkAssignment({ topic: "t", partition: 3, from, until });

describe("An assignment", () => {
  it("is taken with every place a log can have", () => {
    for (const from of [
      undefined,
      "start",
      "end",
      { offset: 0 },
      { offset: 7, term: 1 },
      { offset: 7, term: undefined },
      { timeMs: 0 },
    ] as const)
      check(from);
    check(undefined, { offset: 0 });
  });

  it("is refused with another one, which is named", () => {
    for (const [from, until, field, says] of [
      [{ offset: -1 }, undefined, "from", /^from\.offset of t\/3 must be a whole number >= 0: got -1/],
      [{ timeMs: 0.5 }, undefined, "from", /^from\.timeMs of t\/3 must be a whole number >= 0: got 0\.5/],
      [{ offset: 7, term: 0 }, undefined, "from", /^from\.term of t\/3 must be a whole number >= 1: got 0; leave it out/],
      [{ offset: 7, term: -1 }, undefined, "from", /^from\.term .* got -1/],
      [undefined, { offset: Number.NaN }, "until", /^until\.offset .* got NaN/],
    ] as const)
      assert.throws(
        () => check(from, until),
        (error) =>
          error instanceof MillraceError &&
          error.code === "INVALID_REQUEST" &&
          error.metadata["field"] === field &&
          says.test(error.message),
      );
  });
});
