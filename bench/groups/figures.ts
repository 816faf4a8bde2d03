/** One thing that was measured, and what was asked of it. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** What it may be at most, or must be at least; absent: nothing was asked. */
  readonly bar?: { readonly most: number } | { readonly least: number };
  /** Facts it rests on. With none, nothing was measured, and that is no pass. */
  readonly of: number;
  readonly note?: string;
}

type Verdict = "met" | "MISSED" | "NOTHING MEASURED" | "told";

export function verdictOf({ value, bar, of }: Figure): Verdict {
  if (of <= 0 || !Number.isFinite(value)) return "NOTHING MEASURED";
  if (bar === undefined) return "told";
  return ("most" in bar ? value <= bar.most : value >= bar.least) ? "met" : "MISSED";
}

function barText({ bar, unit }: Figure): string {
  if (bar === undefined) return "";
  return "most" in bar ? `<= ${number(bar.most)} ${unit}` : `>= ${number(bar.least)} ${unit}`;
}

const number = (value: number): string =>
  Number.isFinite(value) ? value.toLocaleString("en-US", { maximumFractionDigits: value < 100 ? 1 : 0 }) : "-";

/** Prints what was measured and counts verdicts; the last line is the sum. */
export class Figures {
  readonly #all: Figure[] = [];

  add(...figures: readonly Figure[]): void {
    this.#all.push(...figures);
    for (const figure of figures) {
      const { name, value, unit, of, note } = figure;
      const bar = barText(figure);
      const said = [
        `${number(value)} ${unit}`.padEnd(22),
        (bar === "" ? "no bar" : bar).padEnd(22),
        verdictOf(figure).padEnd(17),
        `of ${of}`,
      ];
      console.log(`${name.padEnd(58)} ${said.join(" ")}${note === undefined ? "" : `  (${note})`}`);
    }
  }

  /** @returns the exit code: a bar that was missed, or a part that measured nothing, fails */
  close(): number {
    const verdicts = this.#all.map(verdictOf);
    const failed = verdicts.filter((verdict) => verdict === "MISSED" || verdict === "NOTHING MEASURED").length;
    const passed = verdicts.filter((verdict) => verdict === "met").length;
    console.log(`${passed} passed, ${failed} failed`);
    return failed === 0 && passed > 0 ? 0 : 1;
  }
}
