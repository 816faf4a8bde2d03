import { MillraceError } from "../../base/errors.ts";
import type { Tenure } from "./tenure.ts";

interface Wait {
  open: readonly { readonly tenure: Tenure; readonly offset: number }[];
  readonly resolve: () => void;
  readonly reject: (error: MillraceError) => void;
}

/** Calls of the application that wait until their commit is taken, or never can be. */
export class CommitWaits {
  readonly #isOurs: (tenure: Tenure) => boolean;
  #waits: Wait[] = [];
  #lostBy: MillraceError | undefined;

  constructor(isOurs: (tenure: Tenure) => boolean) {
    this.#isOurs = isOurs;
  }

  /** Resolves once all is committed. @throws {MillraceError} when a partition was lost, or its commit refused */
  wait(open: Wait["open"]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waits.push({ open, resolve, reject });
    });
  }

  /** Commits that are not taken by now fail with this. */
  lost(error: MillraceError): void {
    this.#lostBy = error;
  }

  /** Something may have been committed, refused or lost. */
  look(): void {
    if (this.#waits.length === 0) return;
    this.#waits = this.#waits.filter((wait) => {
      wait.open = wait.open.filter(({ tenure, offset }) => tenure.committed < offset);
      const over = wait.open.find(({ tenure }) => tenure.frozen || !this.#isOurs(tenure));
      if (over !== undefined) wait.reject(this.#lostBy ?? gone(over.tenure));
      else if (wait.open.length === 0) wait.resolve();
      return over === undefined && wait.open.length > 0;
    });
  }

  end(error: MillraceError): void {
    for (const { reject } of this.#waits) reject(error);
    this.#waits = [];
  }
}

function gone({ topic, partition }: Tenure): MillraceError {
  return new MillraceError("PARTITION_NOT_OWNED", `Cannot commit ${topic}/${partition}: it is not in the hands of this member any more`, {
    topic,
    partition: String(partition),
  });
}
