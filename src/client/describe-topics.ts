import { MillraceError } from "../base/errors.ts";
import { AdminService } from "../protocol/methods.ts";
import { DescribeTopicsRequest, DescribeTopicsResponse, type TopicDescription } from "../protocol/public.ts";
import type { Calls } from "./calls.ts";

/** How long the controller may take before a broker's own word is good enough, milliseconds. */
const LATEST_MS = 3_000;

export interface DescribeOptions {
  readonly timeoutMs: number;
  readonly reachMs?: number | undefined;
  /**
   * As recorded now. While the cluster has no controller, what a broker heard last is told instead: what is read and written meanwhile is as
   * old, and a name that moved on since is found out by its id.
   */
  readonly latest?: boolean | undefined;
}

/** @param names none: all topics @throws {MillraceError} UNKNOWN_TOPIC, or that no broker answered */
export async function describeTopics(
  calls: Calls,
  names: readonly string[],
  { timeoutMs, reachMs, latest = false }: DescribeOptions,
): Promise<readonly TopicDescription[]> {
  const ask = async (request: { readonly latest: boolean }, ms: number): Promise<readonly TopicDescription[]> => {
    const bytes = DescribeTopicsRequest.encode({ names, ...request });
    const reply = await calls.unary(AdminService.DescribeTopics.path, bytes, { timeoutMs: ms, reachMs, repeatable: true });
    return DescribeTopicsResponse.decode(reply).topics;
  };
  if (!latest) return ask({ latest: false }, timeoutMs);
  try {
    return await ask({ latest: true }, Math.min(timeoutMs, LATEST_MS));
  } catch (error) {
    if (!(error instanceof MillraceError) || !error.retriable) throw error;
    if (reachMs !== undefined && error.code === "BROKERS_UNREACHABLE") throw error;
    return ask({ latest: false }, timeoutMs);
  }
}
