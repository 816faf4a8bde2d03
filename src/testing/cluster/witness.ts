import { METADATA_GROUP } from "../../base/ids.ts";
import type { Evidence } from "../checkers/history.ts";
import type { World } from "../sim/world.ts";
import { ClockWatch } from "./clock-watch.ts";
import { MetadataFollower } from "./metadata-follower.ts";
import { PlacementWatch } from "./placement-watch.ts";
import { ReachWatch } from "./reach-watch.ts";
import type { SimCluster } from "./sim-cluster.ts";
import { TermWatch } from "./term-watch.ts";
import { partitionsOf, type Topic } from "./topic.ts";

/** How often the metadata is followed, milliseconds: before what was committed leaves the memory of all brokers. */
const FOLLOW_MS = 100;

/** What is seen of a cluster from the inside, and goes to the checkers with the history. */
export class Witness {
  readonly metadata: MetadataFollower;
  readonly #cluster: SimCluster;
  readonly #topics: readonly Topic[];
  readonly #placement: PlacementWatch;
  readonly #reach: ReachWatch;
  readonly #clocks: ClockWatch;
  readonly terms = new TermWatch();
  #over = false;

  constructor(world: World, cluster: SimCluster, topics: readonly Topic[]) {
    this.#cluster = cluster;
    this.#topics = topics;
    this.metadata = new MetadataFollower(() => cluster.replicas());
    this.#placement = new PlacementWatch(this.metadata, new Set(topics.map(({ name }) => name)));
    cluster.placed = (group) => group === METADATA_GROUP || this.metadata.lost || this.metadata.image.partitionOfGroup(group) !== undefined;
    cluster.led = (group, term, broker) => this.#placement.led(group, term, broker);
    this.#reach = new ReachWatch(world);
    this.#clocks = new ClockWatch(cluster.machines);
    world.scheduler.afterEach(() => this.#clocks.look());
    const follow = () => {
      if (this.#over) return;
      this.metadata.follow();
      this.terms.look(world.now, cluster.replicas());
      world.scheduler.after(FOLLOW_MS, "follows the metadata", follow);
    };
    follow();
  }

  /** The topics are there. */
  begin(): void {
    this.metadata.follow();
    const { image } = this.metadata;
    this.#reach.begin(
      partitionsOf(this.#topics).flatMap(({ topic: name, partition: number, name: partition }) => {
        const topic = image.topicByName(name);
        const placed = topic && image.partition(topic.id, number);
        if (topic === undefined || placed === undefined) return [];
        const machines = placed.replicas.flatMap(({ brokerId }) => this.#cluster.machines[brokerId - 1] ?? []);
        return [{ partition, machines, least: image.configOf(topic).minInsyncReplicas ?? Math.floor(topic.replicas / 2) + 1 }];
      }),
    );
  }

  /** Clients have ended; what is seen from now on says nothing more. */
  end(): void {
    this.metadata.follow();
    this.#reach.end();
    this.#over = true;
  }

  get evidence(): Pick<Evidence, "leaders" | "placements" | "starved" | "retention" | "clockAheadMs"> {
    const { aheadMs } = this.#clocks;
    return {
      leaders: this.#placement.leaders,
      placements: this.#placement.placements,
      starved: this.#reach.starved,
      retention: partitionsOf(this.#topics).flatMap(({ topic: name, name: partition }) => {
        const retentionMs = this.#topics.find((topic) => topic.name === name)?.configs?.["retention.ms"];
        return retentionMs === undefined ? [] : [{ partition, retentionMs: Number(retentionMs) }];
      }),
      ...(aheadMs === undefined ? {} : { clockAheadMs: aheadMs }),
    };
  }
}
