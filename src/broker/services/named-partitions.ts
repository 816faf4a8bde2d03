import { MillraceError } from "../../base/errors.ts";

/**
 * Refuses what would make one small request much work: a partition named twice would be read twice (reliability case 49).
 *
 * @param max `partitions.per.topic.max`
 * @throws {MillraceError} INVALID_REQUEST
 */
export function requireDistinct(partitions: readonly number[], max: number): void {
  if (partitions.length > max) {
    const text = `Cannot take ${partitions.length} partitions in one call: partitions.per.topic.max is ${max}`;
    throw new MillraceError("INVALID_REQUEST", text, { field: "partitions", limit: "partitions.per.topic.max" });
  }
  const seen = new Set<number>();
  for (const partition of partitions) {
    if (seen.has(partition)) throw invalid(`Cannot take partition ${partition} twice in one call: name each once`);
    seen.add(partition);
  }
}

function invalid(message: string): MillraceError {
  return new MillraceError("INVALID_REQUEST", message, { field: "partitions" });
}
