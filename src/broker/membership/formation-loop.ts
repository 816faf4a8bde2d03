import type { BrokerConfig, SeedAddress } from "../../base/broker-config.ts";
import { MillraceError } from "../../base/errors.ts";
import type { BrokerId, ClusterId, Incarnation } from "../../base/ids.ts";
import type { Clock } from "../../base/ports/clock.ts";
import type { Disk } from "../../base/ports/disk.ts";
import type { Random } from "../../base/ports/random.ts";
import type { Telemetry } from "../../base/ports/telemetry.ts";
import { Formation } from "../../cluster/formation.ts";
import { Form, refuseForeign, refuseOtherVoters, refuseSeeds, type Seed, type SeedAnswer } from "../../cluster/formation-rules.ts";
import { changeMeta, formMeta, type Meta } from "../../log/meta.ts";
import { WhoAnswer, WhoQuestion } from "../../protocol/routing.ts";
import type { IncomingCall } from "../peers/peer-calls.ts";
import type { PeerLinks } from "../peers/peer-links.ts";

export const WHO_METHOD = "formation.who";

const ASK_TIMEOUT_MS = 1_000;
const PAUSE_MS = 50;
const PAUSE_MAX_MS = 500;

export interface FormationPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly disk: Disk;
  readonly telemetry: Telemetry;
  readonly links: PeerLinks;
}

/**
 * How this broker's directory comes to belong to a cluster: the shell of `cluster/formation.ts`, where the argument stands that a second
 * formation is impossible. It asks, persists what the core decided, and only then answers from it. A seed that drew the Form does not
 * send it: the others ask again and take it from the answer, so that there is one way in.
 */
export class FormationLoop {
  readonly #ports: FormationPorts;
  readonly #config: BrokerConfig;
  readonly #core: Formation | undefined;
  #meta: Meta;
  /** Newest recovery epoch somebody has named, by cluster. */
  readonly #epochs = new Map<string, number>();
  /** Somebody belongs to the same cluster; or nobody else has to be asked. */
  #confirmed = false;
  #stopped = false;

  /** @throws {MillraceError} INVALID_CONFIG for a seed list that is none, or not the one this directory's cluster was formed with */
  constructor(ports: FormationPorts, config: BrokerConfig, meta: Meta) {
    this.#ports = ports;
    this.#config = config;
    this.#meta = meta;
    const form = this.form;
    const mistake = refuseSeeds(config.seeds) ?? (form === undefined ? undefined : refuseOtherVoters(form, config.seeds));
    if (mistake !== undefined) throw mistake;
    const { brokerId, clusterId, incarnation } = meta;
    const belonging = clusterId === undefined ? undefined : { clusterId, form };
    if (config.seeds.some(({ id }) => id === brokerId))
      this.#core = new Formation({ brokerId, incarnation, seeds: config.seeds }, belonging);
  }

  get meta(): Meta {
    return this.#meta;
  }
  /** The Form this directory took; undefined: unformed, or joined as a disk that no Form names. */
  get form(): Form | undefined {
    return this.#meta.form === undefined ? undefined : Form.decode(this.#meta.form);
  }

  /** What this disk says of itself changed: a recovery epoch began. */
  changed(meta: Meta): void {
    this.#meta = meta;
  }

