import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { breaksOf, imageOf, LANDED, landedText } from "./protos.ts";

/**
 * `npm run land-protos [-- COMMIT]`: what the proto files said at a commit (that of HEAD, unless another is named) is what later ones must
 * not break. Refuses when they break what landed before.
 */
const [name = "HEAD"] = process.argv.slice(2);
const commit = git("rev-parse", "--verify", `${name}^{commit}`).toString().trim();
const folder = mkdtempSync(join(tmpdir(), "millrace-landed-"));
try {
  const { status, stderr } = spawnSync("tar", ["-x", "-C", folder], { input: git("archive", commit, "proto") });
  if (status !== 0) throw new Error(`tar: ${stderr.toString()}`);
  const protos = join(folder, "proto");
  const breaks = breaksOf(protos);
  for (const line of breaks) console.error(line);
  if (breaks.length === 0) writeFileSync(LANDED, landedText(commit, imageOf(protos)));
  process.exitCode = breaks.length === 0 ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true });
}

function git(...args: readonly string[]): Buffer {
  const { status, stdout, stderr } = spawnSync("git", args, { maxBuffer: 64 * 1024 * 1024 });
  if (status !== 0) throw new Error(`git ${args.join(" ")}: ${stderr.toString()}`);
  return stdout;
}
