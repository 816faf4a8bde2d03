import { METADATA_GROUP } from "../../base/ids.ts";
import type { MachineGroup } from "../machine/machine.ts";

/** The group whose machine is the cluster metadata. */
export const metadataGroup: MachineGroup = { groupId: METADATA_GROUP, name: "metadata", snapshotMethod: "metadata.snapshot" };
