import { type ErrorCode, MillraceError } from "../base/errors.ts";
import { DiskError } from "../base/ports/disk.ts";
import { ListenError } from "../base/ports/listen-error.ts";
import { ConfigError } from "../config/config-error.ts";
import { BadDataDirectory } from "../log/meta.ts";
import { DamagedLog } from "../log/types.ts";
import { CommandFailed, ExitCode } from "./exit-code.ts";

/** What to do about an error, for those where a sentence helps at a terminal. */
const advice: Partial<Record<ErrorCode, string>> = {
  BROKERS_UNREACHABLE:
    "start a cluster on this machine with `npm start`, or name the brokers of one with --brokers HOST:PORT,… or MILLRACE_BROKERS",
  UNKNOWN_TOPIC: "`millrace topic list` shows those there are, `millrace topic create NAME` makes one",
  TOPIC_EXISTS: "`millrace topic describe NAME` shows it",
  NOT_ENOUGH_REPLICAS: "`millrace cluster health` says which brokers are missing; --acks quorum goes on without them",
  RECORD_SET_TOO_LARGE: "`millrace topic alter TOPIC --config max.message.bytes=BYTES` raises the limit of a topic, up to 3145728",
  INSUFFICIENT_BROKERS: "start more brokers, or ask for fewer --replicas",
  OFFSET_OUT_OF_RANGE: "name an offset in the range, `start` or `end`; -p names one partition",
  LOG_TRUNCATED:
    "read again from `diverging_offset`, or from where the log begins; for a group, `millrace group seek` while its members are stopped",
  METADATA_OUTCOME_UNKNOWN: "look with `describe` whether it took effect before you try again",
  UNKNOWN_GROUP: "`millrace group list` shows those there are",
  GROUP_NOT_EMPTY: "stop its members first; `group seek --force` removes them",
  NO_COMMITTED_OFFSETS: "`millrace group describe NAME` shows what it has committed",
  CONNECTION_LOST: "the outcome is unknown; look before you try again",
};

/** What to do about it, if there is a sentence for that. */
export function adviceOn(error: MillraceError): string | undefined {
  return advice[error.code];
}

const absent: ReadonlySet<ErrorCode> = new Set(["UNKNOWN_TOPIC", "UNKNOWN_PARTITION", "UNKNOWN_BROKER", "UNKNOWN_GROUP"]);

/** One line for stderr, and the exit code. */
export function describeError(error: unknown): { readonly line: string; readonly exitCode: ExitCode } {
  if (error instanceof CommandFailed) return { line: error.message, exitCode: error.exitCode };
  if (error instanceof ConfigError) return { line: error.message, exitCode: ExitCode.usage };
  if (error instanceof MillraceError) {
    const hint = adviceOn(error);
    const line = `${error.code}: ${error.message}${hint === undefined ? "" : ` (${hint})`}`;
    return { line, exitCode: absent.has(error.code) ? ExitCode.absent : ExitCode.failure };
  }
  // Their messages say what is wrong and what to do.
  const said = [DiskError, ListenError, DamagedLog, BadDataDirectory].some((kind) => error instanceof kind);
  if (said && error instanceof Error) {
    return { line: error.message, exitCode: ExitCode.failure };
  }
  // What the system refused, such as a folder that is a file or may not be written: it names the path, and a stack says no more.
  if (error instanceof Error && "syscall" in error && "code" in error) return { line: error.message, exitCode: ExitCode.failure };
  return { line: error instanceof Error ? (error.stack ?? error.message) : String(error), exitCode: ExitCode.failure };
}
