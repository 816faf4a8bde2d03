import type { Finding, SourceFile } from "./finding.ts";
import { layerOf } from "./layers.ts";
import { type Token, tokenize } from "./tokens.ts";

/**
 * Floors 0–2 run under a simulated clock, disk and network, bit for bit the same each time (design §3). So nothing there may
 * know the real time, draw a number, be called later, or compute what differs between machines, except through a port.
 */
const GLOBALS: Readonly<Record<string, string>> = {
  Date: "take time from the Clock port",
  performance: "take time from the Clock port",
  crypto: "draw from the Random port",
  setTimeout: "arm a timer of the Clock port",
  setInterval: "arm a timer of the Clock port",
  setImmediate: "use Clock.soon",
  clearTimeout: "cancel the Timer",
  clearInterval: "cancel the Timer",
  clearImmediate: "cancel the Timer",
  queueMicrotask: "use Clock.soon",
  WeakRef: "garbage collection is not repeatable",
  FinalizationRegistry: "garbage collection is not repeatable",
  Intl: "depends on the machine",
  console: "use the Telemetry port",
  fetch: "use a port",
  WebSocket: "use a port",
  navigator: "use a port",
  globalThis: "hides what is used",
  require: "import at the top",
  ReadableStream: "use callbacks or async iterators with a bound",
  WritableStream: "use callbacks or async iterators with a bound",
  TransformStream: "use callbacks or async iterators with a bound",
  process: "use a port",
};

/** `object.member` pairs. */
const MEMBERS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  Math: Object.fromEntries([
    ["random", "draw from the Random port"],
    ...[
      "exp",
      "expm1",
      "log",
      "log1p",
      "log2",
      "log10",
      "pow",
      "sin",
      "cos",
      "tan",
      "asin",
      "acos",
      "atan",
      "atan2",
      "sinh",
      "cosh",
      "tanh",
      "cbrt",
      "hypot",
    ].map((name) => [name, "its last bits differ between machines"]),
  ]),
  AbortSignal: { timeout: "arm a timer of the Clock port" },
  Error: { captureStackTrace: "stacks differ between runs" },
  Atomics: { wait: "blocks the event loop", waitAsync: "use Clock.soon" },
};

/** Methods by name, whoever has them. */
const METHODS: Readonly<Record<string, string>> = {
  localeCompare: "compare code units",
  toLocaleString: "depends on the machine",
  toLocaleLowerCase: "depends on the machine",
  toLocaleUpperCase: "depends on the machine",
};

/** On floor 1 everything is synchronous. */
const SYNCHRONOUS = new Set(["async", "await"]);

const ERROR_NAME = /^(?:e|err|cause|.*[eE]rror)$/;

export function checkBanned(files: readonly SourceFile[]): Finding[] {
  const findings: Finding[] = [];
  for (const file of files) {
    const tokens = tokenize(file.text);
    const report = (rule: string, line: number, message: string): void => {
      findings.push({ file: file.path, line, rule, message });
    };
    everywhere(tokens, report);
    const layer = file.path.startsWith("src/") ? layerOf(file.path.slice("src/".length)) : undefined;
    if (layer !== undefined && layer.floor <= 2) onPureFloors(tokens, layer.floor, report);
  }
  return findings;
}

type Report = (rule: string, line: number, message: string) => void;

/** What no file of the project may do: silence a check, or step around the types. */
function everywhere(tokens: readonly Token[], report: Report): void {
  let unknownAt = -1;
  const code = tokens.filter((token) => token.kind !== "comment");
  for (const token of tokens) {
    if (token.kind !== "comment") continue;
    const silenced = /@ts-(?:ignore|expect-error|nocheck)|biome-ignore|eslint-disable/.exec(token.text)?.[0];
    if (silenced !== undefined) report("banned/silencer", token.line, `${silenced}: mend what it complains about`);
  }
  code.forEach((token, index) => {
    if (token.kind !== "word") return;
    if (token.text === "unknown" && code[index - 1]?.text === "as") unknownAt = index;
    if (token.text === "as" && unknownAt === index - 1 && index > 0)
      report("banned/cast", token.line, "`as unknown as` steps around the types");
    const typePosition = [":", "<", "|", "as", ",", "&"].includes(code[index - 1]?.text ?? "");
    if (token.text === "any" && typePosition && code[index + 1]?.text !== "(")
      report("banned/any", token.line, "`any` steps around the types");
    if (token.text === "debugger") report("banned/debugger", token.line, "debugger");
  });
}

function onPureFloors(tokens: readonly Token[], floor: number, report: Report): void {
  const code = tokens.filter((token) => token.kind !== "comment");
  code.forEach((token, index) => {
    if (token.kind !== "word") return;
    const name = token.text;
    const before = code[index - 1]?.text ?? "";
    const after = code[index + 1]?.text ?? "";
    const member = before === "." || before === "?.";
    if (member) {
      const object = code[index - 2];
      const why =
        METHODS[name] ?? (object?.kind === "word" && Object.hasOwn(MEMBERS, object.text) ? MEMBERS[object.text]?.[name] : undefined);
      if (why !== undefined && typeof why === "string")
        report("banned/call", token.line, `${object?.text ?? ""}.${name} on floor ${floor}: ${why}`);
      if (name === "stack" && object?.kind === "word" && ERROR_NAME.test(object.text)) {
        report("banned/call", token.line, `${object.text}.stack on floor ${floor}: stacks differ between runs`);
      }
      if (name === "meta" && object?.text === "import") report("banned/call", token.line, `import.meta on floor ${floor}: use a port`);
      return;
    }
    if (Object.hasOwn(GLOBALS, name) && !isKey(code, index) && !(name === "process" && after === "(")) {
      report("banned/global", token.line, `${name} on floor ${floor}: ${GLOBALS[name]}`);
    }
    if (name === "import" && after === "(") report("banned/call", token.line, `import() on floor ${floor}: import at the top`);
    if (floor === 1 && SYNCHRONOUS.has(name) && !isKey(code, index)) {
      report("banned/async", token.line, `${name} on floor ${floor}: codecs, cores and machines are synchronous`);
    }
  });
}

/** `{ name: …`, `readonly name?: …`, `name(…) {` as a method: a member of that name, not the global. */
function isKey(code: readonly Token[], index: number): boolean {
  const before = code[index - 1]?.text ?? "";
  const after = code[index + 1]?.text ?? "";
  if (!["{", ",", ";", "}", "readonly", "get", "set", "static"].includes(before)) return false;
  return after === ":" || (after === "?" && code[index + 2]?.text === ":");
}
