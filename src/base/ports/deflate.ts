/** Compressing off the main thread: the producer's side of {@link Inflate}. */
export interface Deflate {
  gzip(bytes: Uint8Array): Promise<Uint8Array>;
}
