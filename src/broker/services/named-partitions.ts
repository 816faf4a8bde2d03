import { MillraceError } from "../../base/errors.ts";
import { limits } from "../../base/limits.ts";

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

/** The same of topics: each is described in full. @throws {MillraceError} INVALID_REQUEST */
export function requireDistinctNames(names: readonly string[]): void {
  const max = limits["describe.topics.max"].value;
  if (names.length > max) {
    const text = `Cannot describe ${names.length} topics in one call: describe.topics.max is ${max}; name none for all`;
    throw new MillraceError("INVALID_REQUEST", text, { field: "names", limit: "describe.topics.max" });
  }
  if (new Set(names).size < names.length)
    throw new MillraceError("INVALID_REQUEST", "Cannot describe a topic twice in one call: name each once", { field: "names" });
}

function invalid(message: string): MillraceError {
  return new MillraceError("INVALID_REQUEST", message, { field: "partitions" });
}
