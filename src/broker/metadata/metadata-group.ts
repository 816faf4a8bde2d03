import { MillraceError } from "../../base/errors.ts";
import type { BrokerId, LogIndex } from "../../base/ids.ts";
import type { Clock } from "../../base/ports/clock.ts";
import type { Telemetry } from "../../base/ports/telemetry.ts";
import { pause, type Until, waitUntil, whileCalled } from "../../base/until.ts";
import { type Command, decodeCommand, encodeCommand } from "../../cluster/commands.ts";
import type { DecideLimits } from "../../cluster/decision.ts";
import { type CommandAnswer, decodeAnswer, encodeAnswer, type Reply } from "../../cluster/replies.ts";
import { isVoter } from "../../raft/quorum.ts";
import { MachineReplica } from "../machine/machine-replica.ts";
import type { MachineSnapshots } from "../machine/machine-snapshots.ts";
import type { Ask } from "../machine/turn-reads.ts";
import type { PeerLinks } from "../peers/peer-links.ts";
import type { Replica } from "../replica.ts";
import type { ReplicaOwner } from "../replica-host.ts";
import { Controller } from "./controller.ts";
import type { MetadataView } from "./metadata-view.ts";

export const COMMAND_METHOD = "metadata.command";
export const BARRIER_METHOD = "metadata.barrier";

/** Pause between tries to find a controller, milliseconds. */
const RETRY_MS = 25;
const RETRY_MAX_MS = 200;
/** A voter that heard no leader for so long may belong to nobody any more: who controls is asked elsewhere, as on a broker without one. */
export const LEADERLESS_MS = 3_000;

/**
 * This broker's part in the metadata group: with a replica of it, the replica's owner (applier and, when it leads, the controller);
 * with or without one, the way to the controller for commands and read barriers.
 */
export class MetadataGroup {
  readonly view: MetadataView;
  readonly #clock: Clock;
  readonly #telemetry: Telemetry;
  readonly #links: PeerLinks;
  readonly #self: BrokerId;
  readonly #seeds: readonly BrokerId[];
  readonly #limits: DecideLimits;
  readonly #changed: () => void;
  readonly #failed: (error: unknown) => void;
  #local: MachineReplica<Controller> | undefined;
  /** Since when the local replica has heard no leader, as far as was looked. */
  #leaderlessSince: number | undefined;
  /** On a broker without a replica that hears a leader: who answered last. */
  #remoteHint: BrokerId | undefined;
  /** Hears every command that reaches this broker as the controller, whoever sent it. */
  onCommand: (command: Command) => void = () => {};
  /** What a refusal by this controller says, once it may be said. */
  onRefused: (command: Command, error: MillraceError) => MillraceError = (_, error) => error;

  /**
   * @param seeds as configured: where the metadata is when nothing of it is known here
   * @param changed the controller, or who is known to be it, may have changed
   */
  constructor(
    clock: Clock,
    telemetry: Telemetry,
    links: PeerLinks,
    self: BrokerId,
    seeds: readonly BrokerId[],
    limits: DecideLimits,
    view: MetadataView,
    changed: () => void,
    failed: (error: unknown) => void,
  ) {
    this.#clock = clock;
    this.#telemetry = telemetry;
    this.#links = links;
    this.#self = self;
    this.#seeds = seeds;
    this.#limits = limits;
    this.view = view;
    this.#changed = changed;
    this.#failed = failed;
  }

