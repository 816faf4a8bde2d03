import { runProgram } from "../../src/cli/program.ts";

/** What `millrace COMMAND --help` prints. */
export interface HelpText {
  /** "millrace topic create"; the first one is "millrace". */
  readonly command: string;
  readonly text: string;
}

let all: Promise<readonly HelpText[]> | undefined;

/** The help of every command, found by following the lists of commands, so that none can be forgotten. Made once: laying it out is slow. */
export function helpTexts(): Promise<readonly HelpText[]> {
  all ??= helpBelow([]);
  return all;
}

/** The help of a command, as it is printed now, and of all below it. */
export async function helpBelow(words: readonly string[]): Promise<readonly HelpText[]> {
  const command = ["millrace", ...words].join(" ");
  const text = await helpOf(words);
  const list = text.split("Commands:\n")[1]?.split("\n\n")[0] ?? "";
  const below = [...list.matchAll(/^ {2}millrace((?: [a-z][a-z-]*)+)/gm)].map(([, listed = ""]) => listed.trim().split(" "));
  const pages: HelpText[] = [{ command, text }];
  for (const listed of below) pages.push(...(await helpBelow(listed)));
  return pages;
}

async function helpOf(words: readonly string[]): Promise<string> {
  let text = "";
  const exitCode = await runProgram([...words, "--help"], {
    data: (piece) => {
      text += piece.toString();
      return undefined;
    },
    flush: async () => undefined,
    say: (line) => {
      text += `${line}\n`;
    },
  });
  if (exitCode !== 0) throw new Error(`millrace ${words.join(" ")} --help ended with ${exitCode}: ${text}`);
  return text.trimEnd();
}

/** docs/cli.md: every help text as it is printed. */
export function cliPage(helps: readonly HelpText[]): string {
  return [
    "# Command line",
    "",
    "<!-- Made by `npm run docs` from src/cli/commands; edit those files. -->",
    "",
    "What `--help` prints after each command. In a clone, `npx millrace …` runs it.",
    "",
    "Data goes to stdout, everything else to stderr; progress is shown only where stderr is a terminal. Exit codes: 0 ok, 1 failure, 2 a mistake in the",
    "command line or a file it names, 3 not found or unhealthy. A reader that has enough (`| head`) ends a command quietly with 0. Ctrl-C ends `consume`",
    "with 0 and its last offsets, and `produce` with 0 when all it took was acknowledged; a second Ctrl-C gives up what is not, and exits 1.",
    "",
    ...helps.flatMap(({ command, text }) => [`## ${command}`, "", "```text", text, "```", ""]),
  ].join("\n");
}
