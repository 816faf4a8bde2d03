import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { cliPage, type HelpText, helpBelow, helpTexts } from "../../tools/docs/cli-page.ts";

const page = readFileSync(fileURLToPath(new URL("../../../docs/cli.md", import.meta.url)), "utf8");

/** The text docs/cli.md has for a command. */
function written(command: string): string | undefined {
  const section = page.split(/^## /m).find((part) => part.startsWith(`${command}\n`));
  return section?.split("```text\n")[1]?.split("\n```")[0];
}

describe("docs/cli.md", () => {
  let helps: readonly HelpText[];
  before(async () => {
    helps = await helpTexts();
  });

  it("shows the help of every command as it is printed", () => {
    for (const { command, text } of helps) {
      assert.equal(
        written(command),
        text,
        `docs/cli.md does not show what \`${command} --help\` prints: run \`npm run docs\`, and read the difference`,
      );
    }
    assert.equal(page, cliPage(helps), "docs/cli.md has more than the help texts: run `npm run docs`");
  });

  it("has every verb and what stands below it", () => {
    const commands = helps.map(({ command }) => command.replace("millrace", "").trim());
    for (const command of ["", "broker", "dev start", "topic create", "topic alter", "produce", "consume", "cluster health"])
      assert.ok(commands.includes(command), command);
    assert.ok(commands.includes("partition transfer-leader"));
    assert.equal(new Set(commands).size, commands.length);
  });

  it("says of every option and argument what it means, within 100 columns", () => {
    for (const { command, text } of helps) {
      for (const line of text.split("\n")) {
        assert.ok(line.length <= 100 || !line.includes("  "), `${command}: ${line}`);
        // A name with nothing but its type behind it.
        assert.doesNotMatch(line, /^ +(?:-., )?(?:--)?[a-z-]+ {2,}\[/, command);
      }
    }
  });

  it("is in English whatever the locale", async () => {
    const { LC_ALL } = process.env;
    process.env["LC_ALL"] = "de_DE.UTF-8";
    try {
      assert.deepEqual((await helpBelow(["version"]))[0]?.text, helps.find(({ command }) => command === "millrace version")?.text);
    } finally {
      if (LC_ALL === undefined) delete process.env["LC_ALL"];
      else process.env["LC_ALL"] = LC_ALL;
    }
  });
});
