import { checkSteps, lines, sources } from "./check.ts";
import { unusedDependencies } from "./checks/dependencies.ts";
import { checkGenerated, checkLinks, checkStatus, longFiles } from "./checks/docs.ts";
import { listFiles } from "./checks/files.ts";
import { generatedPages } from "./docs/pages.ts";
import { checkReliability, citations, uncovered } from "./docs/reliability-page.ts";
import { breaksOf } from "./protos.ts";
import { runSteps, type Step } from "./steps.ts";

/** `npm run ok`: whether a change is sound, said by one command that changes no tracked file. */
const page = (path: string) => sources.find((file) => file.path === path) ?? { path, text: "" };
const reliability = page("docs/reliability.md");
const generated = await generatedPages(sources);

const docsSteps: readonly Step[] = [
  { name: "docs: links", find: () => lines(checkLinks(sources, listFiles(process.cwd()))) },
  { name: "docs: status", find: () => lines(checkStatus(page("docs/status.md"))) },
  { name: "docs: reliability", find: () => lines(checkReliability(reliability.text, citations(sources))) },
  { name: "docs: generated", find: () => lines(generated.flatMap(({ path, text }) => checkGenerated(path, text, sources))) },
];

const steps: readonly Step[] = [
  ...checkSteps,
  { name: "buf lint", command: ["node_modules/.bin/buf", "lint", "proto"] },
  { name: "buf breaking", find: () => breaksOf("proto") },
  ...docsSteps,
  { name: "tests and 1,000 seeds", command: ["node", "dist/tools/test.js"] },
  // Last: its pages start clusters, and nothing else may be measured beside them.
  { name: "docs: commands", command: ["node", "dist/tools/docs-run.js"] },
];

process.exitCode = runSteps("ok", steps, () => {
  const open = uncovered(reliability.text);
  const unused = unusedDependencies(sources);
  return [
    ...longFiles(sources),
    ...(unused.length > 0 ? [`package.json asks for ${unused.join(", ")}, which nothing in src/ names`] : []),
    ...(open.length > 0 ? [`docs/reliability.md: no test cites ${open.join(", ")}`] : []),
  ];
});
