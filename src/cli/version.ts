import { readFileSync } from "node:fs";

/** Version of the package this file belongs to. */
export function packageVersion(): string {
  // dist/src/cli/version.js, three folders below package.json, in the clone and when installed.
  const parsed: unknown = JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8"));
  const version = typeof parsed === "object" && parsed !== null && "version" in parsed ? parsed.version : undefined;
  return typeof version === "string" ? version : "unknown";
}
