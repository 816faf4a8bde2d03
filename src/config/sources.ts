import { isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from "yaml";
import { ConfigError, type ConfigProblem } from "./config-error.ts";
import { environmentName, settingKeys } from "./table.ts";

/** One value as an operator wrote it. */
export interface Given {
  readonly key: string;
  readonly text: string;
  /** "flag", "environment", "broker.yaml line 3". */
  readonly source: string;
}

/** @param flags by key of the table; undefined values were not given */
export function fromFlags(flags: Readonly<Record<string, string | undefined>>): readonly Given[] {
  return Object.entries(flags).flatMap(([key, text]) => (text === undefined ? [] : [{ key, text, source: "flag" }]));
}

/** Used by the command line, not settings of a broker. */
const otherVariables = new Set(["MILLRACE_BROKERS", "MILLRACE_CONFIG"]);

/** Every `MILLRACE_…` variable; one that belongs to no key is given under its own name, so that it is refused by that name. */
export function fromEnvironment(env: Readonly<Record<string, string | undefined>>): readonly Given[] {
  const keys = new Map<string, string>(settingKeys.map((key) => [environmentName(key), key]));
  return Object.entries(env).flatMap(([name, text]) => {
    if (text === undefined || !name.startsWith("MILLRACE_") || otherVariables.has(name)) return [];
    return [{ key: keys.get(name) ?? name, text, source: "environment" }];
  });
}

/** What a file says, and which of its entries could not be read. */
export interface FileSettings {
  readonly given: readonly Given[];
  readonly problems: readonly ConfigProblem[];
}

/**
 * A YAML file of `key: value` lines; lists are joined by commas.
 * @throws {ConfigError} when it is no such file
 */
export function fromFile(file: { readonly name: string; readonly text: string }): FileSettings {
  const lines = new LineCounter();
  const document = parseDocument(file.text, { lineCounter: lines, prettyErrors: false });
  const where = (position: number): string => `${file.name} line ${lines.linePos(position).line}`;
  if (document.errors.length > 0) {
    throw new ConfigError(
      document.errors.map((error) => ({ key: file.name, source: where(error.pos[0]), message: `is not YAML: ${error.message}` })),
    );
  }
  if (document.contents === null) return { given: [], problems: [] };
  if (!isMap<Node, Node | null>(document.contents)) {
    throw new ConfigError([{ key: file.name, source: undefined, message: 'must hold "key: value" lines' }]);
  }
  const given: Given[] = [];
  const problems: ConfigProblem[] = [];
  for (const { key, value } of document.contents.items) {
    const source = where(key.range?.[0] ?? 0);
    const name = isScalar(key) ? String(key.value) : file.name;
    const text = textOf(value);
    if (text === undefined)
      problems.push({ key: name, source, message: "must be a plain value or a list of them; keys are written with dots" });
    else given.push({ key: name, text, source });
  }
  return { given, problems };
}

function textOf(node: Node | null): string | undefined {
  if (isScalar(node)) return node.value === null ? undefined : String(node.value);
  if (!isSeq<Node>(node)) return undefined;
  const parts = node.items.map(textOf);
  return parts.every((part) => part !== undefined) ? parts.join(",") : undefined;
}
