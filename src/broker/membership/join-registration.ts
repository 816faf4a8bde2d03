import { MillraceError } from "../../base/errors.ts";
import type { ClusterId } from "../../base/ids.ts";
import type { Clock } from "../../base/ports/clock.ts";
import { type CommandOf, decodeCommand, encodeCommand } from "../../cluster/commands.ts";
import { type CommandAnswer, decodeAnswer, encodeAnswer } from "../../cluster/replies.ts";
import { JoinRegistration } from "../../protocol/routing.ts";
import type { MetadataGroup } from "../metadata/metadata-group.ts";
import type { IncomingCall } from "../peers/peer-calls.ts";
import type { PeerLinks } from "../peers/peer-links.ts";

export const REGISTER_METHOD = "cluster.register";

/** Time one broker that is asked has to find the controller, milliseconds. */
const ASK_MS = 2_000;
/** When a broker of another recovery epoch may ask again, milliseconds. */
const RETRY_MS = 100;

/** Which cluster whoever registers belongs to. */
export interface Belonging {
  readonly clusterId: string;
  readonly recoveryEpoch: number;
}

/**
 * A registration at another broker's door. Of a pair the higher id dials, at the address that was registered: a broker with the lowest id
 * that is somewhere else now is dialed by nobody and dials nobody. It says where it is on a short connection to a seed's address (design §5,
 * *join*), and is dialed there once that is recorded.
 *
 * @param shut that broker belongs to a later recovery epoch, and says so
 * @returns undefined: nobody of them could be reached, or knows the controller
 */
export async function registerAtDoor(
  links: Pick<PeerLinks, "callOnce">,
  addresses: readonly string[],
  belonging: Belonging,
  command: CommandOf<"registerBroker">,
  shut: (address: string, error: MillraceError) => void = () => {},
): Promise<CommandAnswer | undefined> {
  const body = JoinRegistration.encode({ ...belonging, command: encodeCommand(command) });
  for (const address of addresses) {
    try {
      const answer = decodeAnswer(await links.callOnce(address, REGISTER_METHOD, body, ASK_MS));
      if ("error" in answer && answer.error.code === "CONTROLLER_UNKNOWN") continue;
      return answer;
    } catch (error) {
      // It is away, is no member yet, or is of a version that knows no such call.
      if (!(error instanceof MillraceError)) continue;
      if (error.code === "WRONG_CLUSTER") throw error;
      // One broker's word: the seeds are asked before anything is given up for it (`PeerLinkEvents.outdated`).
      if (error.code === "FENCED") shut(address, error);
    }
  }
  return undefined;
}

/** What whoever belongs to an earlier recovery epoch is told (ADR 0014). */
export function fencedSince(recoveryEpoch: number): MillraceError {
  return new MillraceError(
    "FENCED",
    `The metadata was recovered without this disk (recovery epoch ${recoveryEpoch}): start the broker again, and it joins what was recovered`,
    { recovery_epoch: String(recoveryEpoch) },
  );
}

/** What of the metadata group is needed for it. */
export interface Door {
  readonly view: { readonly image: { readonly clusterId: ClusterId | undefined } };
  readonly submit: MetadataGroup["submit"];
}

/** Serves `REGISTER_METHOD`: asks the controller in the name of whoever is outside. */
export async function serveRegistration(clock: Clock, call: IncomingCall, group: Door, recoveryEpoch: number): Promise<void> {
  const asked = JoinRegistration.decode(call.body);
  const { clusterId = "" } = group.view.image;
  if (asked.clusterId !== clusterId && clusterId !== "")
    return call.fail(new MillraceError("WRONG_CLUSTER", `This broker belongs to cluster ${clusterId}, not ${asked.clusterId}`));
  const command = decodeCommand(asked.command);
  if (command.kind !== "registerBroker") return call.fail(new MillraceError("INVALID_REQUEST", "Only a registration is taken at the door"));
  if (asked.recoveryEpoch < recoveryEpoch) return call.fail(fencedSince(recoveryEpoch));
  if (asked.recoveryEpoch > recoveryEpoch)
    return call.fail(new MillraceError("NOT_READY", `This broker is of recovery epoch ${recoveryEpoch}`, {}, RETRY_MS));
  const deadline = Math.min(call.deadline, clock.monotonic() + ASK_MS);
  const answer = await group
    .submit(command, { deadline, caller: call })
    .catch((error: unknown) => (error instanceof MillraceError ? { error } : Promise.reject(error)));
  call.reply([encodeAnswer(answer)]);
}
