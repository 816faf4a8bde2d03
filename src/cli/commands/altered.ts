import type { Argv } from "yargs";
import type { ConfigEntry } from "../../client/index.ts";
import { topicConfigKeys } from "../../cluster/topic-config.ts";
import { ConfigSource } from "../../protocol/public.ts";
import { UsageError } from "../exit-code.ts";
import { formatOption, pairsFlag } from "../flags.ts";
import { table } from "../table.ts";

/** Where the value of a setting comes from, as it is numbered on the wire. */
const sourceNames = new Map<number, string>(Object.entries(ConfigSource).map(([name, source]) => [source, name]));

export function sourceName(source: number): string {
  return sourceNames.get(source) ?? "unknown";
}

/** Flags of a verb that changes settings. */
export interface ChangeFlags {
  readonly config?: string[] | undefined;
  readonly reset?: string[] | undefined;
  readonly validateOnly?: boolean | undefined;
  readonly format: string;
}

export function changeOptions<T>(yargs: Argv<T>): Argv<T & ChangeFlags> {
  return yargs
    .option("config", {
      alias: "set",
      type: "string",
      array: true,
      requiresArg: true,
      describe: "KEY=VALUE of a setting; may be given again",
    })
    .option("reset", {
      type: "string",
      array: true,
      requiresArg: true,
      describe: "KEY that goes back to its default; may be given again",
    })
    .option("validate-only", { type: "boolean", default: false, describe: "Check everything, change nothing" })
    .option("format", formatOption) as Argv<T & ChangeFlags>;
}

/** What those flags ask for. @throws {UsageError} when one key is both set and reset */
export function changeOf(flags: ChangeFlags) {
  const change = {
    set: pairsFlag("--config (or --set)", flags.config),
    reset: [...new Set(flags.reset)],
    validateOnly: flags.validateOnly,
  };
  const twice = change.reset.find((key) => Object.hasOwn(change.set, key));
  if (twice !== undefined) throw new UsageError(`${twice} is both set and reset: say one of them`);
  return { change, named: [...Object.keys(change.set), ...change.reset] };
}

/** The keys of --config, --set and --reset, for the end of their help. */
export const topicSettings = `Settings of a topic:\n${table(
  ["KEY", "MEANING"],
  Object.entries(topicConfigKeys).map(([key, { doc }]) => [`  ${key}`, doc]),
).replace(/^.*\n/, "")}`;

/** The settings that were named, each as it was and as it is; of JSON, one object a line. */
export function alteredText(
  format: string,
  named: readonly string[],
  before: readonly ConfigEntry[],
  after: readonly ConfigEntry[],
): string {
  const rows = after
    .filter(({ key }) => named.includes(key))
    .map(({ key, value, source }) => {
      const old = before.find((entry) => entry.key === key);
      return { key, before: old?.value ?? null, after: value, source: sourceName(source) };
    });
  if (format === "json") return rows.map((row) => `${JSON.stringify(row)}\n`).join("");
  return table(
    ["SETTING", "BEFORE", "AFTER", "SOURCE"],
    rows.map((row) => [row.key, row.before ?? "-", row.after, row.source]),
  );
}
