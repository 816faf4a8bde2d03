/** Why the simulated cluster of a test says no. */
export type TestClusterErrorCode =
  /** An option or argument is unknown or out of range; nothing was started or done. */
  | "INVALID_OPTION"
  /** What is awaited did not come within its time. */
  | "TIMED_OUT"
  /** Nothing that is awaited has ended for a long virtual time, or nothing is left to happen. */
  | "STALLED"
  /** A broken promise of the cluster, or a bug in it. Nothing can be asked of it any more. */
  | "CLUSTER_FAILED"
  /** It was closed. */
  | "CLUSTER_CLOSED"
  /** What is asked of a broker or process makes no sense in its present state. */
  | "WRONG_STATE";

/** Said by the simulated cluster itself; what its brokers answer are the client's own errors. */
export class TestClusterError extends Error {
  override readonly name = "TestClusterError";
  readonly code: TestClusterErrorCode;

  constructor(code: TestClusterErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

export function invalid(message: string): TestClusterError {
  return new TestClusterError("INVALID_OPTION", message);
}
