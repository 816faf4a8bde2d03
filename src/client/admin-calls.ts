import { MillraceError } from "../base/errors.ts";
import type { Calls } from "./calls.ts";

/** For one admin call, over all brokers. */
const TIMEOUT_MS = 30_000;

export interface AdminOptions {
  /** Default 30 s. */
  readonly timeoutMs?: number;
  /** Give up after so long when every address known refuses the connection. Default: `timeoutMs`. */
  readonly reachMs?: number;
}

/** Calls of operators: what reads is repeated at another broker, what changes only where nothing can have happened. */
export class AdminCalls {
  readonly #calls: Calls;
  readonly #timeoutMs: number;
  readonly #reachMs: number | undefined;

  /** @param defaults for calls that do not say @throws {MillraceError} INVALID_REQUEST */
  constructor(calls: Calls, defaults: AdminOptions) {
    this.#calls = calls;
    this.#timeoutMs = timeoutOf(defaults.timeoutMs ?? TIMEOUT_MS);
    this.#reachMs = defaults.reachMs;
  }

  /** @throws {MillraceError} INVALID_REQUEST */
  limits({ timeoutMs = this.#timeoutMs, reachMs = this.#reachMs }: AdminOptions): {
    readonly timeoutMs: number;
    readonly reachMs: number | undefined;
  } {
    return { timeoutMs: timeoutOf(timeoutMs), reachMs };
  }

  read(path: string, request: Uint8Array, options: AdminOptions): Promise<Uint8Array> {
    return this.#calls.unary(path, request, { ...this.limits(options), repeatable: true });
  }

  change(path: string, request: Uint8Array, options: AdminOptions): Promise<Uint8Array> {
    return this.#calls.unary(path, request, { ...this.limits(options), repeatable: false });
  }
}

function timeoutOf(timeoutMs: number): number {
  if (timeoutMs > 0) return timeoutMs;
  throw new MillraceError("INVALID_REQUEST", `timeoutMs must be above 0: got ${timeoutMs}`, { field: "timeoutMs" });
}