  /** Gives the group its local replica. */
  own(replica: Replica, snapshots: MachineSnapshots): ReplicaOwner {
    const confirmed: Ask<LogIndex> = (done) => owner.readIndex(done);
    const controller = new Controller(this.#clock, replica, this.view, this.#limits, confirmed, () => {
      this.#telemetry.log("info", "controller.active", { term: replica.core.term });
      this.#changed();
    });
    const owner: MachineReplica<Controller> = new MachineReplica(replica, {
      clock: this.#clock,
      view: this.view,
      snapshots,
      leader: controller,
      roleChanged: () => {
        const { role, term } = replica.core;
        this.#telemetry.log("info", "metadata.role", { role, term });
      },
      failed: this.#failed,
    });
    this.#local = owner;
    return owner;
  }

  get snapshots(): MachineSnapshots | undefined {
    return this.#local?.snapshots;
  }
  get replica(): Replica | undefined {
    return this.#local?.replica;
  }
  /** The local replica is none any more: what is known of the controller comes from others. */
  disown(): void {
    this.#local?.closed();
    this.#local = undefined;
  }
  /** There is no local replica that hears a leader, or could soon: others must be asked. To be looked at now and then. */
  get leaderless(): boolean {
    if (this.#local === undefined) return true;
    const { core, id } = this.#local.replica;
    const now = this.#clock.monotonic();
    if (core.leader !== undefined) this.#leaderlessSince = undefined;
    else this.#leaderlessSince ??= now;
    if (this.#leaderlessSince === undefined) return false;
    // A learner that is new may not be known to any leader yet; a voter mostly learns by itself who leads.
    return !isVoter(core.configuration, id) || now - this.#leaderlessSince >= LEADERLESS_MS;
  }
  /** The controller's own state, when this broker is it. */
  get controller(): Controller | undefined {
    return this.#local?.leader.active === true ? this.#local.leader : undefined;
  }
  /** Broker of the controller, as far as this broker knows. */
  get controllerBroker(): BrokerId | undefined {
    if (this.#local === undefined) return this.#remoteHint;
    const { core, members } = this.#local.replica;
    return core.leader === undefined ? undefined : members.brokerOf(core.leader);
  }

  /**
   * Asks the controller, wherever it is, and waits for one to be known.
   * @throws {MillraceError} its refusal · CONTROLLER_UNKNOWN (nothing written) · METADATA_OUTCOME_UNKNOWN
   */
  async submit(command: Command, until: Until): Promise<{ readonly reply: Reply; readonly metadataVersion: LogIndex }> {
    const answer = await this.#askUntil(until, (broker) => this.#submitTo(broker, command, until));
    if ("error" in answer) throw answer.error;
    return answer;
  }

  /** Resolves when this broker's image holds everything that was committed when the call began (design §7). */
  async barrier(until: Until): Promise<void> {
    const answer = await this.#askUntil(until, (broker) => this.#barrierAt(broker, until));
    if ("error" in answer) throw answer.error;
    await this.applied(answer.index, until);
  }

  /** Resolves when the image has reached `index`. @throws {MillraceError} NOT_READY at the deadline */
  applied(index: LogIndex, until: Until): Promise<void> {
    const late = (): MillraceError => {
      const text = `This broker has read the metadata up to ${this.view.applied}, not yet ${index}; nothing was written`;
      return new MillraceError("NOT_READY", text, {}, 100);
    };
    return waitUntil(this.#clock, until, late, (done) => this.view.whenApplied(index, () => done(undefined)));
  }

  /** Serves `COMMAND_METHOD` for another broker. @returns forgets who asked */
  serveCommand(body: Uint8Array, reply: (answer: Uint8Array) => void): () => void {
    const controller = this.controller;
    if (controller === undefined) {
      reply(encodeAnswer({ error: this.#notController() }));
      return () => {};
    }
    const command = decodeCommand(body);
    return this.#decide(controller, command, (answer) => reply(encodeAnswer(answer)));
  }

  #decide(controller: Controller, command: Command, done: (answer: CommandAnswer) => void): () => void {
    this.onCommand(command);
    return controller.submit(command, (answer) => done("error" in answer ? { error: this.onRefused(command, answer.error) } : answer));
  }

  /** Serves `BARRIER_METHOD`: the commit index of a confirmed leader, as 8 bytes; undefined: not the controller. @returns forgets who asked */
  serveBarrier(done: (index: LogIndex | undefined) => void): () => void {
    if (this.#local !== undefined) return this.#local.readIndex(done);
    done(undefined);
    return () => {};
  }

  #notController(): MillraceError {
    const known = this.controllerBroker;
    return new MillraceError(
      "CONTROLLER_UNKNOWN",
      "This broker is not the controller; nothing was written",
      known === undefined ? {} : { controller_id: String(known) },
      50,
    );
  }

  /** Tries until somebody who is the controller answers; only refusals of the kind "I am not it" are tried again. */
  async #askUntil<T extends object>(
    { deadline, caller }: Until,
    ask: (broker: BrokerId) => Promise<T | { readonly error: MillraceError }>,
  ): Promise<T | { readonly error: MillraceError }> {
    for (let pauseMs = RETRY_MS; ; pauseMs = Math.min(RETRY_MAX_MS, pauseMs * 2)) {
      // A replica that hears a leader, or may hear one soon, is waited for.
      const elsewhere = this.leaderless;
      const broker = this.controllerBroker ?? (elsewhere ? (this.#remoteHint ?? this.#someSeed()) : undefined);
      const answer = broker === undefined ? { error: this.#notController() } : await ask(broker);
      if (!("error" in answer) && elsewhere) this.#remoteHint = broker;
      if (!("error" in answer) || (answer.error.code !== "CONTROLLER_UNKNOWN" && answer.error.code !== "LEADER_UNKNOWN")) return answer;
      const hint = hintOf(answer.error);
      // Others may take this broker for what it was before its disk was emptied.
      if (elsewhere) this.#remoteHint = hint === this.#self ? undefined : hint;
      if (this.#clock.monotonic() + pauseMs >= deadline) {
        return { error: new MillraceError("CONTROLLER_UNKNOWN", "No controller was found in time; nothing was written", {}, 100) };
      }
      await pause(this.#clock, pauseMs, caller);
    }
  }

  #seedAt = 0;
  #someSeed(): BrokerId | undefined {
    const known = this.view.image.seeds.map(({ brokerId }) => brokerId);
    const seeds = (known.length > 0 ? known : this.#seeds).filter((broker) => broker !== this.#self);
    return seeds[this.#seedAt++ % Math.max(1, seeds.length)];
  }

  #submitTo(broker: BrokerId, command: Command, { deadline, caller }: Until): Promise<CommandAnswer> {
    return whileCalled<CommandAnswer>(caller, (resolve) => {
      if (broker === this.#self) {
        const controller = this.controller;
        if (controller !== undefined) return this.#decide(controller, command, resolve);
        resolve({ error: this.#notController() });
        return () => {};
      }
      return this.#links.call(broker, COMMAND_METHOD, [encodeCommand(command)], deadline - this.#clock.monotonic(), (outcome) => {
        if ("body" in outcome) return resolve(decodeAnswer(outcome.body));
        const { error } = outcome;
        if (error.outcomeKnown) return resolve({ error });
        resolve({
          error: new MillraceError(
            "METADATA_OUTCOME_UNKNOWN",
            `The controller (broker ${broker}) was lost while it recorded the command: ${error.message}`,
          ),
        });
      });
    });
  }

  #barrierAt(broker: BrokerId, { deadline, caller }: Until): Promise<{ readonly index: LogIndex } | { readonly error: MillraceError }> {
    return whileCalled<{ readonly index: LogIndex } | { readonly error: MillraceError }>(caller, (resolve) => {
      const answer = (index: LogIndex | undefined): void => resolve(index === undefined ? { error: this.#notController() } : { index });
      if (broker === this.#self) return this.serveBarrier(answer);
      return this.#links.call(broker, BARRIER_METHOD, [], deadline - this.#clock.monotonic(), (outcome) => {
        // A barrier changes nothing: a lost one is simply asked again.
        if ("error" in outcome || outcome.body.byteLength !== 8) return answer(undefined);
        answer(new DataView(outcome.body.buffer, outcome.body.byteOffset, 8).getFloat64(0, true) as LogIndex);
      });
    });
  }
}

function hintOf(error: MillraceError): BrokerId | undefined {
  const hint = Number(error.metadata["controller_id"]);
  return Number.isSafeInteger(hint) && hint >= 1 ? (hint as BrokerId) : undefined;
}
