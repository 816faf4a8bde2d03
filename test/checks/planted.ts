import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { it } from "node:test";
import { type Finding, type SourceFile, show } from "../../tools/checks/finding.ts";

const FOLDER = "test/checks/planted";

/**
 * Each file below `planted/<area>/` breaks rules on purpose. Its head says as which file it is to be read (`plant:`) and what
 * must be found in it (`expect:`), by rule and line, no more and no less.
 */
export function refusesPlanted(area: string, check: (files: readonly SourceFile[]) => readonly Finding[]): void {
  for (const name of readdirSync(`${FOLDER}/${area}`).sort()) {
    it(`refuses ${area}/${name}`, () => {
      const text = readFileSync(`${FOLDER}/${area}/${name}`, "utf8");
      const path = /plant"?: "?([\w./-]+)/.exec(text)?.[1] ?? "";
      const expected = (/expect"?: "?([^"\n]+)/.exec(text)?.[1] ?? "").split(", ").flatMap((entry) => {
        const [rule = "", times = "1"] = entry.trim().split(" × ");
        return Array<string>(Number(times)).fill(rule);
      });
      const findings = check([{ path, text }]);
      assert.deepEqual(findings.map((finding) => `${finding.rule}:${finding.line}`).sort(), expected.sort(), findings.map(show).join("\n"));
    });
  }
}
