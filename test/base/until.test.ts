import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MillraceError } from "../../src/base/errors.ts";
import { allOrNone, Scope, whileCalled } from "../../src/base/until.ts";

const refused = new MillraceError("UNKNOWN_TOPIC", "for a test");

/** Questions that are answered by hand. */
class Questions {
  readonly answers: ((outcome: number | MillraceError) => void)[] = [];
  given = 0;

  /** Of two questions. */
  of(caller: Scope): Promise<readonly number[]> {
    return allOrNone({ deadline: 9, caller }, ({ deadline, caller: together }) =>
      [0, 1].map(() => {
        assert.equal(deadline, 9);
        return whileCalled<number>(together, (done) => {
          this.answers.push(done);
          return () => {
            this.given += 1;
          };
        });
      }),
    );
  }
}

describe("Questions that are asked together", () => {
  it("are answered when all are", async () => {
    const questions = new Questions();
    const asked = questions.of(new Scope());
    questions.answers[1]?.(2);
    questions.answers[0]?.(1);
    assert.deepEqual(await asked, [1, 2]);
    assert.equal(questions.given, 0);
  });

  it("are given up when one fails, and when the caller goes", async () => {
    const questions = new Questions();
    const asked = questions.of(new Scope());
    questions.answers[1]?.(refused);
    await assert.rejects(asked, refused);
    assert.equal(questions.given, 1);

    const caller = new Scope();
    const left = questions.of(caller);
    caller.end();
    await assert.rejects(left, { code: "CALL_CANCELLED" });
    assert.equal(questions.given, 3);
  });
});