  /** The later recovery epoch that a seed belongs to, asked at its own address: a stranger's word in a hello is not enough to end for. */
  async laterEpoch(): Promise<number | undefined> {
    const { clusterId, recoveryEpoch } = this.#meta;
    await Promise.all(this.#config.seeds.filter(({ id }) => id !== this.#config.brokerId).map(({ address }) => this.#who(address)));
    const epoch = this.#epochs.get(clusterId ?? "") ?? 0;
    return epoch > recoveryEpoch ? epoch : undefined;
  }

  /** Asks nobody any more. */
  stop(): void {
    this.#stopped = true;
  }

  /** Serves `WHO_METHOD`, from what is durable. */
  asked(call: IncomingCall): void {
    const question = WhoQuestion.decode(call.body);
    const answer = this.#answer(question.brokerId as BrokerId, question.incarnation as Incarnation);
    if (answer === undefined)
      return call.fail(new MillraceError("NOT_READY", "This broker is just joining a cluster: ask again", {}, PAUSE_MS));
    const { brokerId, incarnation } = this.#meta;
    const form = answer.kind === "belongs" && answer.form !== undefined ? Form.encode(answer.form) : undefined;
    call.reply([
      WhoAnswer.encode({
        brokerId,
        incarnation,
        clusterId: answer.kind === "belongs" ? answer.clusterId : "",
        recoveryEpoch: this.#meta.recoveryEpoch,
        seeds: this.#config.seeds.map(({ id, address }) => ({ brokerId: id, address })),
        ...(form === undefined ? {} : { form }),
      }),
    ]);
  }

  /** Resolves when the directory belongs to a cluster, or the broker stops. @throws {MillraceError} an operator's mistake */
  async run(): Promise<Meta> {
    if (this.#meta.clusterId !== undefined) await this.#confirm(this.#meta.clusterId);
    // Nothing is open yet: a disk of an earlier epoch begins as a fenced one (ADR 0014).
    const epoch = this.#epochs.get(this.#meta.clusterId ?? "") ?? 0;
    if (epoch > this.#meta.recoveryEpoch)
      this.#meta = await changeMeta(this.#ports.disk, (meta) => ({ ...meta, recoveryEpoch: epoch, recovery: "fenced" }));
    for (let pause = PAUSE_MS; this.#meta.clusterId === undefined && !this.#stopped; pause = Math.min(PAUSE_MAX_MS, pause * 2)) {
      if (this.#core === undefined) await this.#join();
      else await this.#round(this.#core);
      if (this.#meta.clusterId !== undefined) break;
      await this.#pause(pause);
    }
    return this.#meta;
  }

  /**
   * Goes on asking where nobody could be reached before: a directory of another cluster must not wait for ever at doors that are shut to
   * it. Never resolves. @throws {MillraceError} WRONG_CLUSTER
   */
  async untilForeign(): Promise<never> {
    const { clusterId } = this.#meta;
    while (!this.#confirmed && !this.#stopped && clusterId !== undefined) {
      await this.#pause(PAUSE_MAX_MS);
      if (!this.#stopped) await this.#confirm(clusterId);
    }
    return new Promise<never>(() => {});
  }

  /** Asks the seeds for their cluster; resolves at the latest when all have answered or cannot be reached. */
  async #confirm(clusterId: ClusterId): Promise<void> {
    const others = this.#config.seeds.filter(({ id }) => id !== this.#config.brokerId);
    const answers: (SeedAddress & { readonly clusterId: string })[] = [];
    await new Promise<void>((resolve) => {
      const asked = others.map(async ({ id, address }) => {
        const answer = await this.#who(address);
        if (answer === undefined) return;
        answers.push({ id, address, clusterId: answer.clusterId });
        if (answer.clusterId === clusterId) resolve();
      });
      void Promise.all(asked).then(() => resolve());
    });
    this.#confirmed = others.length === 0 || answers.some((answer) => answer.clusterId === clusterId);
    const mistake = this.#confirmed ? undefined : refuseForeign(this.#ports.disk.root, clusterId, this.#config.seeds.length, answers);
    if (mistake !== undefined) throw mistake;
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#ports.clock.after(ms + this.#ports.random.below(ms), resolve));
  }

  #answer(by: BrokerId, incarnation: Incarnation): SeedAnswer | undefined {
    if (this.#core !== undefined) return this.#core.asked(by, incarnation);
    const { clusterId } = this.#meta;
    return clusterId === undefined ? undefined : { kind: "belongs", clusterId, form: undefined };
  }

  async #round(core: Formation): Promise<void> {
    const round = core.startRound();
    await Promise.all(
      this.#config.seeds
        .filter(({ id }) => id !== this.#config.brokerId)
        .map(async ({ id, address }) => core.answered(round, id, await this.#ask(id, address))),
    );
    const step = core.step();
    switch (step.kind) {
      case "wait":
        return this.#ports.telemetry.log("debug", "formation.waiting", { for: step.for.join(",") });
      case "refuse":
        throw step.error;
      case "join":
        return this.#persist(core, step.clusterId, undefined);
      case "take":
        return this.#persist(core, step.form.clusterId, step.form);
      case "form": {
        const form: Form = { clusterId: this.#ports.random.uuid() as ClusterId, seeds: step.seeds };
        return this.#persist(core, form.clusterId, form);
      }
    }
  }

  async #join(): Promise<void> {
    const addresses = this.#config.join === undefined ? this.#config.seeds.map(({ address }) => address) : [this.#config.join];
    for (const address of addresses) {
      const answer = await this.#ask(undefined, address);
      if (answer.kind === "belongs") return this.#persist(undefined, answer.clusterId, undefined);
    }
  }

  async #persist(core: Formation | undefined, clusterId: ClusterId, form: Form | undefined): Promise<void> {
    this.#meta = await formMeta(
      this.#ports.disk,
      clusterId,
      this.#epochs.get(clusterId) ?? 0,
      form === undefined ? undefined : Form.encode(form),
    );
    core?.persisted({ clusterId, form });
    this.#ports.telemetry.log("info", form === undefined ? "formation.joined" : "formation.formed", { clusterId });
  }

  /** @returns undefined when it cannot be reached, or does not say */
  async #who(address: string): Promise<ReturnType<typeof WhoAnswer.decode> | undefined> {
    const { brokerId, incarnation } = this.#meta;
    try {
      const answer = WhoAnswer.decode(
        await this.#ports.links.callOnce(address, WHO_METHOD, WhoQuestion.encode({ brokerId, incarnation }), ASK_TIMEOUT_MS),
      );
      this.#epochs.set(answer.clusterId, Math.max(answer.recoveryEpoch, this.#epochs.get(answer.clusterId) ?? 0));
      return answer;
    } catch (error) {
      this.#ports.telemetry.log("debug", "formation.unreachable", {
        address,
        reason: error instanceof Error ? error.message : String(error),
      });
      return undefined;
    }
  }

  async #ask(id: BrokerId | undefined, address: string): Promise<SeedAnswer> {
    const answer = await this.#who(address);
    if (answer === undefined) return { kind: "unreachable" };
    if (id !== undefined && answer.brokerId !== id) {
      throw new MillraceError("INVALID_CONFIG", `Broker ${answer.brokerId} answers at ${address}, where the seed list has broker ${id}`, {
        key: "cluster.seeds",
      });
    }
    if (answer.clusterId !== "") {
      const form = answer.form.byteLength === 0 ? undefined : Form.decode(answer.form);
      return { kind: "belongs", clusterId: answer.clusterId as ClusterId, form };
    }
    const seeds: Seed[] = answer.seeds.map(({ brokerId: seed, address: peer }) => ({ id: seed as BrokerId, address: peer }));
    return { kind: "empty", incarnation: answer.incarnation as Incarnation, seeds };
  }
}
