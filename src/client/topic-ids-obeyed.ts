import type { Clock } from "../base/ports/clock.ts";
import { notBefore, TOPIC_ID_LEVEL } from "../cluster/feature-levels.ts";
import { AdminService } from "../protocol/methods.ts";
import { DescribeClusterRequest, DescribeClusterResponse } from "../protocol/public.ts";
import type { AdminCalls, AdminOptions } from "./admin-calls.ts";

/**
 * Whether `topic_id` of what changes a topic is obeyed, whichever broker takes the call: from a feature level of the cluster on. Below it a broker
 * of before may take it, which passes over the field and goes by the name (ADR 0020). The level never falls, so what was seen once holds.
 */
export class TopicIdsObeyed {
  readonly #calls: AdminCalls;
  readonly #clock: Pick<Clock, "monotonic">;
  #obeyed = false;

  constructor(calls: AdminCalls, clock: Pick<Clock, "monotonic">) {
    this.#calls = calls;
    this.#clock = clock;
  }

  async obeyed(options: AdminOptions): Promise<boolean> {
    return this.#obeyed || (await this.#level(options)) >= TOPIC_ID_LEVEL;
  }

  /**
   * @param topicId absent: nothing is demanded
   * @param options of the change, for which its timeout counts from here on
   * @returns the same, with what is left of the time
   * @throws {MillraceError} UNSUPPORTED_FEATURE_LEVEL: nothing was changed
   */
  async demand(what: string, topicId: string | undefined, options: AdminOptions): Promise<AdminOptions> {
    if (topicId === undefined || topicId === "" || this.#obeyed) return options;
    const { timeoutMs } = this.#calls.limits(options);
    const start = this.#clock.monotonic();
    const level = await this.#level(options);
    if (level < TOPIC_ID_LEVEL) throw notBefore(TOPIC_ID_LEVEL, `${what} by its id`, level);
    return { ...options, timeoutMs: Math.max(1, timeoutMs - (this.#clock.monotonic() - start)) };
  }

  async #level(options: AdminOptions): Promise<number> {
    const reply = await this.#calls.read(AdminService.DescribeCluster.path, DescribeClusterRequest.encode({}), options);
    // One of before there were levels says none.
    const level = Math.max(1, DescribeClusterResponse.decode(reply).featureLevel);
    this.#obeyed = level >= TOPIC_ID_LEVEL;
    return level;
  }
}
