import type { CallContext, RpcMethod, RpcServer, UnaryHandler } from "../../../src/base/ports/rpc-server.ts";

/** A caller that the test speaks for. */
export interface CallFake extends CallContext {
  /** The caller goes away. */
  cancel(): void;
}

export function fakeCall(unsentBytes = 0): CallFake {
  const runs = new Set<() => void>();
  let cancelled = false;
  return {
    deadline: undefined,
    peer: "test",
    principal: "anonymous",
    unsentBytes,
    get cancelled() {
      return cancelled;
    },
    onCancel: (run) => {
      runs.add(run);
      return () => void runs.delete(run);
    },
    cancel: () => {
      cancelled = true;
      for (const run of [...runs]) run();
      runs.clear();
    },
  };
}

/** An `RpcServer` that only remembers its methods. */
export class ServerFake implements RpcServer {
  unsentBytes = 0;
  readonly methods = new Map<string, RpcMethod>();

  register(path: string, method: RpcMethod): void {
    this.methods.set(path, method);
  }
  unary(path: string): UnaryHandler {
    const method = this.methods.get(path);
    if (method?.kind !== "unary") throw new Error(`${path} is no unary method`);
    return method.handle;
  }
  setServing(): void {}
  async listen(address: string): Promise<string> {
    return address;
  }
  async close(): Promise<void> {}
}
