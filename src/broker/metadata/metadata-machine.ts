import { MillraceError } from "../../base/errors.ts";
import { METADATA_GROUP } from "../../base/ids.ts";
import type { Command } from "../../cluster/commands.ts";
import { decide } from "../../cluster/decide.ts";
import type { DecideLimits } from "../../cluster/decision.ts";
import { decodeFacts, encodeFacts, type Fact } from "../../cluster/facts.ts";
import type { MetadataImage } from "../../cluster/image.ts";
import type { Reply } from "../../cluster/replies.ts";
import type { FactCodec, LeaderRefusals, Machine, MachineGroup } from "../machine/machine.ts";

/** The group whose machine is the cluster metadata. */
export const metadataGroup: MachineGroup = { groupId: METADATA_GROUP, name: "metadata" };

/** Each fact counts as one record. */
export const metadataFacts: FactCodec<Fact> = { encode: encodeFacts, decode: decodeFacts, records: (facts) => facts.length };

const refusals: LeaderRefusals = {
  notLeading: () => new MillraceError("CONTROLLER_UNKNOWN", "This broker is not the controller", {}, 100),
  steppingDown: () => new MillraceError("CONTROLLER_UNKNOWN", "The controller is stepping down; nothing was written", {}, 100),
  outcomeUnknown: () =>
    new MillraceError("METADATA_OUTCOME_UNKNOWN", "The controller lost its leadership while the command was being recorded"),
};

/**
 * A broker that was heard, and whose registration is as it was, goes on as before: that is all it is told, and were it wrong by now, the next
 * heartbeat goes to the later controller, which gave every broker a full session. Heartbeats are sent for ever, and a cluster at rest
 * is to be silent (ADR 0016).
 */
const bearsStale = ({ kind }: Command): boolean => kind === "brokerHeartbeat";

/** The cluster metadata as a machine (design §7). */
export function metadataMachine(limits: DecideLimits): Machine<MetadataImage, Command, Fact, Reply> {
  return { facts: metadataFacts, refusals, bearsStale, decide: (image, command, now) => decide(image, command, now, limits) };
}
