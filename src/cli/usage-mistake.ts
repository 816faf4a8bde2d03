import { nearest } from "../cluster/nearest.ts";
import { type CommandNode, commandNode, type HelpOf } from "./completion/command-tree.ts";
import { UsageError } from "./exit-code.ts";

/** yargs could not make sense of the command line; the message is its own. */
export class Misread extends Error {
  override readonly name = "Misread";
}

/**
 * What the message of yargs leaves out, told from the help of the command that was meant: the first unknown option, the command
 * with the words before it and the one that was probably meant, the argument that is missing or that nobody takes.
 */
export async function explained(message: string, args: readonly string[], helpOf: HelpOf): Promise<UsageError> {
  const node = await meant(args, helpOf);
  const unknown = /^Unknown (?:commands?|arguments?): (.*)$/.exec(message)?.[1]?.split(", ");
  const missing = /^Not enough (?:non-option )?arguments: got (\d+), need at least (\d+)$/.exec(message);
  return new UsageError(
    (unknown && (unknownOption(node, args) ?? unknownWord(node, unknown[0] ?? ""))) ??
      (missing && missingArguments(node, Number(missing[1]), Number(missing[2]))) ??
      message,
  );
}

/** The deepest command that the words name, one after the other. */
async function meant(args: readonly string[], helpOf: HelpOf): Promise<CommandNode> {
  let words: readonly string[] = [];
  let node = await commandNode(helpOf, words);
  for (const [i, word] of args.entries()) {
    const isValue = node.options.some(({ names, takesValue }) => takesValue && names.includes(args[i - 1] ?? ""));
    if (isValue || !node.commands.some(({ name }) => name === word)) continue;
    words = [...words, word];
    node = await commandNode(helpOf, words);
  }
  return node;
}

function unknownOption(node: CommandNode, args: readonly string[]): string | undefined {
  const known = node.options.flatMap(({ names }) => names);
  const end = args.indexOf("--");
  for (const arg of end < 0 ? args : args.slice(0, end)) {
    const option = /^(--[a-zA-Z][^=]*|-[a-zA-Z])/.exec(arg)?.[1];
    if (option === undefined || known.includes(option)) continue;
    const near = option.startsWith("--") ? nearest(option, known) : undefined;
    return `Unknown option of \`${called(node)}\`: ${option}${near === undefined ? "" : `; did you mean ${near}?`}`;
  }
  return undefined;
}

function unknownWord(node: CommandNode, word: string): string {
  const names = node.commands.map(({ name }) => name);
  if (names.length === 0) return `\`${called(node)}\` does not take "${word}": ${node.usage}`;
  const before = node.path === "" ? "" : `${node.path} `;
  const near = nearest(word, names);
  return `Unknown command: ${before}${word}${near === undefined ? "" : `; did you mean ${before}${near}?`}`;
}

function missingArguments(node: CommandNode, got: number, needed: number): string {
  const names = [...node.usage.matchAll(/<([^>.]+)(?:\.\.)?>/g)].map(([, name = ""]) => name.toUpperCase());
  return `\`${called(node)}\` needs ${names.slice(got, needed).join(" and ")}: ${node.usage}`;
}

function called({ path }: CommandNode): string {
  return path === "" ? "millrace" : `millrace ${path}`;
}
