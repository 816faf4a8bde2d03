import type { LogIndex, Term } from "../../base/ids.ts";
import { invariant } from "../../base/invariant.ts";
import type { LogStart } from "./records.ts";
import type { StartPoint } from "./segment-files.ts";

/** Where a log is to begin, and what the part before it left behind: what stands at the head of its first segment, and a time. */
export interface InstallPoint extends Pick<StartPoint, "start" | "terms" | "config" | "producers"> {
  /** No frame behind the start was appended earlier, ms since 1970. */
  readonly appendTime: number;
}

/** `older`: committed here already. `kept`: this log leads through the start, all of it stays. `installed`: the log begins there. */
export type InstallOutcome = "older" | "kept" | "installed";

/** What a log knows of itself when it is told to begin elsewhere. */
export interface InstallTarget {
  readonly committed: LogIndex;
  readonly lastIndex: LogIndex;
  /** Undefined below the start of the log, and above its end. */
  termAt(index: LogIndex): Term | undefined;
}

/**
 * What an install does to a log (Raft §7, InstallSnapshot rules 5 to 7). The entry at `start` is committed. Below the commit index both
 * logs are equal, so nothing is to be done; with an equal entry there the log goes on like the leader's and its suffix may be committed
 * because it is on this disk (ADR 0001); with another entry there, or none, nothing above it can be committed.
 *
 * @throws {InvariantViolated} a committed entry here is another one there: one of the two is wrong, and no one can say which
 */
export function judgeInstall(log: InstallTarget, start: LogStart): InstallOutcome {
  const term = log.termAt(start.index);
  if (start.index <= log.committed) {
    invariant(
      term === undefined || term === start.term,
      () => `committed entry ${start.index} has term ${term} here, and ${start.term} where the log is to begin`,
    );
    return "older";
  }
  return term === start.term ? "kept" : "installed";
}
