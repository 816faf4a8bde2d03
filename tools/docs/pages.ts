import { errors } from "../../src/base/errors.ts";
import { events } from "../../src/base/events.ts";
import { limits } from "../../src/base/limits.ts";
import { describeConfig } from "../../src/config/describe.ts";
import type { SourceFile } from "../checks/finding.ts";
import { cliPage, helpTexts } from "./cli-page.ts";
import { configurationPage } from "./configuration-page.ts";
import { descriptors } from "./descriptors.ts";
import { errorsPage } from "./errors-page.ts";
import { eventsPage } from "./events-page.ts";
import { limitsPage } from "./limits-page.ts";
import { metricsPage } from "./metrics-page.ts";
import { partitionerPage, partitionerVectors } from "./partitioner-page.ts";
import { citations, reliabilityPage } from "./reliability-page.ts";

/** Pages that are made from the code, as they should be now. `npm run docs` writes them, `npm run ok` compares them. */
export async function generatedPages(files: readonly SourceFile[]): Promise<readonly SourceFile[]> {
  const reliability = files.find((file) => file.path === "docs/reliability.md");
  return [
    { path: "proto/descriptors.txt", text: descriptors() },
    { path: "docs/errors.md", text: errorsPage(errors) },
    { path: "docs/events.md", text: eventsPage(events) },
    { path: "docs/metrics.md", text: metricsPage() },
    { path: "docs/cli.md", text: cliPage(await helpTexts()) },
    { path: "docs/configuration.md", text: configurationPage(describeConfig()) },
    { path: "docs/limits.md", text: limitsPage(limits, describeConfig()) },
    { path: "docs/partitioner.md", text: partitionerPage() },
    { path: "docs/partitioner.json", text: partitionerVectors() },
    ...(reliability === undefined ? [] : [{ path: reliability.path, text: reliabilityPage(reliability.text, citations(files)) }]),
  ];
}
