import { AsyncLocalStorage } from "node:async_hooks";
import type { CallScope } from "../base/ports/call-scope.ts";

/** Scopes of Node, which follow promises, timers and whatever else is begun inside. */
export function nodeCallScope(): CallScope {
  const storage = new AsyncLocalStorage<{ over: boolean }>();
  return {
    run(work) {
      const call = { over: false };
      const end = (): void => {
        // A timer that was armed inside may fire when this is long over.
        call.over = true;
      };
      let result: ReturnType<typeof work>;
      try {
        result = storage.run(call, work);
      } catch (error) {
        end();
        throw error;
      }
      if (result instanceof Promise) result.then(end, end);
      else end();
      return result;
    },
    isInside: () => storage.getStore()?.over === false,
  };
}
