import { checkSteps } from "./check.ts";
import { runSteps, type Step } from "./steps.ts";

/** `npm run ok`: whether a change is sound, said by one command that changes no tracked file. */
const steps: readonly Step[] = [
  ...checkSteps,
  { name: "buf lint", command: ["node_modules/.bin/buf", "lint", "proto"] },
  { name: "tests", command: ["node", "dist/tools/run-tests.js", "--all"] },
];

process.exitCode = runSteps("ok", steps);
