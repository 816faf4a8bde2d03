import { spawnSync } from "node:child_process";

/** What a reader is expected to see happen, or why the command is not for a machine. */
export type Mark =
  | { readonly kind: "runs" }
  /** Exits with this code; with any but 0 when none is said. */
  | { readonly kind: "fails"; readonly exitCode: number | undefined }
  | { readonly kind: "skipped"; readonly reason: string };

/** A fenced block of shell commands in a page. */
export interface Block {
  readonly page: string;
  /** Of its first command, from 1. */
  readonly line: number;
  readonly text: string;
  readonly mark: Mark;
  /** What the block prints, stdout and stderr as a terminal shows them: the block tagged `output` right below it. */
  readonly output: string | undefined;
}

export interface Mistake {
  readonly page: string;
  readonly line: number;
  readonly what: string;
}

interface Fence {
  readonly line: number;
  readonly info: string;
  readonly lines: readonly string[];
}

/**
 * The shell blocks of a page, in order.
 *
 * The first word behind a fence is its language; `sh` blocks are commands, an `output` block right below one is what they print.
 * Behind `sh` may stand `fails`, `fails N` (exit code N) or `skip: REASON`; GitHub shows none of it.
 */
export function blocksOf(page: string, text: string): { readonly blocks: readonly Block[]; readonly mistakes: readonly Mistake[] } {
  const blocks: Block[] = [];
  const mistakes: Mistake[] = [];
  const fences = fencesOf(text);
  for (const [at, { line, info, lines }] of fences.entries()) {
    const [language = "", ...rest] = info.split(" ");
    const wrong = (what: string): void => void mistakes.push({ page, line, what });
    if (language === "") wrong("a fenced block needs a language: sh, output, text, ts, …");
    if (language === "bash" || language === "shell") wrong(`tag shell commands \`sh\`, not \`${language}\``);
    if (language === "output" && !isOutputOf(fences[at - 1], fences[at])) wrong("an output block stands right below its sh block");
    if (language !== "sh") continue;
    const mark = markOf(rest.join(" "));
    if (mark === undefined) wrong(`behind sh may stand "fails", "fails N" or "skip: REASON", not "${rest.join(" ")}"`);
    const next = fences[at + 1];
    const output = isOutputOf(fences[at], next) ? next?.lines.join("\n") : undefined;
    blocks.push({ page, line: line + 1, text: lines.join("\n"), mark: mark ?? { kind: "runs" }, output });
  }
  return { blocks, mistakes };
}

function markOf(text: string): Mark | undefined {
  if (text === "") return { kind: "runs" };
  const [, code] = /^fails(?: (\d+))?$/.exec(text) ?? [];
  if (text.startsWith("fails"))
    return /^fails(?: \d+)?$/.test(text) ? { kind: "fails", exitCode: code === undefined ? undefined : Number(code) } : undefined;
  const reason = /^skip: (.+)$/.exec(text)?.[1];
  return reason === undefined ? undefined : { kind: "skipped", reason };
}

/** Below it, with at most one empty line between. */
function isOutputOf(commands: Fence | undefined, output: Fence | undefined): boolean {
  if (commands === undefined || output === undefined) return false;
  if (!/^sh\b/.test(commands.info) || output.info !== "output") return false;
  return output.line - (commands.line + commands.lines.length + 1) <= 2;
}

function fencesOf(text: string): readonly Fence[] {
  const fences: Fence[] = [];
  let open: { mark: string; indent: number; line: number; info: string; lines: string[] } | undefined;
  for (const [at, line] of text.split("\n").entries()) {
    const [, indent = "", mark = "", info = ""] = /^(\s*)(```+|~~~+)\s*(.*?)\s*$/.exec(line) ?? [];
    if (open === undefined) {
      if (mark !== "") open = { mark, indent: indent.length, line: at + 1, info, lines: [] };
    } else if (mark.startsWith(open.mark) && info === "") {
      fences.push(open);
      open = undefined;
    } else {
      open.lines.push(line.slice(Math.min(open.indent, line.length - line.trimStart().length)));
    }
  }
  return fences;
}

/** One command of a block, as a person would type it: one line, or as many as it takes until the shell begins to work. */
export interface Command {
  readonly line: number;
  readonly text: string;
}

/** Cuts a block where bash would have enough to begin: quotes, pipes, loops and here-documents that go on keep their lines together. */
export function commandsOf({ line, text }: Pick<Block, "line" | "text">): readonly Command[] {
  const commands: Command[] = [];
  let pending: string[] = [];
  for (const [at, each] of text.split("\n").entries()) {
    if (pending.length === 0 && (each.trim() === "" || each.trimStart().startsWith("#"))) continue;
    pending.push(each);
    if (!isWhole(pending.join("\n"))) continue;
    commands.push({ line: line + at - pending.length + 1, text: pending.join("\n") });
    pending = [];
  }
  // What never became whole is run as it stands: bash says what is wrong with it.
  if (pending.length > 0) commands.push({ line, text: pending.join("\n") });
  return commands;
}

function isWhole(text: string): boolean {
  if (/\\$/.test(text)) return false;
  const { status, stderr } = spawnSync("bash", ["-n", "-c", text], { encoding: "utf8" });
  return status === 0 && !stderr.includes("here-document");
}
