import type { Background } from "../../base/ports/background.ts";
import type { SimProcess } from "./process.ts";

/** One slice per event, so that everything else runs between them. */
export function simBackground(process: SimProcess): Background {
  return {
    run: (slice) =>
      process.promise((resolve, reject) => {
        const turn = () => {
          try {
            if (slice()) resolve();
            else process.soon("background", turn);
          } catch (error) {
            reject(error as Error);
          }
        };
        process.soon("background", turn);
      }),
  };
}
