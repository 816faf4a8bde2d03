import type { FixedLimit } from "../../src/base/limits.ts";
import type { SettingDescription } from "../../src/config/describe.ts";
import { toRow } from "../checks/markdown.ts";

/** Settings that bound what callers may ask for or leave behind. */
const BOUNDS = /\.max$|\.max\.|^client\.|\.pending\.|credit|fetch\./;

/** docs/limits.md: the limits that are settings, and those that are not. */
export function limitsPage(fixed: Readonly<Record<string, FixedLimit>>, settings: readonly SettingDescription[]): string {
  return [
    "# Limits",
    "",
    "<!-- Made by `npm run docs` from src/base/limits.ts and src/config/table.ts; edit those files. -->",
    "",
    "Every size, count, queue and wait has a bound. Where a call reaches one, its error has `limit` among the metadata of its `ErrorInfo`, with the",
    "name below; what HTTP/2 itself refuses (connections, streams, headers, messages) has the status only. Whether to try again says",
    "[errors.md](errors.md).",
    "",
    "## That can be set",
    "",
    "| limit | default | range | meaning |",
    "|---|---|---|---|",
    ...settings
      .filter(({ key }) => BOUNDS.test(key))
      .map((row) => toRow([`\`${row.key}\``, row.default === undefined ? "none" : `\`${row.default}\``, row.range, row.doc])),
    "",
    "## That cannot",
    "",
    "| limit | value | meaning |",
    "|---|---|---|",
    ...Object.entries(fixed).map(([name, { value, doc }]) => toRow([`\`${name}\``, String(value), doc])),
    "",
  ].join("\n");
}
