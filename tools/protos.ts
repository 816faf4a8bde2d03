import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";

const BUF = "node_modules/.bin/buf";
/** What `buf build` made of `proto/` when it last landed, below the commit it was: nobody's stubs may break on what comes after. */
export const LANDED = "proto/landed.txt";

/** @returns the image of a folder of proto files, in lines of base64 @throws when it cannot be built */
export function imageOf(protos: string): string {
  const { status, stdout, stderr } = spawnSync(BUF, ["build", protos, "--exclude-source-info", "-o", "-"], { maxBuffer: 64 * 1024 * 1024 });
  if (status !== 0) throw new Error(`buf build: ${stderr.toString()}`);
  return `${
    stdout
      .toString("base64")
      .match(/.{1,120}/g)
      ?.join("\n") ?? ""
  }\n`;
}

/** @param image in lines of base64 */
export function landedText(commit: string, image: string): string {
  return `# ${commit}\n${image}`;
}

/** @returns the commit whose proto files have landed; undefined: the text does not say */
export function landedCommit(text: string): string | undefined {
  return /^# ([0-9a-f]{40})\n/.exec(text)?.[1];
}

/** @returns a line for each change of `protos` that breaks what has landed; none: all is well */
export function breaksOf(protos: string, landed: string = readFileSync(LANDED, "utf8")): readonly string[] {
  if (!existsSync(BUF)) return ["node_modules/.bin/buf is missing: npm ci"];
  const { status, stdout, stderr } = spawnSync(BUF, ["breaking", protos, "--against", "-#format=binpb"], {
    input: Buffer.from(landed.replace(/^#.*\n/, ""), "base64"),
    encoding: "utf8",
  });
  if (status === 0) return [];
  return `${stdout}${stderr}`.split("\n").filter((line) => line !== "");
}
