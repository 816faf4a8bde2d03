/**
 * A small TypeScript tokenizer for the checks: TypeScript 7 has no compiler API, and the rules here need no more than words,
 * strings and comments told apart. It understands nested template literals and tells regular expressions from divisions by the
 * token before them.
 */

export type TokenKind = "word" | "string" | "template" | "regex" | "number" | "punct" | "comment";

export interface Token {
  readonly kind: TokenKind;
  /** As written; of strings the text between the quotes. */
  readonly text: string;
  /** From 1. */
  readonly line: number;
}

const WORD_START = /[\p{ID_Start}$_#]/u;
const WORD = /[\p{ID_Start}\p{ID_Continue}$_#]+/uy;
const NUMBER = /(?:0[xXbBoO][0-9a-fA-F_]+|[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][+-]?[0-9]+)?|\.[0-9][0-9_]*(?:[eE][+-]?[0-9]+)?)n?/y;
const LINE_COMMENT = /\/\/[^\n]*/y;
const BLOCK_COMMENT = /\/\*[\s\S]*?(?:\*\/|$)/y;
const STRING = /"(?:[^"\\\n]|\\[\s\S])*"?|'(?:[^'\\\n]|\\[\s\S])*'?/y;
const REGEX = /\/(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/y;
const TEMPLATE_PART = /(?:[^`\\$]|\\[\s\S]|\$(?!\{))*/y;
const PUNCT = /\?\.(?![0-9])|\.\.\.|=>|[\s\S]/y;
/** A slash after one of these words opens a regular expression. */
const BEFORE_REGEX = new Set(["return", "typeof", "case", "in", "of", "delete", "void", "throw", "new", "else", "do", "await", "yield"]);

/** All tokens of `source` in order, comments among them. Never throws: an unclosed string or comment ends with the file. */
export function tokenize(source: string): Token[] {
  const tokens: Token[] = [];
  /** Per open `${`: how many plain braces are open inside it. */
  const templates: number[] = [];
  let previous: Token | undefined;
  let at = 0;
  let line = 1;

  const take = (pattern: RegExp): string => {
    pattern.lastIndex = at;
    const text = pattern.exec(source)?.[0] ?? "";
    at += text.length;
    return text;
  };
  const push = (kind: TokenKind, text: string, width: string): void => {
    const token = { kind, text, line };
    tokens.push(token);
    if (kind !== "comment") previous = token;
    for (const char of width) if (char === "\n") line += 1;
  };
  /** After a backquote or the brace that closes `${…}`. */
  const templatePart = (): void => {
    const text = take(TEMPLATE_PART);
    push("template", text, text);
    if (source[at] === "`") at += 1;
    else if (source.startsWith("${", at)) {
      at += 2;
      templates.push(0);
      push("punct", "${", "");
    }
  };

  while (at < source.length) {
    const char = source[at] as string;
    if (char === "\n") {
      line += 1;
      at += 1;
    } else if (char <= " " || char === "\u00a0" || char === "\ufeff") {
      at += 1;
    } else if (source.startsWith("//", at) || (at === 0 && source.startsWith("#!"))) {
      if (char === "#") at += 1;
      push("comment", take(char === "#" ? /[^\n]*/y : LINE_COMMENT), "");
    } else if (source.startsWith("/*", at)) {
      const text = take(BLOCK_COMMENT);
      push("comment", text, text);
    } else if (char === '"' || char === "'") {
      const text = take(STRING);
      push("string", text.slice(1, text.endsWith(char) && text.length > 1 ? -1 : undefined), text);
    } else if (char === "`") {
      at += 1;
      templatePart();
    } else if (char === "}" && templates.at(-1) === 0) {
      at += 1;
      templates.pop();
      push("punct", "}", "");
      templatePart();
    } else if (WORD_START.test(char)) {
      push("word", take(WORD), "");
    } else if (/[0-9]/.test(char) || (char === "." && /[0-9]/.test(source[at + 1] ?? ""))) {
      push("number", take(NUMBER), "");
    } else if (char === "/" && opensRegex(previous)) {
      const text = take(REGEX);
      if (text === "") push("punct", take(PUNCT), "");
      else push("regex", text, text);
    } else {
      const text = take(PUNCT);
      const open = templates.length - 1;
      if (open >= 0 && text === "{") templates[open] = (templates[open] as number) + 1;
      if (open >= 0 && text === "}") templates[open] = (templates[open] as number) - 1;
      push("punct", text, "");
    }
  }
  return tokens;
}

function opensRegex(previous: Token | undefined): boolean {
  if (previous === undefined) return true;
  if (previous.kind === "word") return BEFORE_REGEX.has(previous.text);
  return previous.kind === "punct" && ![")", "]", "}"].includes(previous.text);
}

export interface Import {
  /** The module named, as written. */
  readonly from: string;
  readonly line: number;
  /** `import("…")`: loaded while running. */
  readonly dynamic: boolean;
  /** `import type …` or `export type …`: gone once compiled. */
  readonly typeOnly: boolean;
}

/** Every `import … from "x"`, `export … from "x"`, `import "x"`, `import("x")` and `require("x")`; types count as well. */
export function importsOf(tokens: readonly Token[]): Import[] {
  const code = tokens.filter((token) => token.kind !== "comment");
  const found: Import[] = [];
  code.forEach((token, index) => {
    if (token.kind !== "string") return;
    const before = code[index - 1];
    const called = before?.text === "(" ? code[index - 2] : undefined;
    if (before?.kind === "word" && (before.text === "from" || before.text === "import")) {
      found.push({ from: token.text, line: token.line, dynamic: false, typeOnly: isTypeOnly(code, index) });
    } else if (called?.kind === "word" && (called.text === "import" || called.text === "require") && code[index - 3]?.text !== ".") {
      found.push({ from: token.text, line: token.line, dynamic: true, typeOnly: false });
    }
  });
  return found;
}

/** Looks back from the module's name to the word that began the statement. */
function isTypeOnly(code: readonly Token[], index: number): boolean {
  for (let at = index; at >= 0; at--) {
    const text = code[at]?.kind === "word" ? code[at]?.text : undefined;
    if (text === "import" || text === "export") return code[at + 1]?.text === "type" && code[at + 2]?.text !== "from";
  }
  return false;
}
