import { writeFileSync } from "node:fs";
import { breaksOf, imageOf, LANDED } from "./protos.ts";

/** `npm run land-protos`: what the proto files say now is what later ones must not break. Refuses when they break what landed before. */
const breaks = breaksOf("proto");
for (const line of breaks) console.error(line);
if (breaks.length === 0) writeFileSync(LANDED, imageOf("proto"));
process.exitCode = breaks.length === 0 ? 0 : 1;
