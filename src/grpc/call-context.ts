import type { ServerUnaryCall } from "@grpc/grpc-js";
import type { Clock } from "../base/ports/clock.ts";
import type { CallContext } from "../base/ports/rpc-server.ts";
import type { UnsentBytes } from "./unsent-bytes.ts";

/** What grpc-js offers on calls of every kind. */
export type SurfaceCall = Pick<ServerUnaryCall<Buffer, Uint8Array>, "getDeadline" | "getPeer" | "metadata">;

/** What a handler knows of its call. Life: made by the adapter, `finish`ed by an answer or `cancel`led by grpc-js, whichever is first. */
export class GrpcCallContext implements CallContext {
  readonly deadline: number | undefined;
  readonly peer: string;
  readonly principal = "anonymous";
  /** Of this call. */
  readonly unsent: UnsentBytes;
  readonly #connection: UnsentBytes;
  #state: "open" | "finished" | "cancelled" = "open";
  readonly #onCancel = new Set<() => void>();
  /** Hears that the call was answered: from now on it only waits for its caller. */
  onFinish: () => void = () => {};

  constructor(call: SurfaceCall, clock: Clock, unsent: { readonly call: UnsentBytes; readonly connection: UnsentBytes }) {
    this.unsent = unsent.call;
    this.#connection = unsent.connection;
    const deadline = call.getDeadline();
    const wall = typeof deadline === "number" ? deadline : deadline.getTime();
    this.deadline = Number.isFinite(wall) ? clock.monotonic() + (wall - Date.now()) : undefined;
    this.peer = call.getPeer();
  }

  get cancelled(): boolean {
    return this.#state === "cancelled";
  }

  get unsentBytes(): number {
    return this.#connection.bytes;
  }

  get finished(): boolean {
    return this.#state === "finished";
  }

  onCancel(run: () => void): () => void {
    if (this.#state === "cancelled") run();
    else if (this.#state === "open") this.#onCancel.add(run);
    return () => void this.#onCancel.delete(run);
  }

  /** Answered: what happens to the connection from now on is no cancellation. */
  finish(): void {
    this.#onCancel.clear();
    if (this.#state !== "open") return;
    this.#state = "finished";
    this.onFinish();
  }

  cancel(): void {
    if (this.#state !== "open") return;
    this.#state = "cancelled";
    const runs = [...this.#onCancel];
    this.#onCancel.clear();
    for (const run of runs) run();
  }
}
