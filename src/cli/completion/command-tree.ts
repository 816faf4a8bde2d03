/** One command as its help describes it. */
export interface CommandNode {
  /** "topic create"; "" is millrace itself. */
  readonly path: string;
  /** "millrace topic create <topic>" */
  readonly usage: string;
  readonly commands: readonly Described[];
  readonly options: readonly OptionNode[];
}

export interface Described {
  readonly name: string;
  readonly doc: string;
}

export interface OptionNode extends Described {
  /** "--partition" and "-p". */
  readonly names: readonly string[];
  /** Undefined: it takes none, or any. */
  readonly choices: readonly string[] | undefined;
  readonly takesValue: boolean;
}

/** @param words of a command @returns what its --help prints */
export type HelpOf = (words: readonly string[]) => Promise<string>;

/** Every command, found by following the lists of commands in the help, so that none can be forgotten. */
export async function commandTree(helpOf: HelpOf, words: readonly string[] = []): Promise<readonly CommandNode[]> {
  const node = await commandNode(helpOf, words);
  const nodes: CommandNode[] = [node];
  for (const { name } of node.commands) nodes.push(...(await commandTree(helpOf, [...words, name])));
  return nodes;
}

/** One command alone. */
export async function commandNode(helpOf: HelpOf, words: readonly string[]): Promise<CommandNode> {
  const help = await helpOf(words);
  const path = words.join(" ");
  return { path, usage: help.slice(0, help.indexOf("\n")), commands: commandsIn(help, path), options: optionsIn(help) };
}

function commandsIn(help: string, path: string): readonly Described[] {
  const list = help.split("\nCommands:\n")[1]?.split("\n\n")[0] ?? "";
  return entries(list).flatMap(({ head, doc }) => {
    const [, ...words] = head.split(" ").filter((word) => /^[a-z][a-z-]*$/.test(word));
    const name = words.at(-1);
    return name === undefined || words.slice(0, -1).join(" ") !== path ? [] : [{ name, doc }];
  });
}

function optionsIn(help: string): readonly OptionNode[] {
  return entries(help).flatMap(({ head, doc }) => {
    const names = head.split(", ");
    const name = names.find((each) => each.startsWith("--")) ?? head;
    if (!names.every((each) => /^--?[a-zA-Z][a-z-]*$/.test(each))) return [];
    const choices = /\[choices: ([^\]]*)\]/.exec(doc)?.[1]?.split(", ");
    const plain = doc.replace(/ *\[(?:string|boolean|array|number|required|choices: [^\]]*|default: [^\]]*)\]/g, "");
    const takesValue = choices !== undefined || /\[(?:string|array)\]/.test(doc);
    return [{ name, names, doc: plain, takesValue, choices: choices?.map((choice) => choice.replaceAll('"', "")) }];
  });
}

/** Lines of two columns, the second of which may go on in the lines below. */
function entries(text: string): readonly { readonly head: string; readonly doc: string }[] {
  const found: { head: string; doc: string }[] = [];
  for (const line of text.split("\n")) {
    const [, head, doc = ""] = /^ {2,6}(\S.*?)(?: {2,}(.*))?$/.exec(line) ?? [];
    const last = found.at(-1);
    if (head !== undefined) found.push({ head, doc });
    else if (last !== undefined && /^ {7}/.test(line)) last.doc = `${last.doc} ${line.trim()}`;
  }
  return found;
}
