import type { SideThreads } from "../../../src/base/ports/side-thread.ts";
import { silentTelemetry, type Telemetry } from "../../../src/base/ports/telemetry.ts";
import { Client } from "../../../src/client/client.ts";
import type { ConsumedRecord } from "../../../src/client/consumer/consumed-record.ts";
import type { GroupConsumer } from "../../../src/client/group/group-consumer.ts";
import type { GroupConsumerOptions, GroupRun, HandlerContext } from "../../../src/client/group/options.ts";
import { nodeCallScope } from "../../../src/host/call-scope.ts";
import { RecordSetBuilder } from "../../../src/records/record-set-builder.ts";
import { World } from "../fake/world.ts";
import { FakeGroups } from "./fake-coordinator.ts";

export interface Handled {
  readonly by: string;
  readonly partition: number;
  readonly offset: number;
  readonly at: number;
  readonly epoch: number;
}

export class Scene {
  readonly world: World;
  readonly cluster: FakeGroups;
  readonly handled: Handled[] = [];
  readonly told: string[] = [];
  #uuids = 0;

  constructor(seed: number, partitions: number, topic = "t") {
    this.world = new World(seed);
    this.cluster = new FakeGroups(this.world);
    this.cluster.make(topic, partitions);
    const tick = (): void => {
      this.cluster.pass();
      this.world.after(250, tick);
    };
    tick();
  }

  /** @param threads what keepers live on; absent: this thread */
  client(telemetry: Telemetry = silentTelemetry, threads?: SideThreads): Client {
    const random = {
      below: (bound: number) => this.world.random.below(bound),
      uuid: () => `00000000-0000-4000-8000-${String(++this.#uuids).padStart(12, "0")}`,
    };
    const ports = { rpc: this.cluster, clock: this.world, random, telemetry, scopes: nodeCallScope };
    return new Client({ brokers: this.cluster.addresses }, threads === undefined ? ports : { ...ports, threads });
  }

  /** Appends `count` records to each partition. */
  fill(count: number, topic = "t"): void {
    for (const log of this.cluster.logs(topic)) {
      for (let left = count; left > 0; ) {
        const size = Math.min(left, 1 + this.world.random.below(5));
        const builder = new RecordSetBuilder();
        for (let i = 0; i < size; i++) builder.append("k", `${log.end + i}`, [], 0);
        log.append({ producerId: undefined, baseSequence: 0, count: size, records: builder.take(), compressed: false });
        left -= size;
      }
    }
  }

  /** Appends a batch of `count` records of so many bytes each to a partition, or to each. */
  append(count: number, bytes: number, partition?: number, topic = "t"): void {
    for (const log of partition === undefined ? this.cluster.logs(topic) : this.cluster.logs(topic).slice(partition, partition + 1)) {
      const builder = new RecordSetBuilder();
      for (let i = 0; i < count; i++) builder.append("k", "x".repeat(bytes), [], 0);
      log.append({ producerId: undefined, baseSequence: 0, count, records: builder.take(), compressed: false });
    }
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.world.after(ms, resolve));
  }

  /** A member that notes what it handles and is told. */
  member(name: string, options: Partial<GroupConsumerOptions> = {}, run: Partial<GroupRun> = {}, telemetry?: Telemetry) {
    const client = this.client(telemetry);
    const note =
      (what: string) =>
      (partitions: readonly { readonly partition: number }[], error?: { readonly code: string }): void => {
        const numbers = partitions.map(({ partition }) => partition).sort();
        this.told.push(`${name} ${what} ${numbers.join()}${error === undefined ? "" : ` ${error.code}`}`);
      };
    const consumer: GroupConsumer = client.consumer({
      group: "g",
      onAssigned: note("assigned"),
      onRevoked: note("revoked"),
      onLost: note("lost"),
      onCommitRefused: note("refused"),
      ...options,
    });
    const { handler: inner } = run;
    const handler = async (record: ConsumedRecord, context: HandlerContext): Promise<void> => {
      await inner?.(record, context);
      const { partition, offset } = record;
      this.handled.push({ by: name, partition, offset, at: this.world.now, epoch: context.token.memberEpoch });
    };
    const done = consumer.run({ topics: ["t"], ...run, handler });
    done.catch(() => undefined);
    return { client, consumer, done };
  }

  offsets(partition: number, by?: string): number[] {
    return this.handled.filter((each) => each.partition === partition && (by === undefined || each.by === by)).map(({ offset }) => offset);
  }

  /** All records up to the ends are committed. */
  settled(topic = "t", group = "g"): boolean {
    const committed = this.cluster.committed(group, topic);
    return this.cluster.logs(topic).every((log, partition) => log.end === 0 || committed[partition] === log.end);
  }
}

export const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);
