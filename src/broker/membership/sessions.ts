import { MillraceError } from "../../base/errors.ts";
import type { BrokerId } from "../../base/ids.ts";
import type { Clock, Timer } from "../../base/ports/clock.ts";
import type { Command } from "../../cluster/commands.ts";
import type { MetadataGroup } from "../metadata/metadata-group.ts";

/**
 * The controller's session timers (design §7: timers are not replicated; a new controller gives everyone a full session). A missed
 * session proposes a fence: it stops placement and joining an ISR, never Raft.
 */
export class Sessions {
  readonly #clock: Clock;
  readonly #group: MetadataGroup;
  readonly #sessionMs: number;
  readonly #seen = new Map<BrokerId, number>();
  /** When each was really heard; `#seen` has also what a new controller grants. */
  readonly #heard = new Map<BrokerId, number>();
  #timer: Timer | undefined;

  constructor(clock: Clock, group: MetadataGroup, sessionMs: number) {
    this.#clock = clock;
    this.#group = group;
    this.#sessionMs = sessionMs;
    group.onCommand = (command) => this.#saw(command);
    group.onRefused = (command, error) => this.#refused(command, error);
  }

  /** This broker became the controller. */
  restart(): void {
    this.#timer?.cancel();
    this.#arm();
    this.#seen.clear();
    this.#heard.clear();
  }

  /**
   * Some commands prove that a broker lives, the controller's own among them. Another disk under its id does not: one that asks to be let in
   * again and again would keep the session of the former alive for ever, and itself out.
   */
  #saw(command: Command): void {
    if (command.kind !== "brokerHeartbeat" && command.kind !== "registerBroker") return;
    const known = this.#group.controller?.image.brokers.get(command.brokerId);
    if (known?.state === "live" && known.incarnation !== command.incarnation) return;
    this.#seen.set(command.brokerId, this.#clock.monotonic());
    this.#heard.set(command.brokerId, this.#clock.monotonic());
  }

  /** Another disk that has to wait for the session of a live one is told when that one was heard last: that tells a late one from a dead one. */
  #refused(command: Command, error: MillraceError): MillraceError {
    if (command.kind !== "registerBroker" || error.metadata["live_incarnation"] === undefined) return error;
    const heard = this.#heard.get(command.brokerId);
    if (heard === undefined) return error;
    const heardMsAgo = `${Math.round(this.#clock.monotonic() - heard)}`;
    return new MillraceError(error.code, error.message, { ...error.metadata, heard_ms_ago: heardMsAgo }, error.retryAfterMs);
  }

  close(): void {
    this.#timer?.cancel();
  }

  #arm(): void {
    this.#timer = this.#clock.after(this.#sessionMs / 4, () => {
      this.#examine();
      // Whoever is the controller now looks.
      if (this.#group.controller !== undefined) this.#arm();
    });
  }

  #examine(): void {
    const controller = this.#group.controller;
    if (controller === undefined) return;
    const now = this.#clock.monotonic();
    for (const broker of controller.image.liveBrokers()) {
      const seen = this.#seen.get(broker.id);
      if (seen === undefined) this.#seen.set(broker.id, now);
      else if (now - seen > this.#sessionMs)
        controller.submit({ kind: "fenceBroker", brokerId: broker.id, brokerEpoch: broker.epoch }, () => {});
    }
  }
}
