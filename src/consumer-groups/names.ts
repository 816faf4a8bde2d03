import { MillraceError } from "../base/errors.ts";

/** Characters of the name of a group, as of a topic's. */
const NAME_MAX = 249;
/** Characters of a member id or an instance id: room for a uuid behind the name of a host. */
const MEMBER_ID_MAX = 255;
const allowed = /^[A-Za-z0-9._-]+$/;
/** Besides: what stands in the names of pods, hosts and ports. */
const memberName = /^[A-Za-z0-9._:@/-]+$/;

/**
 * The rule of group names, the same as that of topics (reliability §5 case 44): 1 to 249 characters a-z A-Z 0-9 . _ - ; neither `.` nor
 * `..`; none that begins with `__`.
 *
 * @returns why the name is refused (INVALID_NAME), or undefined
 */
export function refuseGroupName(name: string): MillraceError | undefined {
  const why = whyNot(name);
  if (why === undefined) return undefined;
  return new MillraceError("INVALID_NAME", `Cannot use ${JSON.stringify(name.slice(0, NAME_MAX + 1))} as the name of a group: ${why}`, {
    field: "group_id",
    ...(name.length > NAME_MAX ? { limit: "group.name.max" } : {}),
  });
}

function whyNot(name: string): string | undefined {
  if (name.length === 0) return "it is empty";
  if (name.length > NAME_MAX) return `it has ${name.length} characters, at most ${NAME_MAX} are allowed`;
  if (!allowed.test(name)) return "only a-z A-Z 0-9 . _ - are allowed";
  if (name === "." || name === "..") return "it means a directory";
  if (name.startsWith("__")) return "names that begin with __ are internal";
  return undefined;
}

/**
 * Topics that a member subscribes to need not exist, but could: an internal one is nobody's to read.
 *
 * @returns why the first bad name is refused (INVALID_NAME), or undefined
 */
export function refuseTopicNames(names: readonly string[]): MillraceError | undefined {
  for (const name of names) {
    const why = whyNot(name);
    if (why === undefined) continue;
    const shown = JSON.stringify(name.slice(0, NAME_MAX + 1));
    return new MillraceError("INVALID_NAME", `Cannot subscribe to ${shown}: ${why}`, {
      field: "topics",
      ...(name.length > NAME_MAX ? { limit: "topic.name.max" } : {}),
    });
  }
  return undefined;
}

/** Member ids and instance ids: 1 to 255 characters a-z A-Z 0-9 . _ : @ / - */
export function refuseMemberName(field: "member_id" | "instance_id", name: string): MillraceError | undefined {
  if (name.length >= 1 && name.length <= MEMBER_ID_MAX && memberName.test(name)) return undefined;
  const shown = JSON.stringify(name.slice(0, MEMBER_ID_MAX + 1));
  return new MillraceError(
    "INVALID_REQUEST",
    `Cannot use ${shown} as ${field}: 1 to ${MEMBER_ID_MAX} of a-z A-Z 0-9 . _ : @ / - are allowed`,
    {
      field,
      ...(name.length > MEMBER_ID_MAX ? { limit: "group.member.id.max" } : {}),
    },
  );
}
