import { MillraceError } from "../../base/errors.ts";
import type { Tenure } from "./tenure.ts";

interface Wanted {
  readonly tenure: Tenure;
  readonly offset: number;
}

interface Open extends Wanted {
  /** What an earlier commit was refused with says nothing of this one. */
  readonly former: MillraceError | undefined;
}

interface Wait {
  open: readonly Open[];
  readonly resolve: () => void;
  readonly reject: (error: MillraceError) => void;
}

/** Calls of the application that wait until their commit is taken, or never can be. */
export class CommitWaits {
  readonly #isOurs: (tenure: Tenure) => boolean;
  #waits: Wait[] = [];

  constructor(isOurs: (tenure: Tenure) => boolean) {
    this.#isOurs = isOurs;
  }

  /** Resolves once all is committed. @throws {MillraceError} when a partition was lost, or its commit refused */
  wait(wanted: readonly Wanted[]): Promise<void> {
    const open = wanted.map(({ tenure, offset }) => ({ tenure, offset, former: tenure.refusal(offset) }));
    return new Promise((resolve, reject) => {
      this.#waits.push({ open, resolve, reject });
    });
  }

  /** Something may have been committed, refused or lost. */
  look(): void {
    if (this.#waits.length === 0) return;
    this.#waits = this.#waits.filter((wait) => {
      wait.open = wait.open.filter(({ tenure, offset }) => tenure.committed < offset);
      const [why] = wait.open.flatMap((open) => this.#failure(open) ?? []);
      if (why !== undefined) wait.reject(why);
      else if (wait.open.length === 0) wait.resolve();
      return why === undefined && wait.open.length > 0;
    });
  }

  /** Why it will not be committed, or was not when that was tried. */
  #failure({ tenure, offset, former }: Open): MillraceError | undefined {
    if (tenure.frozen !== undefined) return tenure.frozen;
    if (!this.#isOurs(tenure)) return tenure.lostBy ?? gone(tenure);
    const refusal = tenure.refusal(offset);
    return refusal === former ? undefined : refusal;
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
