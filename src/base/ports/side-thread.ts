/** A second thread of this process, which goes on while the first one computes. Messages are plain data, in order, and are copied. */
export interface SideThread {
  post(message: unknown): void;
  /** Ends it at once; nothing is heard of it any more. */
  close(): void;
}

export interface SideThreads {
  /**
   * @param heard messages of the thread; on this one, when it has time
   * @param died it ended by itself: nothing more comes
   */
  start(heard: (message: unknown) => void, died: (reason: string) => void): SideThread;
}
