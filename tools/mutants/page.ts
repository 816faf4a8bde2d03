import { cellsOf, toRow } from "../checks/markdown.ts";
import type { Hunted } from "./hunt.ts";
import type { Mutant } from "./mutant.ts";

/** The page with the table of what caught each mutant. */
export const MUTANTS_PAGE = "docs/mutants.md";

/** One line of the table, as it stands on the page. */
export interface TableRow {
  readonly name: string;
  readonly breaks: string;
  readonly row: string;
  readonly seeds: string;
  readonly commit: string;
}

const BEGIN = "<!-- table: written by `npm run mutant -- --all --write` -->";
const HEAD = ["| mutant | what it breaks | caught by | seeds it took | commit |", "|---|---|---|---|---|"];

/** The table of the page by mutant. */
export function tableOf(page: string): ReadonlyMap<string, TableRow> {
  const rows = page
    .slice(page.indexOf(BEGIN))
    .split("\n")
    .filter((line) => /^\| [a-z0-9-]+ \|/.test(line) && line !== HEAD[0])
    .map((line) => {
      const [name = "", breaks = "", row = "", seeds = "", commit = ""] = cellsOf(line);
      return [name, { name, breaks, row, seeds, commit }] as const;
    });
  return new Map(rows);
}

/** "12 short", "60 short, 3 whole". */
export function seedsOf({ seeds, shortSeeds }: Pick<Hunted, "seeds" | "shortSeeds">): string {
  const whole = seeds - shortSeeds;
  return [...(shortSeeds > 0 ? [`${shortSeeds} short`] : []), ...(whole > 0 || shortSeeds === 0 ? [`${whole} whole`] : [])].join(", ");
}

/** The page with these results in its table; those of mutants that are not among them stay, those of mutants that are gone go. */
export function withResults(page: string, mutants: readonly Mutant[], results: readonly Hunted[], commit: string): string {
  const known = tableOf(page);
  const rows = mutants.flatMap((mutant): readonly TableRow[] => {
    const result = results.find((one) => one.mutant.name === mutant.name);
    if (result?.caught === undefined) {
      const row = known.get(mutant.name);
      return row === undefined || result !== undefined ? [] : [{ ...row, breaks: mutant.breaks }];
    }
    return [{ name: mutant.name, breaks: mutant.breaks, row: result.caught.row, seeds: seedsOf(result), commit }];
  });
  const lines = rows.map(({ name, breaks, row, seeds, commit: at }) => toRow([name, breaks, row, seeds, at]));
  return `${page.slice(0, page.indexOf(BEGIN))}${[BEGIN, "", ...HEAD, ...lines].join("\n")}\n`;
}

/** What the page says that the patches do not, and the other way round. */
export function checkMutantsPage(page: string, mutants: readonly Mutant[]): readonly string[] {
  if (!page.includes(BEGIN)) return [`${MUTANTS_PAGE} has no table`];
  const rows = tableOf(page);
  const names = new Set(mutants.map(({ name }) => name));
  return [
    ...mutants.flatMap(({ name, breaks, rows: expected }) => {
      const row = rows.get(name);
      if (row === undefined) return [`${MUTANTS_PAGE} has no line for the mutant ${name}: npm run mutant -- ${name} --write`];
      if (row.breaks !== breaks) return [`${MUTANTS_PAGE} says "${row.breaks}" of the mutant ${name}, its patch says "${breaks}"`];
      return expected.includes(row.row) ? [] : [`${MUTANTS_PAGE}: ${name} was caught by ${row.row}, its patch asks for ${expected.join()}`];
    }),
    ...[...rows.keys()].filter((name) => !names.has(name)).map((name) => `${MUTANTS_PAGE} has a line for ${name}, which is no mutant`),
  ];
}
