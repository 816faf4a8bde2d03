import type { BrokerConfig } from "../../base/broker-config.ts";
import { MillraceError } from "../../base/errors.ts";
import type { BrokerId, Incarnation, LogIndex } from "../../base/ids.ts";
import type { Clock } from "../../base/ports/clock.ts";
import type { Telemetry } from "../../base/ports/telemetry.ts";
import type { CommandOf } from "../../cluster/commands.ts";
import type { FeatureLevels } from "../../cluster/feature-levels.ts";
import type { CommandAnswer } from "../../cluster/replies.ts";
import type { MetadataGroup } from "../metadata/metadata-group.ts";

const TRY_MS = 5_000;
const PAUSE_MS = 100;
/**
 * So many sessions a broker waits for that of another disk under its id to end. One and a quarter is what a controller needs to notice that
 * it was missed. A new controller gives everyone a full one (design §7): one that has not heard the other disk itself proves nothing.
 */
const FORMER_SESSIONS = 2;
/** One try, while it waits: it has to notice soon that it waited long enough. */
const WAITING_TRY_MS = 1_000;

/** What this process is. */
export interface Software {
  readonly version: string;
  /** Feature levels it understands (ADR 0020). */
  readonly levels: FeatureLevels;
}

/**
 * Tells the controller that this broker is there: registers at start, keeps the session alive, registers again when the controller does
 * not know it (design §7). Its address and rack become known to clients and placement this way.
 *
 * At its start, another disk may be registered under its id, and live: mostly the one it had before, whose session is not over yet. That
 * end is waited for. When the other one is still there afterwards, it runs.
 */
export class Registration {
  readonly #clock: Clock;
  readonly #telemetry: Telemetry;
  readonly #group: MetadataGroup;
  readonly #config: BrokerConfig;
  readonly #incarnation: Incarnation;
  readonly #software: Software;
  readonly #failed: (error: unknown) => void;
  readonly #atDoor: (command: CommandOf<"registerBroker">) => Promise<CommandAnswer | undefined>;
  /** Index of the newest registration; undefined until the first one is recorded. */
  #epoch: LogIndex | undefined;
  /** When the controller last took this broker for registered, monotonic. */
  #confirmedAt = 0;
  #stopped = false;
  /** Since when another disk is known to have this id, monotonic. */
  #takenSince: number | undefined;
  /** Why it is not tried any more: the other disk still had the id after all its sessions, or the cluster has gone beyond this version. */
  #final: MillraceError | undefined;

  /**
   * @param failed a final refusal after the first registration (another disk runs under this id): the broker must stop
   * @param atDoor registers where nobody is connected to this broker yet (`registerAtDoor`)
   */
  constructor(
    clock: Clock,
    telemetry: Telemetry,
    group: MetadataGroup,
    config: BrokerConfig,
    incarnation: Incarnation,
    software: Software,
    failed: (error: unknown) => void,
    atDoor: (command: CommandOf<"registerBroker">) => Promise<CommandAnswer | undefined>,
  ) {
    this.#failed = failed;
    this.#atDoor = atDoor;
    this.#clock = clock;
    this.#telemetry = telemetry;
    this.#group = group;
    this.#config = config;
    this.#incarnation = incarnation;
    this.#software = software;
  }

  get epoch(): LogIndex | undefined {
    return this.#epoch;
  }

  stop(): void {
    this.#stopped = true;
  }

  /** For the session of another disk under this id to end. */
  get waits(): boolean {
    return this.#takenSince !== undefined && this.#epoch === undefined;
  }

