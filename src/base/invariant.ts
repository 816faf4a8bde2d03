/** A failed invariant is a bug in Millrace, never a user's mistake: the process that sees one stops (design §3, style 7). */
export class InvariantViolated extends Error {
  override readonly name = "InvariantViolated";
}

/**
 * Asserts what must hold; stays on in production.
 *
 * @param message said as it is, or built only on failure when building it costs something
 * @throws {InvariantViolated} when `condition` is false
 */
export function invariant(condition: boolean, message: string | (() => string)): asserts condition {
  if (!condition) throw new InvariantViolated(typeof message === "string" ? message : message());
}

/** Closes a `switch` over a union: a new case fails to compile until it is handled. */
export function unreachable(value: never): never {
  throw new InvariantViolated(`unreachable case: ${JSON.stringify(value)}`);
}
