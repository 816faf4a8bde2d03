import { nearest } from "../cluster/nearest.ts";
import { type CommandNode, commandNode, type HelpOf, type OptionNode } from "./completion/command-tree.ts";
import { UsageError } from "./exit-code.ts";

/** yargs could not make sense of the command line; the message is its own. */
export class Misread extends Error {
  override readonly name = "Misread";
}

/**
 * What the message of yargs leaves out, told from the help of the command that was meant: the first word that is wrong, an option or not,
 * the command with the words before it and what was probably meant, the argument or the value that is missing.
 */
export async function explained(message: string, args: readonly string[], helpOf: HelpOf): Promise<UsageError> {
  const node = await meant(args, helpOf);
  const unknown = /^Unknown (?:commands?|arguments?): (.*)$/.exec(message)?.[1]?.split(", ");
  const missing = /^Not enough (?:non-option )?arguments: got (\d+), need at least (\d+)$/.exec(message);
  const valueless = /^Not enough arguments following: (.*)$/.exec(message)?.[1];
  return new UsageError(
    behindDashes(args) ??
      negated(node, args) ??
      (unknown && (firstUnknown(node, args, unknown) ?? unknownWord(node, unknown[0] ?? ""))) ??
      (missing && missingArguments(node, Number(missing[1]), Number(missing[2]))) ??
      (valueless === undefined ? undefined : withoutValue(node, args, valueless)) ??
      message,
  );
}

/** A value was refused by its option: what is wrong may be the option, which has no "no-" before it. */
export async function refusedValue(error: UsageError, args: readonly string[], helpOf: HelpOf): Promise<UsageError> {
  if (!plain(args).some((arg) => NEGATED.test(arg))) return error;
  const text = negated(await meant(args, helpOf), args);
  return text === undefined ? error : new UsageError(text);
}

/**
 * Of what yargs drops without a word. @param flags names of options that take no value
 * @returns what is wrong, or undefined
 */
export function droppedWord(args: readonly string[], flags: readonly string[]): string | undefined {
  for (const arg of plain(args)) {
    const [, flag = "", value = ""] = /^--([a-z-]+)=(.*)$/.exec(arg) ?? [];
    if (flags.includes(flag) && value !== "true" && value !== "false") return `--${flag} takes no value: got "${value}"`;
  }
  return behindDashes(args);
}

const NEGATED = /^--no-(.+)$/;

/** What stands before "--". */
function plain(args: readonly string[]): readonly string[] {
  const end = args.indexOf("--");
  return end < 0 ? args : args.slice(0, end);
}

function behindDashes(args: readonly string[]): string | undefined {
  const word = args[plain(args).length + 1];
  return word === undefined ? undefined : `"${word}" stands behind "--", where nothing is read: leave the "--" out`;
}

function optionOf(node: CommandNode, name: string): OptionNode | undefined {
  return node.options.find(({ names }) => names.includes(name));
}

/** The option without "no-", as far as it is one that is there or not. */
function flagOf(node: CommandNode, arg: string): OptionNode | undefined {
  const [, name = ""] = NEGATED.exec(arg) ?? [];
  const option = optionOf(node, `--${name}`);
  return option?.takesValue === false ? option : undefined;
}

/** "no-" before an option that takes a value. */
function negated(node: CommandNode, args: readonly string[]): string | undefined {
  const wrong = plain(args).find((arg) => {
    const [, name = ""] = NEGATED.exec(arg) ?? [];
    return optionOf(node, arg) === undefined && optionOf(node, `--${name}`)?.takesValue === true;
  });
  return wrong === undefined ? undefined : unknownOption(node, wrong);
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

/** The first that is wrong of options and words. @param unknown as yargs names them: options without dashes, words as they are */
function firstUnknown(node: CommandNode, args: readonly string[], unknown: readonly string[]): string | undefined {
  const command = node.path.split(" ");
  let before: OptionNode | undefined;
  for (const arg of plain(args)) {
    const flagBefore = before?.takesValue === false ? before : undefined;
    const isValue = before?.takesValue === true;
    before = undefined;
    if (isValue) continue;
    const name = /^(--[a-zA-Z][^=]*|-[a-zA-Z])/.exec(arg)?.[1];
    if (name !== undefined) {
      const known = optionOf(node, name) ?? flagOf(node, name);
      if (known === undefined || optionOf(node, `-${arg}`) !== undefined) return unknownOption(node, known === undefined ? name : arg);
      const letter = [...(/^-[a-zA-Z]([a-zA-Z]+)$/.exec(arg)?.[1] ?? "")].find((each) => unknown.includes(each));
      if (letter !== undefined) return known.takesValue ? runTogether(node, arg) : unknownOption(node, `-${letter}`);
      if (name === arg) before = known;
    } else if (arg === command[0]) command.shift();
    else if (unknown.includes(arg)) return unknownWord(node, arg, flagBefore);
  }
  return undefined;
}

function unknownOption(node: CommandNode, option: string): string {
  const known = node.options.flatMap(({ names }) => names);
  const [, name = option] = /^--no(-.*)$/.exec(option) ?? [];
  const near = option.startsWith("--")
    ? (nearest(option, known) ?? known.find((each) => each === `-${name}`))
    : known.find((each) => each === `-${option}`);
  return `Unknown option of \`${called(node)}\`: ${option}${near === undefined ? "" : `; did you mean ${near}?`}`;
}

/** "-nfoo": letters, where a letter and its value are meant. */
function runTogether(node: CommandNode, arg: string): string {
  const letters = [...arg.slice(1)].map((each) => `-${each}`).join(" ");
  return `\`${called(node)}\` reads ${arg} as ${letters}: say ${arg.slice(0, 2)} ${arg.slice(2)}`;
}

/** The value of an option is missing, or run together with its letter. @param named by yargs, without dashes */
function withoutValue(node: CommandNode, args: readonly string[], named: string): string {
  const joined = plain(args).find((arg) => /^-[a-zA-Z]{2}/.test(arg) && arg.includes(named) && optionOf(node, arg.slice(0, 2))?.takesValue);
  if (joined !== undefined) return runTogether(node, joined);
  const option = optionOf(node, `--${named}`) ?? optionOf(node, `-${named}`);
  return `${option?.names.at(-1) ?? named} of \`${called(node)}\` needs a value: ${option?.doc ?? node.usage}`;
}

/** @param flag stands before the word, and takes no value: it may have been meant for one */
function unknownWord(node: CommandNode, word: string, flag?: OptionNode): string {
  const names = node.commands.map(({ name }) => name);
  if (names.length === 0) {
    const option = optionOf(node, `--${word}`);
    const meant = option === undefined ? "" : `; did you mean ${option.name}?`;
    const why = flag === undefined ? "" : ` (${flag.name} takes no value)`;
    return `\`${called(node)}\` does not take "${word}"${why}: ${node.usage}${meant}`;
  }
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
