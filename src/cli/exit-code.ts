/** Exit codes of every verb (design §10). */
export const ExitCode = { ok: 0, failure: 1, usage: 2, absent: 3 } as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** Ends the command with a code and one line on stderr. */
export class CommandFailed extends Error {
  override readonly name = "CommandFailed";
  readonly exitCode: ExitCode;
  constructor(exitCode: ExitCode, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** The command line is wrong: exit 2. */
export class UsageError extends CommandFailed {
  constructor(message: string) {
    super(ExitCode.usage, message);
  }
}
