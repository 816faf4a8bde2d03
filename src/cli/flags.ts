import { UsageError } from "./exit-code.ts";

/** A whole number in a range. yargs would take "7x" for NaN and "0x10" for 16: texts are read here. @throws {UsageError} */
export function wholeFlag(option: string, text: string | undefined, least: number, most: number): number | undefined {
  if (text === undefined) return undefined;
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw new UsageError(`${option} must be a whole number from ${least} to ${most}: got "${text}"`);
}

/** Seconds, or with a unit: 500ms, 60s, 5m. @returns milliseconds @throws {UsageError} */
export function durationFlag(option: string, text: string): number {
  const match = /^(\d{1,9})(ms|s|m)?$/.exec(text);
  if (match === null) throw new UsageError(`${option} must be a time, such as 500ms, 60s or 5m: got "${text}"`);
  return Number(match[1]) * { ms: 1, s: 1000, m: 60_000 }[(match[2] ?? "s") as "ms" | "s" | "m"];
}

/** One of a few words, in upper or lower case: `choices` for the help, `coerce` reads it. */
export function oneOf<const Word extends string>(
  option: string,
  choices: readonly Word[],
): { readonly choices: readonly Word[]; readonly requiresArg: true; readonly coerce: (text: string) => Word } {
  const coerce = (text: string): Word => {
    const found = choices.find((choice) => choice === String(text).toLowerCase());
    if (found !== undefined) return found;
    throw new UsageError(`${option} must be ${choices.slice(0, -1).join(", ")} or ${choices.at(-1)}: got "${text}"`);
  };
  return { choices, coerce, requiresArg: true };
}

/** What every verb that prints data takes. */
export const formatOption = {
  ...oneOf("--format", ["text", "json"]),
  default: "text" as const,
  describe: "For people, or JSON",
};

/** `key=value` pairs, each key once. @throws {UsageError} */
export function pairsFlag(option: string, texts: readonly string[] | undefined): Record<string, string> {
  const pairs = (texts ?? []).map((text): [string, string] => {
    const at = text.indexOf("=");
    if (at <= 0) throw new UsageError(`${option} must be KEY=VALUE: got "${text}"`);
    return [text.slice(0, at), text.slice(at + 1)];
  });
  eachOnce(
    option,
    pairs.map(([key]) => key),
  );
  return Object.fromEntries(pairs);
}

/** For lists in which saying a thing twice can only be a slip. @throws {UsageError} */
export function eachOnce<T extends string | number>(option: string, values: readonly T[]): readonly T[] {
  const twice = values.find((value, i) => values.indexOf(value) < i);
  if (twice !== undefined) throw new UsageError(`${option} names ${twice} twice: say it once`);
  return values;
}
