import assert from "node:assert/strict";
import type { ErrorCode } from "../../src/base/errors.ts";
import type { RawAnswer } from "./calls.ts";
import type { Target } from "./target.ts";

/** One case of reliability.md §5 against real processes. What must hold after every case is the target's to judge. */
export interface BadInput {
  readonly number: number;
  readonly name: string;
  /** Begun before the first case, for what takes time to be punished. */
  readonly prepare?: (target: Target) => Promise<void>;
  /** @returns what happened, in a few words @throws when it should not have */
  run(target: Target): Promise<string>;
}

/** gRPC status numbers that cases name. */
export const Status = {
  ok: 0,
  cancelled: 1,
  invalidArgument: 3,
  deadlineExceeded: 4,
  resourceExhausted: 8,
  unimplemented: 12,
  internal: 13,
} as const;

/** The call was refused by us, with this code. */
export function refused(answer: RawAnswer, code: ErrorCode, what: string): void {
  assert.equal(answer.code, code, `${what}: got ${answer.code ?? `status ${answer.status}`} ${answer.text.slice(0, 200)}`);
}

/** The call did not succeed, and was not swallowed as a bug: a status of gRPC or a reset, never a stack. */
export function failed(answer: RawAnswer, what: string): void {
  assert.notEqual(answer.status, Status.ok, `${what} was taken`);
  assert.doesNotMatch(answer.text, /\n\s+at |node_modules|\.js:\d/, `${what}: a stack is shown`);
}
