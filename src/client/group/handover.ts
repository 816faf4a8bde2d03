import type { ConsumedRecord } from "../consumer/consumed-record.ts";

/** Hands records from a handler to a loop, one at a time: a record is done with when the loop asks for the next one. */
export class Handover {
  #given: { readonly record: ConsumedRecord; readonly done: () => void; readonly left: (error: Error) => void } | undefined;
  #wake: (() => void) | undefined;
  #over = false;

  /** Resolves when the loop is done with it. */
  give(record: ConsumedRecord): Promise<void> {
    return new Promise((done, left) => {
      this.#given = { record, done, left };
      this.#wake?.();
    });
  }

  /** The next record; undefined when there will be none. */
  async take(): Promise<ConsumedRecord | undefined> {
    const before = this.#given;
    this.#given = undefined;
    before?.done();
    for (;;) {
      // Given meanwhile, by the handler.
      const given = this.#peek();
      if (given !== undefined) return given;
      if (this.#over) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }

  #peek(): ConsumedRecord | undefined {
    return this.#given?.record;
  }

  /** None will be given any more. */
  end(): void {
    this.#over = true;
    this.#wake?.();
  }

  /** The loop was left: the record it had is not done with. */
  leave(): void {
    this.#given?.left(new Error("The loop over the records was left"));
    this.#given = undefined;
  }
}
