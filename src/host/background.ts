import type { Background } from "../base/ports/background.ts";

/** One slice per turn of the event loop, so that reads, writes and timers run between them. */
export const nodeBackground: Background = {
  run: (slice) =>
    new Promise((resolve, reject) => {
      const turn = (): void => {
        try {
          if (slice()) resolve();
          else setImmediate(turn);
        } catch (error) {
          reject(error);
        }
      };
      setImmediate(turn);
    }),
};
