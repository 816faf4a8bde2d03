import { MillraceError } from "../base/errors.ts";
import { backoffMs } from "./backoff.ts";
import type { Brokers } from "./brokers.ts";
import { asMillraceError } from "./errors.ts";
import type { ClientPorts } from "./ports.ts";

/** One attempt is given up after so long, so that a hung broker does not use up the whole call. */
const ATTEMPT_MS = 5_000;

export interface UnaryOptions {
  /** For all attempts together. */
  readonly timeoutMs: number;
  /** Reads and other calls that may be made twice: an unknown outcome is tried again too. */
  readonly repeatable: boolean;
  /** Where to try first. */
  readonly address?: string | undefined;
  /**
   * Give up after so many milliseconds when every attempt was refused before it left, at every address the client knows: for a
   * person at a terminal, who would rather hear that no cluster runs there. Absent: only `timeoutMs` counts.
   */
  readonly reachMs?: number | undefined;
  /** Milliseconds the broker itself may take (long polls), on top of an attempt. */
  readonly extraMs?: number;
}

/** Unary calls to whichever broker answers. */
export class Calls {
  readonly #brokers: Brokers;
  readonly #ports: ClientPorts;

  constructor(brokers: Brokers, ports: ClientPorts) {
    this.#brokers = brokers;
    this.#ports = ports;
  }

  /**
   * Calls one broker after the other until one answers, on the rule of the error table.
   *
   * @throws {MillraceError} what the broker refused with; or, once the time is over, the last failure
   */
  async unary(path: string, request: Uint8Array, options: UnaryOptions): Promise<Uint8Array> {
    const { clock, random, telemetry } = this.#ports;
    const start = clock.monotonic();
    const deadline = start + options.timeoutMs;
    const unreached = new Unreached();
    let address = options.address ?? this.#brokers.pick();
    for (let failures = 1; ; failures++) {
      const left = deadline - clock.monotonic();
      let error: MillraceError;
      try {
        const timeoutMs = Math.max(1, Math.min(left, ATTEMPT_MS + (options.extraMs ?? 0)));
        const reply = await this.#brokers.channel(address).unary(path, request, { timeoutMs });
        this.#brokers.answered(address);
        return reply;
      } catch (thrown) {
        error = asMillraceError(thrown, address);
        // Our own error came from a live broker; it is a bad one to ask only when it says so.
        if (error !== thrown || error.status === "UNAVAILABLE") this.#brokers.failed(address);
        unreached.note(address, error);
      }
      if (!(error.outcomeKnown ? error.retriable : options.repeatable && error.retriable)) throw error;
      const next = error.metadata["leader_address"] ?? this.#brokers.pick(address);
      // Another broker that is not known to be down is asked at once, the first time round.
      const pause =
        failures < this.#brokers.addresses.length && !this.#brokers.isAvoided(next) ? 0 : backoffMs(failures, random, error.retryAfterMs);
      const nobody = unreached.isAll(this.#brokers.addresses);
      const end = nobody && options.reachMs !== undefined ? Math.min(deadline, start + options.reachMs) : deadline;
      if (clock.monotonic() + pause >= end) throw nobody ? unreached.error() : error;
      telemetry.log("debug", "client.call_repeated", { path, address, code: error.code, failures });
      if (pause > 0) await new Promise<void>((resolve) => clock.after(pause, resolve));
      address = next === "" ? this.#brokers.pick(address) : next;
    }
  }
}

/** The addresses one call could not reach, as long as that is all that happened to it. */
class Unreached {
  readonly #failures = new Map<string, MillraceError>();
  #only = true;

  note(address: string, error: MillraceError): void {
    if (error.code === "BROKERS_UNREACHABLE") this.#failures.set(address, error);
    else this.#only = false;
  }

  /** Whether every attempt failed before it left, and every one of `addresses` was tried. */
  isAll(addresses: readonly string[]): boolean {
    return this.#only && addresses.every((address) => this.#failures.has(address));
  }

  /** The failures as one that names every address. Only when there are some. */
  error(): MillraceError {
    const [first] = this.#failures.values();
    if (this.#failures.size === 1 && first !== undefined) return first;
    const addresses = [...this.#failures.keys()].sort();
    const reasons = addresses.map((address) => this.#failures.get(address)?.message.replace("Cannot reach ", ""));
    return new MillraceError("BROKERS_UNREACHABLE", `Cannot reach any broker: ${reasons.join("; ")}`, { addresses: addresses.join(",") });
  }
}
