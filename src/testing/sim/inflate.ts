import { gunzipSync } from "node:zlib";
import type { Inflate } from "../../base/ports/inflate.ts";
import type { SimProcess } from "./process.ts";

const INFLATE_MS = 0.5;

/** Really inflates, after some virtual time; what zlib makes of it never enters the trace. */
export function simInflate(process: SimProcess): Inflate {
  return {
    gunzip: (bytes, limitBytes) =>
      process.promise((resolve) => {
        process.after(INFLATE_MS, "inflated", () => {
          try {
            resolve({ bytes: gunzipSync(bytes, { maxOutputLength: limitBytes }) });
          } catch (error) {
            const tooLarge = error instanceof Error && "code" in error && error.code === "ERR_BUFFER_TOO_LARGE";
            resolve({ failed: tooLarge ? "TOO_LARGE" : "MALFORMED" });
          }
        });
      }),
  };
}
