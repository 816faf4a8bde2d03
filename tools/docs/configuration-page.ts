import { topicConfigKeys } from "../../src/cluster/topic-config.ts";
import type { SettingDescription } from "../../src/config/describe.ts";
import { toRow } from "../checks/markdown.ts";

const WHO: Readonly<Record<SettingDescription["scope"], string>> = {
  broker: "each broker its own",
  cluster: "the same on all",
  topic: "per topic",
};

/** docs/configuration.md, from the one table of settings. */
export function configurationPage(settings: readonly SettingDescription[]): string {
  const rows = settings.map((setting) =>
    toRow([
      `\`${setting.key}\``,
      setting.unit,
      setting.required ? "*required*" : setting.default === undefined ? "none" : `\`${setting.default}\``,
      setting.range,
      WHO[setting.scope],
      setting.reloadable ? "yes" : "no",
      setting.doc,
    ]),
  );
  const example = settings.find((setting) => setting.key === "heartbeat.ms") ?? settings[0];
  return [
    "# Configuration",
    "",
    "<!-- Made by `npm run docs` from src/config/table.ts; edit that file. -->",
    "",
    `Each setting can be given as a flag (\`--set ${example?.key}=VALUE\`), in the environment (\`${example?.environment}\`) or in a YAML file`,
    "(`--config FILE`); a flag goes before the environment, that before the file. A key that does not exist is refused, with the nearest that does.",
    "*Who* says whether brokers must agree on the value. *Live* says whether it may change without a restart.",
    "",
    "| key | unit | default | range | who | live | meaning |",
    "|---|---|---|---|---|---|---|",
    ...rows,
    "",
    "Bytes may be written 65536, 64KiB or 1MiB; times 1500, 1500ms, 2s, 5m or 7d; a number without a unit is bytes or milliseconds.",
    "",
    "## Settings of a topic",
    "",
    "Given with `millrace topic create --config KEY=VALUE`, changed while it runs with `millrace topic alter`. Numbers are bytes or milliseconds, as the name says.",
    "",
    "| key | default | range | meaning |",
    "|---|---|---|---|",
    ...topicRows(),
    "",
  ].join("\n");
}

interface TopicSetting {
  readonly default: number | string;
  readonly min?: number;
  readonly max?: number;
  readonly none?: number;
  readonly choices?: readonly string[];
  readonly doc: string;
}

function topicRows(): string[] {
  return Object.entries<TopicSetting>(topicConfigKeys).map(([key, setting]) => {
    const most = setting.max === Number.MAX_SAFE_INTEGER ? "2^53 - 1" : setting.max;
    const none = setting.none === undefined ? "" : `, or ${setting.none}`;
    const range = setting.choices?.join(", ") ?? `${setting.min} to ${most}${none}`;
    return toRow([`\`${key}\``, `\`${setting.default}\``, range, setting.doc]);
  });
}
