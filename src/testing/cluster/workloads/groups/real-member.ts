import type { MillraceError } from "../../../../base/errors.ts";
import { Client, type FencingToken, type GroupConsumer, type PartitionName } from "../../../../client/index.ts";
import type { Machine, MachinePorts } from "../../../sim/machine.ts";
import { wait } from "../../clients.ts";
import { clientAddress } from "../../config.ts";
import { SimTelemetry } from "../../telemetry.ts";
import { partitionName } from "../../topic.ts";
import type { WorkloadContext } from "../workload.ts";
import { type GroupOf, type Member, type MemberEnding, topicsOf } from "./groups.ts";
import { HeardMember } from "./heard-member.ts";
import { overheard } from "./overheard.ts";

/** Handlers at work have so long when it leaves. */
const CLOSE_MS = 5_000;
/** A member that hangs is looked for so often. */
const LOOK_MS = 500;

/**
 * One process with a `GroupConsumer` of the client library, on a machine of its own: it may hang as a whole, or die. What it says and hears is
 * overheard at its network; what its callbacks and handlers are told is held against what they were promised.
 */
export class RealMember implements Member {
  readonly #context: WorkloadContext;
  readonly #machine: Machine;
  readonly #heard: HeardMember;
  readonly #instance: string;
  readonly #byPattern: boolean;
  readonly #handlerMs: number;
  /** What it was told that it has, and with which records it is at work, by partition. */
  readonly #has = new Set<string>();
  readonly #atWork = new Map<string, number>();
  #closing = false;

  constructor(context: WorkloadContext, group: GroupOf, who: { readonly name: string; readonly life: number; readonly instance: string }) {
    const { random, world } = context;
    this.#context = context;
    this.#machine = world.machine(who.name);
    this.#heard = new HeardMember(context, group, `${who.name}.${who.life}`);
    this.#instance = who.instance;
    this.#byPattern = random.chance(1, 3);
    this.#handlerMs = random.pick([1, 10, 60]);
  }

  get group(): GroupOf {
    return this.#heard.group;
  }
  get member(): string {
    return this.#heard.member;
  }
  get tenure() {
    return this.#heard.tenure;
  }

  async run(lifeMs: number, ending: MemberEnding): Promise<void> {
    const { world, groups, activity, brokers, random } = this.#context;
    const settled = groups.begin();
    const ports = this.#machine.boot();
    const addresses = Array.from({ length: brokers }, (_, i) => clientAddress(i + 1));
    const { clock, inflate } = ports;
    const telemetry = new SimTelemetry(world, ports.process.name, new Map(), this.#context.situations);
    const rpc = overheard(ports.rpcClient, this.#heard);
    const client = new Client({ brokers: addresses }, { rpc, clock, random: ports.random, telemetry, inflate });
    const consumer = client.consumer({
      group: this.group.id,
      instanceId: this.#instance,
      commitIntervalMs: random.pick([100, 400, 1_500]),
      rebalanceTimeoutMs: 3_000,
      bufferBytesMax: random.pick([2_000, 100_000]),
      outOfRange: "start",
      ...this.#callbacks(),
    });
    let over = false;
    const names = topicsOf(this.group);
    const running = consumer.run({
      ...(this.#byPattern ? { topicPattern: `(${names.join("|")})|__.*` } : { topics: names }),
      concurrency: random.between(1, 4),
      handler: ({ topic, partition, offset }, { token }) => this.#handle(ports, { topic, partition, offset }, token),
    });
    running.catch((error: Error) => {
      if (!over) world.scheduler.fail(new Error(`C8: a member ended by itself: ${error.message}`));
    });
    const end = world.now + lifeMs;
    while (!groups.over && (world.now < end || activity.stopped)) await this.#lives();
    over = true;
    if (ending !== "dies" || groups.over) await this.#leave(client, consumer, ending);
    this.#machine.crash();
    this.#heard.died();
    settled();
  }

  /** For a while; now and then it hangs. */
  async #lives(): Promise<void> {
    const { activity, situations, random, ports } = this.#context;
    await wait(ports, random.below(LOOK_MS));
    if (activity.stopped || !random.chance(1, 12)) return;
    situations.saw("member hung");
    this.#machine.pause();
    await wait(ports, random.below(8_000));
    this.#machine.resume();
  }

  async #leave(client: Client, consumer: GroupConsumer, ending: MemberEnding): Promise<void> {
    this.#closing = true;
    await consumer.close({ timeoutMs: CLOSE_MS, forGood: ending !== "leaves for a while" });
    await client.close();
  }

  #callbacks() {
    const { situations } = this.#context;
    const nameOf = ({ topic, partition }: PartitionName): string => partitionName(topic, partition);
    return {
      onAssigned: (partitions: readonly PartitionName[]) => {
        for (const name of partitions.map(nameOf)) {
          this.#must(!this.#has.has(name), () => `C3: ${this.#heard.proc} is told that it has ${name}, which it has`);
          this.#has.add(name);
        }
      },
      onRevoked: (partitions: readonly PartitionName[]) => {
        for (const name of partitions.map(nameOf)) {
          this.#must(this.#has.delete(name), () => `C3: ${this.#heard.proc} is asked for ${name}, which it does not have`);
          const at = this.#atWork.get(name);
          this.#must(this.#closing || at === undefined, () => `C3: ${this.#heard.proc} gives ${name} back, and is at work on ${at}`);
        }
      },
      onLost: (partitions: readonly PartitionName[], _: MillraceError) => {
        situations.saw("member removed");
        for (const name of partitions.map(nameOf)) {
          this.#must(this.#has.delete(name), () => `C3: ${this.#heard.proc} loses ${name}, which it does not have`);
          this.#atWork.delete(name);
        }
      },
    };
  }

  async #handle(ports: MachinePorts, { topic, partition, offset }: PartitionName & { readonly offset: number }, token: FencingToken) {
    const { world, groups, activity, random } = this.#context;
    const name = partitionName(topic, partition);
    const place = { topic, topicId: token.topicId, partition };
    const what = `${this.#heard.proc} is given record ${offset} of ${name}`;
    this.#must(this.#has.has(name), () => `C3: ${what}, which it was not told that it has`);
    this.#must(!this.#atWork.has(name), () => `C3: ${what} while it is at work on ${this.#atWork.get(name)}`);
    const before = groups.fence(this.group.id, this.#heard.nameOf(place), token.memberEpoch, this.#heard.proc);
    this.#must(before === undefined, () => `C2: ${what} with the token ${token.memberEpoch}, and ${before} had that before`);
    this.#heard.begins(place, offset);
    this.#atWork.set(name, offset);
    const tInv = world.now;
    await wait(ports, activity.stopped ? 0 : random.below(this.#handlerMs));
    // It may be lost by now, and given to it again.
    if (this.#atWork.get(name) === offset) this.#atWork.delete(name);
    this.#heard.isDone(place, offset, tInv);
  }

  #must(holds: boolean, message: () => string): void {
    if (!holds) this.#context.world.scheduler.fail(new Error(message()));
  }
}
