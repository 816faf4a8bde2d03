const SEED = 0x9747b28c | 0;
const M = 0x5bd1e995;

/** Murmur2 as Kafka's Java client has it (`Utils.murmur2`), so that keys land in the partitions they are used to. @returns i32 */
export function murmur2(bytes: Uint8Array): number {
  const length = bytes.length;
  let h = SEED ^ length;
  let at = 0;
  for (; at + 4 <= length; at += 4) {
    let k =
      (bytes[at] as number) | ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16) | ((bytes[at + 3] as number) << 24);
    k = Math.imul(k, M);
    k ^= k >>> 24;
    h = Math.imul(h, M) ^ Math.imul(k, M);
  }
  const rest = length - at;
  if (rest >= 3) h ^= (bytes[at + 2] as number) << 16;
  if (rest >= 2) h ^= (bytes[at + 1] as number) << 8;
  if (rest >= 1) h = Math.imul(h ^ (bytes[at] as number), M);
  h = Math.imul(h ^ (h >>> 13), M);
  return h ^ (h >>> 15);
}

/** Kafka's rule for keyed records: the sign bit is dropped, not the number negated (`Utils.toPositive`). */
export function partitionOf(key: Uint8Array, partitions: number): number {
  return (murmur2(key) & 0x7fffffff) % partitions;
}
