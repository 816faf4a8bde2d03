import assert from "node:assert/strict";
import { posix } from "node:path";
import { describe, it } from "node:test";
import { readSources } from "../../../tools/checks/files.ts";
import { layerOf, rowOf } from "../../../tools/checks/layers.ts";
import { importsOf, tokenize } from "../../../tools/checks/tokens.ts";

const sources = new Map(readSources(process.cwd()).map((file) => [file.path, file]));

interface Graph {
  /** Paths below `src/`. */
  readonly modules: ReadonlySet<string>;
  readonly packages: ReadonlySet<string>;
}

/** What is loaded with a module: imports of types are no imports. */
function loadedWith(entry: string): Graph {
  const modules = new Set<string>();
  const packages = new Set<string>();
  const visit = (path: string): void => {
    if (modules.has(path)) return;
    modules.add(path);
    const file = sources.get(path);
    assert.ok(file !== undefined, path);
    for (const found of importsOf(tokenize(file.text))) {
      if (found.typeOnly) continue;
      if (found.from.startsWith(".")) visit(posix.normalize(posix.join(posix.dirname(path), found.from)));
      else packages.add(found.from);
    }
  };
  visit(entry);
  return { modules: new Set([...modules].map((path) => path.slice("src/".length))), packages };
}

const floorsOf = (graph: Graph): number[] => [...new Set([...graph.modules].map((path) => layerOf(path)?.floor ?? -1))].sort();

describe("The modules of a simulated cluster", () => {
  const kit = loadedWith("src/testing/kit/index.ts");
  const real = loadedWith("src/cli/run-broker.ts");
  const broker = loadedWith("src/broker/broker.ts");

  it("bring nothing but Node, the engine of topic patterns and the scopes of calls, and neither a test runner nor the checkers of histories", () => {
    assert.deepEqual([...kit.packages].sort(), ["node:async_hooks", "node:crypto", "node:zlib", "re2js"]);
    const checkers = [...kit.modules].filter((path) => path.startsWith("testing/checkers/"));
    assert.ok(checkers.length > 0);
    assert.ok(
      checkers.every((path) => path.startsWith("testing/checkers/raft/") || path === "testing/checkers/verdict.ts"),
      checkers.join(),
    );
  });

  it("hold the whole broker of `millrace broker`, of which only what stands behind the ports is another", () => {
    assert.deepEqual(floorsOf(broker), [0, 1, 2]);
    for (const path of broker.modules) assert.ok(kit.modules.has(path) && real.modules.has(path), path);
    const edgesOf = ({ modules }: Graph): string[] =>
      [...new Set([...modules].filter((path) => (layerOf(path)?.floor ?? 4) >= 3).map((path) => rowOf(path) ?? path))].sort();
    // Which topics a pattern matches is not the world's to say: the engine is pure, and the same in both.
    // Which call something was begun by is Node's to say, in both.
    assert.deepEqual(edgesOf(kit), ["host", "patterns", "testing"]);
    assert.deepEqual(
      [...kit.modules].filter((path) => path.startsWith("host/")),
      ["host/call-scope.ts"],
    );
    assert.deepEqual(edgesOf(real), [
      "checksum",
      "cli",
      "compression",
      "config",
      "disk",
      "grpc",
      "host",
      "patterns",
      "telemetry",
      "transport",
    ]);
  });
});
