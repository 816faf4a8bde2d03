import type { EventSpec } from "../../src/base/events.ts";
import { toRow } from "../checks/markdown.ts";

/** docs/events.md, from the one table of events. */
export function eventsPage(events: Readonly<Record<string, EventSpec>>): string {
  const rows = Object.entries(events).map(([id, { level, fields, means, todo }]) =>
    toRow([`\`${id}\``, level, fields.map((field) => `\`${field}\``).join(" ") || "none", means, todo]),
  );
  return [
    "# Events",
    "",
    "<!-- Made by `npm run docs` from src/base/events.ts; edit that file. -->",
    "",
    "A broker writes one JSON object per line to stderr (`log.output`): `time` (ISO, UTC), `level`, `broker` (its id), `event` (an id of this page, which",
    "does not change its meaning) and the fields below. Values are escaped by JSON: what a caller sent cannot forge a line. No line holds a record.",
    "Events below `log.level` (info) are not written; `millrace_events_total{event=…}` counts them all the same.",
    "",
    "| event | level | fields | what happened | what to do |",
    "|---|---|---|---|---|",
    ...rows,
    "",
  ].join("\n");
}
