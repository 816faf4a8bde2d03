import type { ErrorSpec } from "../../src/base/errors.ts";
import { toRow } from "../checks/markdown.ts";

/** docs/errors.md, from the one table of errors. */
export function errorsPage(errors: Readonly<Record<string, ErrorSpec>>): string {
  const rows = Object.entries(errors).map(([code, spec]) =>
    toRow([
      `\`${code}\``,
      `\`${spec.status}\``,
      spec.retriable ? "yes" : "no",
      spec.outcomeKnown ? "nothing written" : "unknown",
      spec.doc,
    ]),
  );
  return [
    "# Errors",
    "",
    "<!-- Made by `npm run docs` from src/base/errors.ts; edit that file. -->",
    "",
    "Every error of a call carries a `google.rpc.ErrorInfo` with `domain` = `millrace` and `reason` = the code below. *Again* says whether",
    "sending the same request again may succeed without anybody changing it. *Outcome* says what happened to what the request asked for:",
    "`nothing written`, or `unknown`: it may have been written, or not. An error without our `ErrorInfo` (a proxy's, a library's) has an unknown outcome.",
    "",
    "| code | gRPC status | again | outcome | meaning and what to do |",
    "|---|---|---|---|---|",
    ...rows,
    "",
  ].join("\n");
}
