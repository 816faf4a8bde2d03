/** Inflating off the main thread under a limit (design §4). */
export interface Inflate {
  /**
   * @param limitBytes inflating stops, with "TOO_LARGE", as soon as the output would pass it
   * @returns the inflated bytes, or why not
   */
  gunzip(bytes: Uint8Array, limitBytes: number): Promise<{ readonly bytes: Uint8Array } | { readonly failed: "TOO_LARGE" | "MALFORMED" }>;
}
