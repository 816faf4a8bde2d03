import type { BrokerConfig } from "../../base/broker-config.ts";
import type { GroupId, LogIndex, ReplicaId } from "../../base/ids.ts";
import type { BrokerNumbers } from "../../base/metrics.ts";
import type { Telemetry } from "../../base/ports/telemetry.ts";
import type { BrokerOptions } from "../../broker/broker.ts";
import type { GroupLog } from "../../log/types.ts";
import type { RaftCore } from "../../raft/types.ts";
import type { MachinePorts } from "../sim/machine.ts";

/** As much of a broker as the harness needs; `createBroker` fits. */
export interface BrokerUnderTest {
  readonly state: string;
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Reads and checks everything that is stored, now. */
  scrub(): Promise<void>;
  /** Another object whenever one is opened or closed: while it stays, so do they. */
  readonly replicas: Iterable<ReplicaUnderTest>;
  /** Undefined while it belongs to no cluster. */
  readonly numbers: BrokerNumbers | undefined;
  /** Shards of `__groups`, by number; undefined while it belongs to no cluster. */
  readonly groups: { here(shard: number): ShardUnderTest | undefined } | undefined;
}

export interface ShardUnderTest {
  readonly groupId: GroupId;
  /** The committed image. */
  readonly view: { readonly applied: LogIndex; readonly image: { hash(): string } };
}

export interface ReplicaUnderTest {
  readonly groupId: GroupId;
  readonly id: ReplicaId;
  /** Rises with every input. */
  readonly turns: number;
  readonly core: Pick<
    RaftCore<unknown>,
    | "role"
    | "term"
    | "votedFor"
    | "durableTerm"
    | "durableVote"
    | "commit"
    | "durable"
    | "holes"
    | "lastIndex"
    | "configuration"
    | "configurationIndex"
    | "quarantined"
    | "termAt"
  >;
  readonly log: GroupLog;
}

export type MakeBroker = (
  ports: MachinePorts & { readonly telemetry: Telemetry },
  config: BrokerConfig,
  options: { readonly version: string; readonly fatal: (error: Error) => void } & Pick<BrokerOptions, "newIncarnation">,
) => BrokerUnderTest;
