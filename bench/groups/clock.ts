/** Milliseconds that processes of one machine can compare. */
export const now = (): number => performance.timeOrigin + performance.now();

/** Resolves at that time, or at once when it is over. */
export function until(at: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, at - now())));
}
