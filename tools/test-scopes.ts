import hooks from "node:async_hooks";

/**
 * Preloaded into every test process. node:test follows every promise of a process to know which test an error nobody handled comes from,
 * by a hook that costs more than many a promise of ours: a fifth of the time of tests with whole brokers, 25 times that of a bare `await`.
 * Here it hears of its own scopes only, which is how `it` finds its `describe`. An error nobody handled still fails the run: it is said
 * to be of the file, and printed, since its stack says where it comes from.
 */
const { createHook, AsyncResource, executionAsyncId } = hooks;
let init: ((asyncId: number, type: string, triggerAsyncId: number, resource: object) => void) | undefined;

Object.assign(hooks, {
  createHook(callbacks: Parameters<typeof createHook>[0]) {
    if (!(new Error().stack ?? "").includes("node:internal/test_runner")) return createHook(callbacks);
    const hook = {
      enable() {
        init = callbacks.init;
        return hook;
      },
      disable() {
        init = undefined;
        return hook;
      },
    };
    return hook;
  },
  AsyncResource: class extends AsyncResource {
    constructor(type: string, options?: ConstructorParameters<typeof AsyncResource>[1]) {
      super(type, options);
      init?.(this.asyncId(), type, executionAsyncId(), this);
    }
  },
});

process.on("unhandledRejection", (reason) => {
  process.stderr.write(`nobody handled: ${reason instanceof Error ? reason.stack : String(reason)}\n`);
});
