import { writeFileSync } from "node:fs";
import { readSources } from "./checks/files.ts";
import { generatedPages } from "./docs/pages.ts";

/** `npm run docs`: writes the pages that are made from the code. */
const sources = readSources(process.cwd());
for (const { path, text } of await generatedPages(sources)) {
  const changed = sources.find((file) => file.path === path)?.text !== text;
  if (changed) writeFileSync(path, text);
  console.log(`${changed ? "written" : "as it was"}  ${path}`);
}
