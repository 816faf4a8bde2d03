import { type ErrorMetadata, MillraceError } from "../base/errors.ts";

/** Typed refusals; each says what to do in the table of errors. */

export function unknownGroup(groupId: string): MillraceError {
  return new MillraceError("UNKNOWN_GROUP", `No consumer group ${JSON.stringify(groupId.slice(0, 250))}`, { group: groupId.slice(0, 250) });
}

export function unknownMember(groupId: string, memberId: string): MillraceError {
  return new MillraceError("UNKNOWN_MEMBER", `Group ${groupId} has no member ${memberId}; give up all partitions and join again`, {
    group: groupId,
    member_id: memberId,
  });
}

/** @param epoch as named by the caller @param valid oldest and newest that would do */
export function memberFenced(groupId: string, memberId: string, epoch: number, valid: readonly [number, number]): MillraceError {
  return new MillraceError(
    "MEMBER_FENCED",
    `Member ${memberId} of group ${groupId} is at epochs ${valid[0]} to ${valid[1]}, not ${epoch}; give up all partitions and join again`,
    { group: groupId, member_id: memberId, member_epoch: String(epoch) },
  );
}

export function memberAway(groupId: string, memberId: string): MillraceError {
  return new MillraceError("MEMBER_FENCED", `Member ${memberId} of group ${groupId} said that it leaves for a while; join again`, {
    group: groupId,
    member_id: memberId,
  });
}

export function instanceFenced(groupId: string, instanceId: string, by: string): MillraceError {
  return new MillraceError(
    "INSTANCE_FENCED",
    `Instance ${instanceId} of group ${groupId} is member ${by} now: another process has taken its place; stop this one`,
    { group: groupId, instance_id: instanceId, member_id: by },
  );
}

export function instanceInUse(groupId: string, instanceId: string, by: string): MillraceError {
  return new MillraceError(
    "INSTANCE_ID_IN_USE",
    `Cannot join group ${groupId} as instance ${instanceId}: member ${by} has it, and its session is not over`,
    { group: groupId, instance_id: instanceId, member_id: by },
  );
}

/** @param doing what needs a group without members */
export function groupNotEmpty(groupId: string, members: number, doing: string): MillraceError {
  return new MillraceError(
    "GROUP_NOT_EMPTY",
    `Cannot ${doing}: group ${groupId} has ${members === 1 ? "a member" : `${members} members`}`,
    {
      group: groupId,
      members: String(members),
    },
  );
}

/** Of a uuid: what was asked for may be longer. */
const ID_MAX = 36;

/** @param topicId what was meant, where another topic has the name */
export function unknownTopic(name: string, topicId?: string): MillraceError {
  if (topicId !== undefined) {
    const asked = topicId.slice(0, ID_MAX);
    const text = `The topic that is named ${JSON.stringify(name)} is not ${JSON.stringify(asked)}: that one was deleted`;
    return new MillraceError("UNKNOWN_TOPIC", text, { topic: name, topic_id: asked });
  }
  return new MillraceError("UNKNOWN_TOPIC", `No topic is named ${JSON.stringify(name.slice(0, 250))}`, { topic: name.slice(0, 250) });
}

export function unknownPartition(topic: string, partition: number, partitions: number): MillraceError {
  return new MillraceError("UNKNOWN_PARTITION", `Topic ${topic} has no partition ${partition}: it has ${partitions}`, {
    topic,
    partition: String(partition),
    partitions: String(partitions),
  });
}

export function invalid(field: string, why: string, more: ErrorMetadata = {}): MillraceError {
  return new MillraceError("INVALID_REQUEST", `${field}: ${why}`, { field, ...more });
}

/** @param limit name of the setting */
export function tooMany(what: string, limit: string): MillraceError {
  return new MillraceError("TOO_MANY_REQUESTS", what, { limit });
}