  /**
   * Broker `by` is connected to another disk under this id, and did not let this one in. Of a registered broker that is the end too, unless
   * the controller knows better: it was away so long that its id was given to another disk.
   */
  taken(by: BrokerId): void {
    const { brokerId, timings } = this.#config;
    const text = `broker ${by} is connected to another broker ${brokerId}, which is registered`;
    if (this.#epoch === undefined)
      return this.#taken(new MillraceError("DUPLICATE_BROKER", `Cannot register broker ${brokerId}: ${text}`), true);
    if (this.#stopped || this.#clock.monotonic() - this.#confirmedAt <= timings.brokerSessionMs) return;
    this.#failed(new MillraceError("DUPLICATE_BROKER", `Cannot go on as broker ${brokerId}: ${text}`));
  }

  /** One that is in the cluster says so. While this broker is registered the level is not raised above what it understands. */
  unsupported(error: MillraceError): void {
    this.#telemetry.log("warn", "broker.level_unsupported", { reason: error.message });
    if (this.#epoch === undefined) this.#final ??= error;
  }

  /** Resolves once registered and this broker's image shows it; goes on with heartbeats. @throws {MillraceError} DUPLICATE_BROKER and other final refusals */
  async start(): Promise<void> {
    await this.#register();
    this.#beat().catch(this.#failed);
  }

  async #register(): Promise<void> {
    while (!this.#stopped) {
      const deadline = this.#clock.monotonic() + (this.waits ? WAITING_TRY_MS : TRY_MS);
      try {
        if (this.#final !== undefined) throw this.#final;
        const metadataVersion = await this.#recorded(deadline);
        await this.#group.applied(metadataVersion, { deadline: Math.max(deadline, this.#clock.monotonic() + WAITING_TRY_MS) });
        this.#epoch = metadataVersion;
        this.#confirmedAt = this.#clock.monotonic();
        this.#telemetry.log("info", "broker.registered", { brokerEpoch: metadataVersion });
        return;
      } catch (error) {
        if (!(error instanceof MillraceError) || (!error.retriable && error.code !== "INTERNAL" && !this.#mayEnd(error))) throw error;
        await this.#pause(PAUSE_MS);
      }
    }
  }

  /** @returns index of the registration. @throws {MillraceError} */
  async #recorded(deadline: number): Promise<LogIndex> {
    const command: CommandOf<"registerBroker"> = {
      kind: "registerBroker",
      brokerId: this.#config.brokerId,
      incarnation: this.#incarnation,
      clientAddress: this.#config.advertise,
      peerAddress: this.#config.peerAdvertise,
      rack: this.#config.rack,
      version: this.#software.version,
      ...this.#levels,
    };
    try {
      return (await this.#group.submit(command, { deadline })).metadataVersion;
    } catch (error) {
      if (!(error instanceof MillraceError) || error.code !== "CONTROLLER_UNKNOWN" || this.#epoch !== undefined || this.#stopped)
        throw error;
      // Nobody who would know it is connected.
      const answer = await this.#atDoor(command);
      if (answer === undefined) throw error;
      if ("error" in answer) throw answer.error;
      return answer.metadataVersion;
    }
  }

  /** Whether the refusal names a session that may end: then it is waited for, but only by a broker that was not registered yet. */
  #mayEnd(error: MillraceError): boolean {
    if (error.code !== "DUPLICATE_BROKER" || error.metadata["live_incarnation"] === undefined || this.#epoch !== undefined) return false;
    const heardMsAgo = Number(error.metadata["heard_ms_ago"] ?? Number.POSITIVE_INFINITY);
    this.#taken(error, this.#clock.monotonic() - heardMsAgo > (this.#takenSince ?? Number.POSITIVE_INFINITY));
    return this.#final === undefined;
  }

  /** @param alive the other disk was heard since this one was first refused */
  #taken(error: MillraceError, alive: boolean): void {
    if (this.#epoch !== undefined || this.#stopped || this.#final !== undefined) return;
    const now = this.#clock.monotonic();
    const waitMs = FORMER_SESSIONS * this.#config.timings.brokerSessionMs;
    if (this.#takenSince === undefined) {
      this.#takenSince = now;
      this.#telemetry.log("warn", "broker.id_taken", { brokerId: this.#config.brokerId, waitMs, reason: error.message });
    } else if (alive && now - this.#takenSince > waitMs) {
      const text = `${error.message}; it still runs after the ${waitMs / 1000} s in which the session of a former one would have ended`;
      this.#final = new MillraceError("DUPLICATE_BROKER", text, error.metadata);
    }
  }

  get #levels(): { readonly featureLevelMin: number; readonly featureLevelMax: number } {
    const { min, max } = this.#software.levels;
    return { featureLevelMin: min, featureLevelMax: max };
  }

  async #beat(): Promise<void> {
    const every = this.#config.timings.brokerSessionMs / 6;
    while (!this.#stopped) {
      await this.#pause(every);
      if (this.#stopped || this.#epoch === undefined) return;
      try {
        await this.#group.submit(
          {
            kind: "brokerHeartbeat",
            brokerId: this.#config.brokerId,
            incarnation: this.#incarnation,
            brokerEpoch: this.#epoch,
            ...this.#levels,
          },
          { deadline: this.#clock.monotonic() + every },
        );
        this.#confirmedAt = this.#clock.monotonic();
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
