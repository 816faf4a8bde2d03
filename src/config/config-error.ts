/** One thing that is wrong with a configuration, and where it was said. */
export interface ConfigProblem {
  /** As written by the operator. */
  readonly key: string;
  /** "flag", "environment", "file broker.yaml line 3"; undefined when several values are at fault together. */
  readonly source: string | undefined;
  /** What is wrong, and what would be right. */
  readonly message: string;
  /** The known key nearest to an unknown one. */
  readonly nearest?: string;
}

/** The configuration is refused as a whole; nothing was started. Every problem is named, not only the first. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly problems: readonly ConfigProblem[];
  constructor(problems: readonly ConfigProblem[]) {
    super(problems.map(describe).join("\n"));
    this.problems = problems;
  }
}

function describe({ key, source, message }: ConfigProblem): string {
  return source === undefined ? `${key}: ${message}` : `${key} (${source}): ${message}`;
}
