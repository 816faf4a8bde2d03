import { parseArgs } from "node:util";

/** Numbers and switches of a chaos command, by name; unknown ones are refused. */
export class Flags {
  readonly #values: Readonly<Record<string, string | boolean | undefined>>;

  /** @param numbers flags with a value @param switches flags without */
  constructor(numbers: readonly string[], switches: readonly string[], args: readonly string[] = process.argv.slice(2)) {
    const options: Record<string, { type: "string" | "boolean" }> = {};
    for (const name of numbers) options[name] = { type: "string" };
    for (const name of switches) options[name] = { type: "boolean" };
    this.#values = parseArgs({ args: [...args], options, allowPositionals: false }).values as Record<string, string | boolean | undefined>;
  }

  /** @throws when it is no whole number >= 0 */
  number(name: string, otherwise: number): number {
    const text = this.#values[name];
    if (text === undefined) return otherwise;
    const value = Number(text);
    if (!Number.isSafeInteger(value) || value < 0) throw new Error(`--${name} must be a whole number: got ${String(text)}`);
    return value;
  }

  has(name: string): boolean {
    return this.#values[name] === true;
  }

  text(name: string): string | undefined {
    const value = this.#values[name];
    return typeof value === "string" ? value : undefined;
  }
}

/** A seed for those who name none; printed, so that the run can be asked for again. */
export function drawSeed(): number {
  return (Date.now() ^ (process.pid << 8)) >>> 0;
}
