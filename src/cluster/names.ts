import { MillraceError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";

const TOPIC_NAME_MAX = limits["topic.name.max"].value;
const allowed = /^[A-Za-z0-9._-]+$/;

/**
 * The rule of topic names (reliability §5 case 44): an allow-list of 1 to 249 characters a-z A-Z 0-9 . _ - ; neither `.` nor `..`,
 * which mean directories; none that begins with `__`, which is ours.
 *
 * @returns why the name is refused (INVALID_NAME), or undefined
 */
export function refuseTopicName(name: string): MillraceError | undefined {
  const why = whyNot(name);
  if (why === undefined) return undefined;
  return new MillraceError("INVALID_NAME", `Cannot use ${JSON.stringify(name.slice(0, TOPIC_NAME_MAX + 1))} as a topic name: ${why}`, {
    field: "name",
    ...(name.length > TOPIC_NAME_MAX ? { limit: "topic.name.max" } : {}),
  });
}

function whyNot(name: string): string | undefined {
  if (name.length === 0) return "it is empty";
  if (name.length > TOPIC_NAME_MAX) return `it has ${name.length} characters, at most ${TOPIC_NAME_MAX} are allowed`;
  if (!allowed.test(name)) return "only a-z A-Z 0-9 . _ - are allowed";
  if (name === "." || name === "..") return "it means a directory";
  if (name.startsWith("__")) return "names that begin with __ are internal";
  return undefined;
}
