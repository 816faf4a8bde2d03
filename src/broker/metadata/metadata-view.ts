import type { Fact } from "../../cluster/facts.ts";
import type { FeatureLevels } from "../../cluster/feature-levels.ts";
import { MetadataImage } from "../../cluster/image.ts";
import { MachineView } from "../machine/machine-view.ts";
import { metadataFacts, metadataGroup } from "./metadata-machine.ts";

/**
 * This broker's image of the cluster metadata. Fed by the local replica of the metadata group, or, on a broker without one, by a copy of
 * its log from one that has it. What is applied is what replies carry as `metadata_version`.
 */
export class MetadataView extends MachineView<MetadataImage, Fact> {
  /** @param supported feature levels that this broker understands */
  constructor(supported?: FeatureLevels) {
    super(metadataGroup, new MetadataImage(undefined, supported), metadataFacts);
  }
}
