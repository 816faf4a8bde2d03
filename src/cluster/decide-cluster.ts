import { MillraceError } from "../base/errors.ts";
import type { CommandOf } from "./commands.ts";
import { type Decision, done, refuse } from "./decision.ts";
import type { MetadataImage } from "./image.ts";
import { refuseConfigs } from "./refusals.ts";

/** Ids are given in blocks, so that not every new producer writes to the metadata log; unused ones are lost, never given twice. */
export const PRODUCER_ID_BLOCK_MAX = 10_000;

export function decideAllocateProducerIds(image: MetadataImage, { count }: CommandOf<"allocateProducerIds">): Decision {
  if (count < 1 || count > PRODUCER_ID_BLOCK_MAX) {
    return refuse(
      new MillraceError("INVALID_REQUEST", `Cannot allocate ${count} producer ids: 1 to ${PRODUCER_ID_BLOCK_MAX} at a time`, {
        field: "count",
      }),
    );
  }
  const first = image.nextIds.producer;
  return { facts: [{ kind: "producerIdsAllocated", first, count }], reply: { kind: "producerIds", first, count } };
}

/** Cluster-wide values of topic keys: what a topic without its own value gets. All or none. */
export function decideAlterClusterConfigs(_image: MetadataImage, command: CommandOf<"alterClusterConfigs">): Decision {
  const error = refuseConfigs(command.set, command.delete, undefined);
  if (error !== undefined) return refuse(error);
  const changes = command.set.size + command.delete.length > 0 && !command.validateOnly;
  return done(changes ? [{ kind: "clusterConfigChanged", set: command.set, delete: command.delete }] : []);
}
