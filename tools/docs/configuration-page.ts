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
    "| key | default | range | who | live | meaning |",
    "|---|---|---|---|---|---|",
    ...rows,
    "",
  ].join("\n");
}
