import { RE2JS, RE2JSSyntaxException } from "re2js";
import { limits } from "../base/limits.ts";
import type { CompiledPattern, PatternFault, Patterns } from "../base/ports/patterns.ts";
import { programBound } from "./program-bound.ts";

const LENGTH_MAX = limits["group.topic.pattern.max"].value;
const PROGRAM_MAX = limits["group.topic.pattern.program.max"].value;

/** RE2, in JavaScript: no look-around and no back-references, and nothing that takes more than linear time. */
export const re2Patterns: Patterns = { compile };

function compile(pattern: string): CompiledPattern | PatternFault {
  if (pattern.length > LENGTH_MAX)
    return {
      why: `it has ${pattern.length} characters, at most ${LENGTH_MAX} are allowed`,
      position: undefined,
      limit: "group.topic.pattern.max",
    };
  const bound = programBound(pattern);
  if (bound > PROGRAM_MAX)
    return {
      why: `with its repetitions written out it would have up to ${bound} parts, at most ${PROGRAM_MAX} are allowed`,
      position: undefined,
      limit: "group.topic.pattern.program.max",
    };
  try {
    const compiled = RE2JS.compile(pattern);
    return {
      size: compiled.programSize(),
      matches: (text) => compiled.testExact(text),
      rest: () => compiled.reset(),
    };
  } catch (error) {
    if (error instanceof RE2JSSyntaxException) return fault(pattern, error);
    throw error;
  }
}

/** RE2 says which piece of the pattern it could not read, not where that stands. */
function fault(pattern: string, { error: why, input }: RE2JSSyntaxException): PatternFault {
  const piece = input ?? "";
  if (why.startsWith("missing closing )")) return { why: "a ( is not closed", position: pattern.length };
  const found = piece === "" ? -1 : pattern.endsWith(piece) ? pattern.length - piece.length : pattern.indexOf(piece);
  return { why: found < 0 || piece === pattern ? why : `${why}: ${JSON.stringify(piece)}`, position: Math.max(0, found) };
}
