import { MillraceError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { counted } from "../base/plural.ts";
import { refuseTopicConfig, refuseTopicConfigKey } from "./topic-config.ts";

/** Keys of one request; there are fewer known ones. */
export const CONFIGS_MAX = limits["configs.max"].value;

/**
 * Keys to set and keys that go back to their default, checked together.
 * @param replicas of the topic; undefined: of all topics, which may have any number
 */
export function refuseConfigs(
  set: ReadonlyMap<string, string>,
  gone: readonly string[],
  replicas: number | undefined,
): MillraceError | undefined {
  if (set.size + gone.length > CONFIGS_MAX) {
    return new MillraceError("INVALID_CONFIG", `Cannot set ${set.size + gone.length} keys at once: at most ${CONFIGS_MAX}`, {
      limit: "configs.max",
    });
  }
  for (const [key, value] of set) {
    const error = refuseTopicConfig(key, value);
    if (error !== undefined) return error;
  }
  for (const key of gone) {
    if (set.has(key)) return new MillraceError("INVALID_CONFIG", `Cannot both set and delete ${key}`, { key });
    const error = refuseTopicConfigKey(key);
    if (error !== undefined) return error;
  }
  const minIsr = Number(set.get("min.insync.replicas") ?? 0);
  if (replicas === undefined || minIsr <= replicas) return undefined;
  return new MillraceError("INVALID_CONFIG", `Cannot set min.insync.replicas to ${minIsr}: the topic has ${counted(replicas, "replica")}`, {
    key: "min.insync.replicas",
  });
}
