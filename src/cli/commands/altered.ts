import type { ConfigEntry } from "../../client/index.ts";
import { topicConfigKeys } from "../../cluster/topic-config.ts";
import { ConfigSource } from "../../protocol/public.ts";
import { table } from "../table.ts";

/** Where the value of a setting comes from, as it is numbered on the wire. */
const sourceNames = new Map<number, string>(Object.entries(ConfigSource).map(([name, source]) => [source, name]));

export function sourceName(source: number): string {
  return sourceNames.get(source) ?? "unknown";
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
