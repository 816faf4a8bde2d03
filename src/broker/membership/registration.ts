import type { BrokerConfig } from "../../base/broker-config.ts";
import { MillraceError } from "../../base/errors.ts";
import type { Incarnation, LogIndex } from "../../base/ids.ts";
import type { Clock } from "../../base/ports/clock.ts";
import type { Telemetry } from "../../base/ports/telemetry.ts";
import type { MetadataGroup } from "../metadata/metadata-group.ts";

const TRY_MS = 5_000;
const PAUSE_MS = 100;

/**
 * Tells the controller that this broker is there: registers at start, keeps the session alive, registers again when the controller does
 * not know it (design §7). Its address and rack become known to clients and placement this way.
 */
export class Registration {
  readonly #clock: Clock;
  readonly #telemetry: Telemetry;
  readonly #group: MetadataGroup;
  readonly #config: BrokerConfig;
  readonly #incarnation: Incarnation;
  readonly #version: string;
  readonly #failed: (error: unknown) => void;
  /** Index of the newest registration; undefined until the first one is recorded. */
  #epoch: LogIndex | undefined;
  #stopped = false;

  /** @param failed a final refusal after the first registration (another disk runs under this id): the broker must stop */
  constructor(
    clock: Clock,
    telemetry: Telemetry,
    group: MetadataGroup,
    config: BrokerConfig,
    incarnation: Incarnation,
    version: string,
    failed: (error: unknown) => void,
  ) {
    this.#failed = failed;
    this.#clock = clock;
    this.#telemetry = telemetry;
    this.#group = group;
    this.#config = config;
    this.#incarnation = incarnation;
    this.#version = version;
  }

  get epoch(): LogIndex | undefined {
    return this.#epoch;
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Resolves once registered and this broker's image shows it; goes on with heartbeats. @throws {MillraceError} DUPLICATE_BROKER and other final refusals */
  async start(): Promise<void> {
    await this.#register();
    this.#beat().catch(this.#failed);
  }

  async #register(): Promise<void> {
    while (!this.#stopped) {
      const deadline = this.#clock.monotonic() + TRY_MS;
      try {
        const { metadataVersion } = await this.#group.submit(
          {
            kind: "registerBroker",
            brokerId: this.#config.brokerId,
            incarnation: this.#incarnation,
            clientAddress: this.#config.advertise,
            peerAddress: this.#config.peerAdvertise,
            rack: this.#config.rack,
            version: this.#version,
          },
          deadline,
        );
        await this.#group.applied(metadataVersion, deadline);
        this.#epoch = metadataVersion;
        this.#telemetry.log("info", "broker.registered", { brokerEpoch: metadataVersion });
        return;
      } catch (error) {
        if (!(error instanceof MillraceError) || (!error.retriable && error.code !== "INTERNAL")) throw error;
        await this.#pause(PAUSE_MS);
      }
    }
  }

  async #beat(): Promise<void> {
    const every = this.#config.timings.brokerSessionMs / 6;
    while (!this.#stopped) {
      await this.#pause(every);
      if (this.#stopped || this.#epoch === undefined) return;
      try {
        await this.#group.submit(
          { kind: "brokerHeartbeat", brokerId: this.#config.brokerId, incarnation: this.#incarnation, brokerEpoch: this.#epoch },
          this.#clock.monotonic() + every,
        );
      } catch (error) {
        if (!(error instanceof MillraceError)) throw error;
        this.#telemetry.log("debug", "broker.heartbeat_failed", { code: error.code });
        // Not known (any more), or known under another registration: say again who this is.
        if (!error.retriable || error.code === "STALE_VERSION") await this.#register();
      }
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#clock.after(ms, resolve));
  }
}
