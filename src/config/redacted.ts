import type { EffectiveSetting } from "./describe.ts";

/** Keys whose values are nobody's business. No setting has such a name yet; one that comes is hidden from its first day. */
const SECRET = /(?:^|\.)(?:password|secret|token|credentials?)(?:\.|$)|private\.key/;

/** The settings a broker runs with, one JSON object a line, secrets replaced by "(redacted)": for a bundle that is sent to others. */
export function redactedConfig(rows: readonly Pick<EffectiveSetting, "key" | "value" | "source">[]): string {
  return rows
    .map(({ key, value = null, source }) => {
      const shown = value !== null && SECRET.test(key) ? "(redacted)" : value;
      return `${JSON.stringify({ key, value: shown, source })}\n`;
    })
    .join("");
}
