import { type BrokerId, type GroupId, type LogIndex, METADATA_GROUP } from "../../base/ids.ts";
import { InvariantViolated } from "../../base/invariant.ts";
import type { Clock, Timer } from "../../base/ports/clock.ts";
import type { Telemetry } from "../../base/ports/telemetry.ts";
import type { Hole } from "../../log/holes.ts";
import type { LogRepairer } from "../../log/types.ts";
import type { Frame } from "../../records/frame-types.ts";
import { Pace } from "../catch-up/pace.ts";
import { Turns } from "../catch-up/turns.ts";
import type { PeerLinks } from "../peers/peer-links.ts";
import type { Replica } from "../replica.ts";
import { obeyTrim, type TrimmedElsewhere } from "./obey-trim.ts";
import { askRange } from "./range-read.ts";

/** Groups that are repaired at the same time. */
const REPAIRS_MAX = 2;
/** A read waits so long for the repair of the hole it met. */
const HEAL_MS = 5_000;
/** A range that nobody had is asked for again after so long, then twice as long, … */
const RETRY_MS = 500;
const RETRY_MAX_MS = 30_000;

export interface RepairPorts {
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly links: Pick<PeerLinks, "call">;
  /** Of the frames that come in; 0: no limit. */
  readonly bytesPerSecond: number;
  replica(groupId: GroupId): Replica | undefined;
  /** Brokers with another replica of the group. */
  others(groupId: GroupId): readonly BrokerId[];
  /** The log cannot go on. */
  failed(error: unknown): void;
}

interface Patient {
  repairing: Promise<void> | undefined;
  retry: Timer | undefined;
  retryMs: number;
  /** What was asked for and is gone elsewhere, since the repair began. */
  gone: TrimmedElsewhere | undefined;
  /** Frames came in since the repair began. */
  offered: boolean;
}

/**
 * Makes the logs of this broker whole again (design §4, *Damage*), without a command: a replica with a hole says so to its leader, asks
 * for votes last, and copies the range from any replica that committed it, at a bounded rate. What no replica has is asked for again
 * and again; meanwhile it is DATA_LOSS to who reads it.
 */
export class Repairer implements LogRepairer {
  readonly #ports: RepairPorts;
  readonly #turns = new Turns(REPAIRS_MAX);
  readonly #pace: Pace;
  readonly #patients = new Map<GroupId, Patient>();
  #closed = false;

  constructor(ports: RepairPorts) {
    this.#ports = ports;
    this.#pace = new Pace(ports.clock, () => ports.bytesPerSecond);
  }

