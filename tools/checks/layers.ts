import { posix } from "node:path";
import type { Finding, SourceFile } from "./finding.ts";
import { importsOf, tokenize } from "./tokens.ts";

/**
 * The layers of design §3 as data. A folder of `src/` names the folders it may import besides itself, and the outside packages
 * that enter through it; a nested folder (`log/model`) has its own row, the longest row that matches a path is its row.
 */
export interface Layer {
  readonly floor: 0 | 1 | 2 | 3 | 4;
  /** Rows it may import; `*` = all of `src/`. */
  readonly imports: readonly string[];
  /** Packages by name; `node:*` = every module of Node. */
  readonly packages: readonly string[];
}

const PURE = ["base", "records", "protocol", "raft", "log/model", "cluster", "consumer-groups"] as const;

export const layers: Readonly<Record<string, Layer>> = {
  base: { floor: 0, imports: ["base/ports"], packages: [] },
  "base/ports": { floor: 0, imports: ["base"], packages: [] },

  records: { floor: 1, imports: ["base"], packages: [] },
  raft: { floor: 1, imports: ["base", "records"], packages: [] },
  "log/model": { floor: 1, imports: ["base", "records"], packages: [] },
  protocol: { floor: 1, imports: ["base", "records", "raft"], packages: [] },
  cluster: { floor: 1, imports: ["base", "records", "protocol", "raft"], packages: [] },
  "consumer-groups": { floor: 1, imports: ["base", "records", "protocol"], packages: [] },

  log: { floor: 2, imports: [...PURE, "base/ports"], packages: [] },
  broker: { floor: 2, imports: [...PURE, "base/ports", "log"], packages: [] },
  client: { floor: 2, imports: [...PURE, "base/ports"], packages: [] },

  disk: { floor: 3, imports: [...PURE, "base/ports"], packages: ["node:*"] },
  transport: { floor: 3, imports: [...PURE, "base/ports"], packages: ["node:*"] },
  host: { floor: 3, imports: [...PURE, "base/ports"], packages: ["node:*"] },
  grpc: {
    floor: 3,
    imports: [...PURE, "base/ports"],
    packages: ["node:*", "@grpc/grpc-js", "@grpc/proto-loader", "@grpc/reflection", "grpc-health-check", "protobufjs"],
  },
  telemetry: { floor: 3, imports: [...PURE, "base/ports"], packages: ["node:*", "pino", "prom-client"] },
  compression: { floor: 3, imports: [...PURE, "base/ports"], packages: ["node:*"] },
  checksum: { floor: 3, imports: [...PURE, "base/ports"], packages: ["@node-rs/crc32"] },
  patterns: { floor: 3, imports: [...PURE, "base/ports"], packages: ["re2js"] },
  config: { floor: 3, imports: [...PURE, "base/ports"], packages: ["node:*", "zod", "yaml"] },
  security: { floor: 3, imports: [...PURE, "base/ports"], packages: ["node:*"] },

  cli: { floor: 4, imports: ["*"], packages: ["node:*", "yargs"] },
  testing: { floor: 4, imports: ["*"], packages: ["node:*", "fast-check"] },
  "main.ts": { floor: 4, imports: ["*"], packages: ["node:*"] },
  "client-entry.ts": { floor: 4, imports: ["*"], packages: ["node:*"] },
  "client-worker.ts": { floor: 4, imports: ["*"], packages: ["node:*"] },
};

/** Row of a path below `src/`, or undefined when no row covers it. */
export function rowOf(path: string): string | undefined {
  for (let folder = path; folder !== "." && folder !== ""; folder = posix.dirname(folder)) if (Object.hasOwn(layers, folder)) return folder;
  return undefined;
}

export function layerOf(path: string): Layer | undefined {
  const row = rowOf(path);
  return row === undefined ? undefined : layers[row];
}

/** `@a/b/c.js` → `@a/b`. */
export function packageOf(specifier: string): string {
  return specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
}

/** Refuses imports that point up or sideways, packages outside their folder, and folders nobody placed on a floor. */
export function checkLayers(files: readonly SourceFile[]): Finding[] {
  const findings: Finding[] = [];
  for (const file of files) {
    if (!file.path.startsWith("src/")) continue;
    const path = file.path.slice("src/".length);
    const row = rowOf(path);
    const layer = layerOf(path);
    if (row === undefined || layer === undefined) {
      findings.push({ file: file.path, line: 0, rule: "layers/unknown-folder", message: "has no row in tools/checks/layers.ts" });
      continue;
    }
    for (const found of importsOf(tokenize(file.text))) {
      const report = (rule: string, message: string): void => {
        findings.push({ file: file.path, line: found.line, rule, message });
      };
      if (!found.from.startsWith(".")) {
        const name = packageOf(found.from);
        const allowed = layer.packages.includes(name) || (name.startsWith("node:") && layer.packages.includes("node:*"));
        if (!allowed) report("layers/package", `${row} (floor ${layer.floor}) may not use "${name}"`);
        continue;
      }
      const target = posix.normalize(posix.join(posix.dirname(file.path), found.from));
      if (!target.startsWith("src/")) {
        if (!target.endsWith("package.json")) report("layers/outside", `"${found.from}" leaves src/`);
        continue;
      }
      const targetRow = rowOf(target.slice("src/".length));
      if (targetRow === undefined) report("layers/unknown-folder", `"${found.from}" has no row in tools/checks/layers.ts`);
      else if (targetRow !== row && !layer.imports.includes("*") && !layer.imports.includes(targetRow)) {
        report(
          "layers/direction",
          `${row} (floor ${layer.floor}) may not import ${targetRow} (floor ${layers[targetRow]?.floor}): "${found.from}"`,
        );
      }
    }
  }
  return findings;
}
