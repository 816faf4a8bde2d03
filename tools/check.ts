import { checkBanned } from "./checks/banned.ts";
import { checkCycles } from "./checks/cycles.ts";
import { checkDependencies } from "./checks/dependencies.ts";
import { readSources } from "./checks/files.ts";
import { type Finding, show } from "./checks/finding.ts";
import { checkLayers } from "./checks/layers.ts";
import { checkRepo } from "./checks/repo.ts";
import { runSteps, type Step } from "./steps.ts";

/**
 * `npm run check`: everything about the code that can be said in a minute. `npm run check` compiles first, so types are checked
 * before this runs. It changes no tracked file.
 */
export const sources = readSources(process.cwd());
const code = sources.filter((file) => file.path.endsWith(".ts"));
export const lines = (findings: readonly Finding[]): readonly string[] => findings.map(show);

export const checkSteps: readonly Step[] = [
  {
    name: "format and lint",
    command: [
      "node",
      "node_modules/@biomejs/biome/bin/biome",
      "ci",
      "--colors=off",
      "--error-on-warnings",
      "--enforce-assist=false",
      "--max-diagnostics=50",
      ".",
    ],
  },
  { name: "layers", find: () => lines([...checkLayers(code), ...checkCycles(code)]) },
  { name: "banned calls", find: () => lines(checkBanned(code)) },
  { name: "repository", find: () => lines([...checkRepo(sources), ...checkDependencies(sources)]) },
];

const unitTests: Step = { name: "unit tests", command: ["node", "dist/tools/run-tests.js", "--unit"] };

if (process.argv[1]?.endsWith("/check.js") === true) process.exitCode = runSteps("check", [...checkSteps, unitTests]);
