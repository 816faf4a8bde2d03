import type { CallScope } from "../../base/ports/call-scope.ts";
import type { Telemetry } from "../../base/ports/telemetry.ts";

/** Tells the application what becomes of its partitions: one thing after the other, in order, and the next when a callback's promise is there. */
export class Callbacks {
  readonly #group: string;
  readonly #telemetry: Telemetry;
  readonly #scope: CallScope | undefined;
  #telling: Promise<void> = Promise.resolve();

  /** @param scope what callbacks do is inside of it */
  constructor(group: string, telemetry: Telemetry, scope: CallScope | undefined) {
    this.#group = group;
    this.#telemetry = telemetry;
    this.#scope = scope;
  }

  /** Resolves when everything was told that was to be told by now. */
  get told(): Promise<void> {
    return this.#telling;
  }

  /** What `say` throws is logged under the name of `callback`, and changes nothing; `then` follows all the same. */
  tell(callback: string, say: () => unknown, then: () => void = () => undefined): void {
    this.#telling = this.#telling.then(async () => {
      try {
        await (this.#scope === undefined ? say() : this.#scope.run(async () => say()));
      } catch (error) {
        this.#telemetry.log("error", "consumer.callback_failed", { group: this.#group, callback, reason: String(error) });
      }
      then();
    });
  }

  /** Calls `then` once everything was told that is to be told before it. */
  after(then: () => void): void {
    this.#telling = this.#telling.then(then);
  }
}
