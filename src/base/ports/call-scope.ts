/** Tells calls that come from inside of some work, however deep and over whatever it awaits, from all others. */
export interface CallScope {
  /** Calls `work`; it is inside until what it returns is there. */
  run<T>(work: () => T): T;
  isInside(): boolean;
}

export type CallScopes = () => CallScope;
