/**
 * Whether an output is what a page shows. `…` stands for any text within a line, and a line of only `…` for any number of lines; how many
 * blanks stand in a row does not count, because columns are as wide as what is in them.
 *
 * @returns the line of the page that nothing matches, or undefined when all is as shown
 */
export function firstDifference(expected: string, actual: string): string | undefined {
  const want = linesOf(expected);
  const have = linesOf(actual);
  return matches(want, have) ? undefined : farthest(want, have);
}

function linesOf(text: string): readonly string[] {
  return text
    .trimEnd()
    .split("\n")
    .map((line) => line.trimEnd().replaceAll(/ +/g, " "));
}

function matches(want: readonly string[], have: readonly string[]): boolean {
  const [first, ...rest] = want;
  if (first === undefined) return have.length === 0;
  if (first === "…") return have.some((_, skipped) => matches(rest, have.slice(skipped))) || matches(rest, []);
  const [line, ...others] = have;
  return line !== undefined && matchesLine(first, line) && matches(rest, others);
}

function matchesLine(want: string, have: string): boolean {
  const escaped = want.split("…").map((piece) => piece.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${escaped.join(".*")}$`).test(have);
}

/** The first line of the page that no line of the output is like, or else that one is too many or in another place. */
function farthest(want: readonly string[], have: readonly string[]): string {
  const missing = want.find((line) => line !== "…" && !have.some((each) => matchesLine(line, each)));
  return missing ?? "the same lines, in another number or order";
}
