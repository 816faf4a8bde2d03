import type { Client } from "../../../client/index.ts";
import type { MachinePorts } from "../../sim/machine.ts";
import type { SimRandom } from "../../sim/random.ts";
import type { World } from "../../sim/world.ts";
import type { HistoryLog } from "../history-log.ts";
import type { Situations } from "../situations.ts";
import type { Topic } from "../topic.ts";
import type { Activity } from "./activity.ts";
import type { Groups } from "./groups/groups.ts";

/** How fast clients work, milliseconds, and on what. Each is drawn from what is listed. */
export interface Pace {
  /** Bytes of a value. */
  readonly valueBytes: readonly number[];
  /** Between two bursts of a producer, on average. */
  readonly produceMs: readonly number[];
  /** Between two calls of a stub, at most. */
  readonly stubMs: number;
  /** Between two asks for the ends of all partitions. */
  readonly endsMs: readonly [number, number];
  /** A consumer lives for so long at most before another one takes its place. */
  readonly consumerMs: number;
  /** A member of a consumer group is one for about so long. */
  readonly memberMs: number;
}

/** Topics that come and go, by name: what is there of them in the end. */
export type Lasting = Map<string, { readonly topic: Topic; readonly id: string }>;

/** What a workload works with: one client machine, the topics that stay, and the book it writes into. */
export interface WorkloadContext {
  readonly world: World;
  readonly history: HistoryLog;
  readonly activity: Activity;
  readonly situations: Situations;
  /** Those that stay. */
  readonly topics: readonly Topic[];
  /** Topics of this run that were deleted and made anew, as they are now: they are read in the end, like the others. */
  readonly lasting: Lasting;
  readonly groups: Groups;
  readonly brokers: number;
  readonly pace: Pace;
  /** Somebody trims: a log may begin above offset 0. */
  readonly trims: boolean;
  readonly ports: MachinePorts;
  readonly client: Client;
  /** Its own. */
  readonly random: SimRandom;
  /** Of its machine, from 1. */
  readonly n: number;
}

/** Works until `activity.stopped`, and reports there what of it must still end. A rejection is a bug. */
export type Workload = (context: WorkloadContext) => Promise<void>;
