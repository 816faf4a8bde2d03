/** Work that must not hold the event loop for more than 5 ms (design §3): it is cut in slices, others run between them. */
export interface Background {
  /** Calls `slice` until it returns true (done); resolves then. A throw rejects. */
  run(slice: () => boolean): Promise<void>;
}
