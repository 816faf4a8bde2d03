import { relative, resolve } from "node:path";
import { inspect } from "node:util";
import { SourcePlaces } from "./source-places.ts";

/**
 * A reporter for node:test that says little: each failure with its place and error, and one line of counts at the end. A skipped
 * or empty test counts as failed, because it would pass whatever the code does; so does a file of `TEST_FILES_EXPECTED` (separated
 * by spaces) that none of the tests came from. Node's own types of these events differ between the two Nodes we run on, so only what
 * both send is read here.
 */
interface TestEvent {
  readonly type: string;
  readonly data: {
    readonly name?: string;
    readonly file?: string;
    readonly line?: number;
    readonly column?: number;
    readonly nesting?: number;
    readonly skip?: string | boolean;
    readonly todo?: string | boolean;
    readonly message?: string;
    readonly details?: {
      readonly duration_ms?: number;
      readonly type?: string;
      readonly error?: { readonly cause?: unknown; readonly failureType?: string };
    };
  };
}

/** Files that take longer than this are named, so that the minute of `npm run check` is not spent unseen. */
const SLOW_MS = 5_000;

export default async function* report(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  let passed = 0;
  let failed = 0;
  const output: string[] = [];
  const spentMs = new Map<string, number>();
  const seen = new Set<string>();
  const places = new SourcePlaces();
  const placeOf = ({ file, line = 0, column = 1 }: TestEvent["data"]): string => {
    if (file === undefined) return "";
    const source = places.of(file, line, column) ?? { path: relative(process.cwd(), file), line };
    return `${source.path}:${source.line}`;
  };
  for await (const { type, data } of events) {
    if (type === "test:stdout" || type === "test:stderr") output.push(data.message ?? "");
    if (type !== "test:pass" && type !== "test:fail") continue;
    if (data.nesting === 0 && data.file !== undefined)
      spentMs.set(data.file, (spentMs.get(data.file) ?? 0) + (data.details?.duration_ms ?? 0));
    if (data.file !== undefined) seen.add(moduleOf(data.file));
    const suite = data.details?.type === "suite";
    const marked =
      data.skip !== undefined && data.skip !== false ? "skipped" : data.todo !== undefined && data.todo !== false ? "to do" : undefined;
    if (marked !== undefined) {
      failed += 1;
      yield `✖ ${data.name}  (${placeOf(data)})\n  is ${marked}: it would pass whatever the code does\n\n`;
    } else if (type === "test:pass") {
      if (suite) continue;
      if (/\.test\.m?js$/.test(data.name ?? "") && data.nesting === 0) {
        failed += 1;
        yield `✖ ${data.name}\n  holds no test\n\n`;
      } else passed += 1;
    } else {
      // A suite or a test fails once more for each of its parts that failed: those were shown already.
      const failure = data.details?.error;
      if (failure?.failureType === "subtestsFailed") continue;
      failed += 1;
      const cause = failure?.cause ?? failure;
      const told = cause instanceof Error ? (cause.stack ?? cause.message) : inspect(cause);
      yield `✖ ${data.name}  (${placeOf(data)})\n${indent(places.inText(told))}\n\n`;
    }
  }
  for (const file of process.env["TEST_FILES_EXPECTED"]?.split(" ") ?? []) {
    if (file === "" || seen.has(moduleOf(file))) continue;
    failed += 1;
    yield `✖ ${file}\n  holds no test\n\n`;
  }
  if (failed > 0 && output.length > 0) yield `output of the tests:\n${output.join("").slice(-20_000)}\n`;
  const slow = [...spentMs].filter(([, ms]) => ms >= SLOW_MS).sort(([, a], [, b]) => b - a);
  if (slow.length > 0) {
    yield `note: slowest ${slow
      .slice(0, 5)
      .map(([file, ms]) => `${places.of(file, 1, 1)?.path ?? relative(process.cwd(), file)} ${(ms / 1000).toFixed(1)} s`)
      .join(", ")}\n`;
  }
  // node --test itself succeeds when all that is wrong is that tests were skipped or are missing.
  if (failed > 0 || passed === 0) process.exitCode = 1;
  yield `tests: ${passed} passed, ${failed} failed\n`;
}

/** The same for a source, what was compiled from it, and a path from anywhere: `dist/test/raft/core.test.js` is `test/raft/core.test`. */
function moduleOf(file: string): string {
  return relative(process.cwd(), resolve(file))
    .replace(/^dist\//, "")
    .replace(/\.m?[jt]s$/, "");
}

function indent(text: string): string {
  return text.replace(/^/gm, "  ");
}