  holesChanged(groupId: GroupId, holes: readonly Hole[]): void {
    const replica = this.#ports.replica(groupId);
    if (replica === undefined || this.#closed) return;
    replica.holed(holes);
    if (holes.length > 0) void this.#repair(groupId);
    else this.#patients.get(groupId)?.retry?.cancel();
  }

  async heal(groupId: GroupId): Promise<boolean> {
    const replica = this.#ports.replica(groupId);
    if (replica === undefined || this.#closed) return false;
    const before = fingerprint(replica.log.holes);
    let timer: Timer | undefined;
    const late = new Promise<void>((resolve) => {
      timer = this.#ports.clock.after(HEAL_MS, resolve);
    });
    await Promise.race([this.#repair(groupId), late]);
    timer?.cancel();
    return fingerprint(replica.log.holes) !== before;
  }

  close(): void {
    this.#closed = true;
    for (const { retry } of this.#patients.values()) retry?.cancel();
  }

  /** One repair of a group at a time; who comes meanwhile waits for the same. */
  #repair(groupId: GroupId): Promise<void> {
    const patient = this.#patients.get(groupId) ?? {
      repairing: undefined,
      retry: undefined,
      retryMs: RETRY_MS,
      gone: undefined,
      offered: false,
    };
    this.#patients.set(groupId, patient);
    patient.retry?.cancel();
    patient.repairing ??= this.#run(groupId, patient).finally(() => {
      patient.repairing = undefined;
    });
    return patient.repairing;
  }

  async #run(groupId: GroupId, patient: Patient): Promise<void> {
    const done = await this.#turns.take();
    const replica = this.#ports.replica(groupId);
    let whole = replica === undefined || this.#closed;
    try {
      patient.gone = undefined;
      patient.offered = false;
      if (replica !== undefined && !this.#closed)
        whole = await replica.log.repair((first, last) => this.#pull(groupId, patient, first, last));
      if (!whole && replica !== undefined) {
        if (patient.gone === undefined && patient.offered) patient.gone = await this.#trimmed(replica);
        await this.#obey(replica, patient);
      }
      if (whole) patient.retryMs = RETRY_MS;
      // A hole also ends by being trimmed away, of which nobody is told.
      if (replica !== undefined && !this.#closed) replica.holed(replica.log.holes);
    } catch (error) {
      if (error instanceof InvariantViolated) this.#ports.failed(error);
      // No room, or a disk that does not write: said, and tried again later. The hole is what it was.
      this.#ports.telemetry.log("error", "repair.failed", {
        group: groupId,
        error: error instanceof Error ? error.message : String(error),
      });
    } finally {
      done();
    }
    if (whole || this.#closed || this.#ports.replica(groupId) !== replica) return;
    patient.retry = this.#ports.clock.after(patient.retryMs, () => void this.#repair(groupId));
    patient.retryMs = Math.min(RETRY_MAX_MS, patient.retryMs * 2);
  }

  /**
   * Frames came and were not taken: they are of other terms than this log has for them. It has those by guess where it lost what said that it begins
   * behind them (ADR 0009). So it did once, by a trim that was committed; whoever still has their frames knows it.
   */
  async #trimmed({ groupId, log }: Replica): Promise<TrimmedElsewhere | undefined> {
    const hole = log.holes.find(({ first, last }) => first <= last);
    for (const broker of hole === undefined ? [] : this.#ports.others(groupId)) {
      if (this.#closed || hole === undefined) return undefined;
      const told = await askRange(this.#ports.links, broker, groupId, hole.first, hole.first, true);
      if (told !== undefined && "offset" in told) return told;
    }
    return undefined;
  }

  /** Tried again, and then found whole, when the files are gone. */
  async #obey(replica: Replica, patient: Patient): Promise<void> {
    const { gone } = patient;
    const { groupId, log } = replica;
    const here = (): boolean => !this.#closed && this.#ports.replica(groupId) === replica;
    if (gone === undefined || !here()) return;
    let index = obeyTrim(replica, gone);
    // A machine's log goes on from a snapshot, which passes over all of the segment once there is one here.
    if (index === undefined && groupId !== METADATA_GROUP) {
      const parted = await log.part(gone.index, gone.offset, (first, last) => this.#pull(groupId, patient, first, last));
      if (parted && here()) index = obeyTrim(replica, gone);
    }
    if (index !== undefined) this.#ports.telemetry.log("info", "log.trim_obeyed", { group: replica.groupId, index });
  }

  async #pull(groupId: GroupId, patient: Patient, first: LogIndex, last: LogIndex): Promise<readonly Frame[] | undefined> {
    for (const broker of this.#ports.others(groupId)) {
      if (this.#closed) return undefined;
      const frames = await askRange(this.#ports.links, broker, groupId, first, last);
      if (frames !== undefined && "offset" in frames) {
        // What a later range of this repair finds gone reaches further.
        if (frames.index >= (patient.gone?.index ?? 0)) patient.gone = frames;
        continue;
      }
      if (frames === undefined || frames.length === 0) continue;
      patient.offered = true;
      await this.#pace.take(frames.reduce((sum, frame) => sum + frame.bytes.byteLength, 0));
      return frames;
    }
    return undefined;
  }
}

function fingerprint(holes: readonly Hole[]): string {
  return holes.map(({ path, first, last }) => `${path}:${first}-${last}`).join(" ");
}
