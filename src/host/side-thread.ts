import { Worker } from "node:worker_threads";
import type { SideThreads } from "../base/ports/side-thread.ts";

/** Threads of Node, each running `file` from its beginning. They end with this process, whatever they do. */
export function nodeSideThreads(file: URL): SideThreads {
  return {
    start(heard, died) {
      let open = true;
      const worker = new Worker(file);
      worker.on("message", (message: unknown) => {
        if (open) heard(message);
      });
      const end = (reason: string): void => {
        if (!open) return;
        open = false;
        died(reason);
      };
      worker.on("error", (error) => end(String(error)));
      worker.on("exit", (code) => end(`it exited with code ${code}`));
      return {
        post: (message) => worker.postMessage(message),
        close: () => {
          open = false;
          // Nobody waits for it; what it throws on its way out concerns nobody.
          worker.terminate().catch(() => undefined);
        },
      };
    },
  };
}
