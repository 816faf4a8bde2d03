/**
 * How long a call of a method stays open by its nature: a stream or a long poll as long as its caller likes (`long`), any other no longer
 * than it takes to answer (`short`); `probe` asks whether the broker is well.
 */
export type CallLength = "long" | "short" | "probe";

/** The part of `client.calls.max` that is kept for calls that are short, and the half of that for probes. */
const KEPT_SHARES = 16;

/**
 * A broker full of consumers must still say that it is well, or it is taken for dead and restarted; and people must be able to look at it.
 *
 * @param callsMax `client.calls.max`
 * @returns no more calls than this may be open for another one of this kind to be served
 */
export function placesFor(length: CallLength, callsMax: number): number {
  const kept = Math.floor(callsMax / KEPT_SHARES);
  if (length === "long") return callsMax - kept;
  return length === "short" ? callsMax - Math.ceil(kept / 2) : callsMax;
}
