import { MillraceError } from "../../base/errors.ts";
import { type RpcChannel, RpcFailure } from "../../base/ports/rpc-client.ts";
import { LogService } from "../../protocol/methods.ts";
import { Acks, ProduceRequest, ProduceResponse } from "../../protocol/public.ts";
import { RecordSetBuilder } from "../../records/record-set-builder.ts";
import { makePayload } from "../checkers/payload.ts";
import type { MachinePorts } from "../sim/machine.ts";
import type { SimRandom } from "../sim/random.ts";
import type { World } from "../sim/world.ts";
import { clientAddress } from "./config.ts";
import type { HistoryLog } from "./history-log.ts";
import { partitionName, TOPIC } from "./topic.ts";

const LEVELS = { ALL: Acks.all, QUORUM: Acks.quorum, LEADER: Acks.leader, NONE: Acks.none } as const;

/**
 * A caller with nothing but a generated stub: one call at a time, to any broker, which must forward it; no producer id, and no retry,
 * so an unknown outcome stays unknown. It uses every level of acknowledgement.
 */
export class Stub {
  readonly #history: HistoryLog;
  readonly #ports: MachinePorts;
  readonly #random: SimRandom;
  readonly #seed: number;
  readonly #options: { readonly brokers: number; readonly partitions: number; readonly name: string };
  readonly #channels: readonly RpcChannel[];
  #n = 0;
  #over = false;

  constructor(
    world: World,
    history: HistoryLog,
    ports: MachinePorts,
    options: { readonly brokers: number; readonly partitions: number; readonly name: string },
  ) {
    this.#history = history;
    this.#ports = ports;
    this.#random = world.random.fork(`stub ${options.name}`);
    this.#seed = world.seed;
    this.#options = options;
    this.#channels = Array.from({ length: options.brokers }, (_, i) => ports.rpcClient.channel(clientAddress(i + 1)));
  }

  /** Its last call has ended. */
  get over(): boolean {
    return this.#over;
  }

  async run(stopped: () => boolean): Promise<void> {
    while (!stopped()) {
      await this.#send();
      await this.#ports.process.promise<void>(
        (resolve) => void this.#ports.process.after(this.#random.below(200), "pauses", () => resolve()),
      );
    }
    this.#over = true;
  }

  async #send(): Promise<void> {
    const { name, partitions } = this.#options;
    const partition = this.#random.below(partitions);
    const acks = this.#random.pick(["ALL", "QUORUM", "QUORUM", "LEADER", "NONE"] as const);
    const records = new RecordSetBuilder(1024);
    const values: string[] = [];
    for (let count = this.#random.between(1, 3); count > 0; count--) {
      const { value, body } = makePayload(String(this.#seed), name, ++this.#n, 20);
      values.push(value);
      records.append(undefined, body);
    }
    const request = ProduceRequest.encode({ topic: TOPIC, partition, records: records.take(), acks: LEVELS[acks] });
    const i = this.#history.beginSend({ f: "send", proc: name, partition: partitionName(partition), producer: name, acks, values });
    try {
      const reply = await this.#random
        .pick(this.#channels)
        .unary(LogService.Produce.path, request, { timeoutMs: this.#random.pick([300, 1_500]) });
      const { baseOffset } = ProduceResponse.decode(reply);
      this.#history.endSend(i, acks === "NONE" ? { type: "ok" } : { type: "ok", offset: Number(baseOffset) });
    } catch (error) {
      if (error instanceof MillraceError) this.#history.endSend(i, { type: error.outcomeKnown ? "fail" : "info", error: error.code });
      else if (error instanceof RpcFailure) this.#history.endSend(i, { type: error.neverSent ? "fail" : "info", error: error.status });
      else throw error;
    }
  }
}
