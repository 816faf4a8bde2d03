import { gzipSync } from "node:zlib";
import type { Deflate } from "../../base/ports/deflate.ts";
import type { SimProcess } from "../sim/process.ts";

const DEFLATE_MS = 0.5;

/** Really deflates, after some virtual time. What zlib makes of it may differ from one version of Node to another, and so does the trace. */
export function simDeflate(process: SimProcess): Deflate {
  return {
    gzip: (bytes) => process.promise((resolve) => void process.after(DEFLATE_MS, "deflated", () => resolve(gzipSync(bytes)))),
  };
}
