import type { MillraceError } from "../../base/errors.ts";
import type { GroupPartition, Tenure } from "./tenure.ts";

/** A position to commit: everything below `offset` is done with. */
export interface GroupPosition extends GroupPartition {
  readonly offset: number;
  /** Of the record before it; undefined: not known. */
  readonly term: number | undefined;
}

/** How the coordinator answered a commit. */
export type CommitOutcome =
  /** Those named were refused, the others are committed. */
  | { readonly kind: "taken"; readonly refused: readonly { readonly at: number; readonly error: MillraceError }[] }
  /** Nothing was committed. */
  | { readonly kind: "refused"; readonly error: MillraceError }
  /** Nobody knows; the same offsets may be sent again. */
  | { readonly kind: "unknown"; readonly error: MillraceError };

/** What the core of a group consumer is told. Whatever names a life or tenure that is over changes nothing. */
export type GroupInput =
  /** Begin, or begin anew after everything was lost. */
  | { readonly kind: "join" }
  /** The coordinator told this member its epoch and, unless it is undefined, all that it is to hold. */
  | {
      readonly kind: "heard";
      readonly life: number;
      readonly memberEpoch: number;
      readonly assignment: readonly GroupPartition[] | undefined;
    }
  /** The coordinator does not take this member, or not any more. */
  | { readonly kind: "refused"; readonly life: number; readonly error: MillraceError }
  | {
      readonly kind: "located";
      readonly tenure: number;
      readonly offset: number;
      /** Of the record before it; undefined: not known. */
      readonly term: number | undefined;
      /** The group has committed it; otherwise it is where the options say. */
      readonly committed: boolean;
      /** Commit the place itself. */
      readonly keep: boolean;
    }
  /** Nothing is being handled, and it goes on at another place: the log does not hold its own any more. */
  | { readonly kind: "moved"; readonly tenure: number; readonly offset: number; readonly term: number | undefined }
  /** A handler begins. */
  | { readonly kind: "took"; readonly tenure: number }
  /** What is handled from the record at `offset` on is of `term`. */
  | { readonly kind: "entered"; readonly tenure: number; readonly offset: number; readonly term: number }
  /** The record at `offset` is done with. */
  | { readonly kind: "processed"; readonly tenure: number; readonly offset: number }
  /** No handler is at work on it any more. */
  | { readonly kind: "idle"; readonly tenure: number }
  /** The application knows that it gives these back. */
  | { readonly kind: "told"; readonly tenures: readonly number[] }
  /** The application wants this committed (manual mode). */
  | { readonly kind: "want"; readonly tenure: number; readonly offset: number }
  | { readonly kind: "commitDue" }
  | { readonly kind: "commitAnswered"; readonly id: number; readonly outcome: CommitOutcome }
  /** Its handler does not come back. */
  | { readonly kind: "giveUp"; readonly tenure: number; readonly error: MillraceError }
  /** Finish what was begun, commit, leave. */
  | { readonly kind: "close" }
  /** Leave now, whatever was begun. */
  | { readonly kind: "abandon" };

/** What is to be done, in this order. */
export type GroupEffect =
  /** Say to the coordinator who this is and what it holds; epoch 0 joins. Takes the place of whatever was to be said before. */
  | { readonly kind: "beat"; readonly life: number; readonly memberEpoch: number; readonly owned: readonly GroupPartition[] }
  /** @property forGood a static member, too, must not get back what it has */
  | { readonly kind: "leave"; readonly life: number; readonly forGood: boolean }
  /** Tell the application, then find out where these begin (`located`). */
  | { readonly kind: "assigned"; readonly tenures: readonly Tenure[] }
  /** Fetch from `offset`, if the record before it is of `term` as far as that is known, and begin with handlers. */
  | { readonly kind: "begin"; readonly tenure: Tenure; readonly offset: number; readonly term: number | undefined }
  /** Abort its signal, begin nothing new, stop to fetch. */
  | {
      readonly kind: "halt";
      readonly tenure: Tenure;
      readonly cause: "revoked" | "lost" | "closed";
      readonly error: MillraceError | undefined;
    }
  /** Tell the application that these are given back (`told`). */
  | { readonly kind: "revoked"; readonly tenures: readonly Tenure[] }
  /** Tell the application that these are gone. */
  | { readonly kind: "lost"; readonly tenures: readonly Tenure[]; readonly error: MillraceError }
  /** The life is over: `join`. */
  | { readonly kind: "again" }
  /** The life is over, and another one would be refused too. */
  | { readonly kind: "failed"; readonly error: MillraceError }
  | { readonly kind: "commit"; readonly id: number; readonly memberEpoch: number; readonly positions: readonly GroupPosition[] }
  /** These were processed, and the group will not have it: others process them again. */
  | { readonly kind: "commitRefused"; readonly error: MillraceError; readonly positions: readonly GroupPosition[] }
  /** Everything is given back: `join`, as another member. */
  | { readonly kind: "begins" }
  /** Everything is given back and the coordinator was told. */
  | { readonly kind: "left" };
