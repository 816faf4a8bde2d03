import { type ErrorCode, type ErrorMetadata, errors, MillraceError } from "../../base/errors.ts";
import type { GroupPartition } from "./tenure.ts";

/** What a keeper needs to know once. Plain data: it may live on another thread. */
export interface KeeperSpec {
  /** "host:port" of some brokers. */
  readonly brokers: readonly string[];
  readonly groupId: string;
  /** Empty: not a static member. */
  readonly instanceId: string;
  readonly rack: string;
  readonly topics: readonly string[];
  /** Empty: none. */
  readonly topicPattern: string;
  /** Empty: the coordinator's default. */
  readonly assignor: string;
  /** 0: the coordinator's default. */
  readonly rebalanceTimeoutMs: number;
}

/** What the member says of itself, until it says otherwise. */
export interface Beat {
  readonly kind: "beat";
  readonly memberId: string;
  /** Lives of a member follow each other; nothing of a former one is heard once the next has begun. */
  readonly life: number;
  /** The newest it has heard; 0 joins. */
  readonly memberEpoch: number;
  /** All that it held when it had heard that, and has not given back since. */
  readonly owned: readonly GroupPartition[];
}

export interface Leave {
  readonly kind: "leave";
  readonly memberId: string;
  readonly life: number;
  /** A static member that will be back. */
  readonly forAWhile: boolean;
}

export type KeeperWord = Beat | Leave;

/** An error as it crosses threads. */
export interface SaidError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly metadata: ErrorMetadata;
}

export type KeeperNews =
  | {
      readonly kind: "heard";
      readonly life: number;
      readonly memberEpoch: number;
      /** undefined: what was told at this epoch still counts. */
      readonly assignment: readonly GroupPartition[] | undefined;
      /** Of the broker that coordinates the group, when it is known. */
      readonly coordinator: string | undefined;
    }
  /** This life is over, or cannot begin. */
  | { readonly kind: "refused"; readonly life: number; readonly error: SaidError }
  /** The coordinator could not be reached, or did not take the member yet; it is tried again. */
  | { readonly kind: "failing"; readonly life: number; readonly error: SaidError; readonly failures: number }
  | { readonly kind: "left"; readonly life: number };

/** A keeper of one member, wherever it runs. */
export interface KeeperHandle {
  hear(word: KeeperWord): void;
  /** Nothing is sent or told any more. */
  close(): void;
}

export type StartKeeper = (spec: KeeperSpec, tell: (news: KeeperNews) => void, died: (reason: string) => void) => KeeperHandle;

export function saidError({ code, message, metadata }: MillraceError): SaidError {
  return { code, message, metadata };
}

export function errorSaid({ code, message, metadata }: SaidError): MillraceError {
  return new MillraceError(Object.hasOwn(errors, code) ? code : "INTERNAL", message, metadata);
}
