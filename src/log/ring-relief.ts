import type { GroupId, LogIndex, Term } from "../base/ids.ts";
import type { Clock } from "../base/ports/clock.ts";
import type { Telemetry } from "../base/ports/telemetry.ts";
import type { Frame } from "../records/frame-types.ts";
import type { DiskSpace } from "./disk-space.ts";
import type { Failure } from "./failure.ts";
import type { GroupLogImpl } from "./group-log.ts";
import type { FrameOwner } from "./model/held.ts";
import { FILES_KEPT, type Life, type Ring } from "./model/ring.ts";
import type { RingMaker } from "./ring-maker.ts";
import { ignoreStopped } from "./segment-output.ts";
import type { Inherited } from "./types.ts";
import type { Wal } from "./wal.ts";
import type { WalReader } from "./wal-reader.ts";

/**
 * Records without which nothing can be committed, and which find no room for so long, get a file more. Refusals further apart are not of one
 * time without room: a leader that has something to send asks several times a second.
 */
const REFUSED_MS = 2_000;
/** So many times as many files as it was to have a ring has at most for such records. */
const GROWTH_MAX = 2;

export interface ReliefPorts {
  readonly clock: Pick<Clock, "monotonic">;
  readonly ring: Ring;
  /** Files that the ring was to have. */
  readonly filesMax: number;
  /** Bytes of one file of the ring. */
  readonly fileBytes: number;
  readonly wal: Pick<Wal, "votesWait" | "releases" | "handedOver" | "system">;
  readonly walReader: Pick<WalReader, "readMany">;
  readonly telemetry: Telemetry;
  readonly failure: Pick<Failure, "error" | "guard" | "broken">;
  readonly space: Pick<DiskSpace, "full">;
  readonly maker: Pick<RingMaker, "ahead">;
  logs(): readonly ReliefLog[];
}

interface Moment {
  /** Milliseconds, monotonic. */
  readonly at: number;
  /** Rounds of the relief that were over. */
  readonly rounds: number;
}

/** Of what one leader of a group inherited. */
interface Wait {
  readonly term: Term;
  /** The first of what was refused. */
  readonly index: LogIndex;
  since: Moment;
  last: number;
  /** It stayed refused for long. */
  lasts: boolean;
}

/** As much of a group's log as this needs. */
export type ReliefLog = Pick<GroupLogImpl, "owner" | "toSegments" | "bytesIn" | "stuckIn"> & {
  readonly frames: Pick<GroupLogImpl["frames"], "written" | "between">;
};

/** Bytes of frames that are appended again, at most, to free the file they lie in: more would gain too little. */
export function againBytesMax(fileBytes: number): number {
  return fileBytes / 2;
}

/**
 * Frees files of the ring when half of it is needed: what is committed goes to segments at once, and what cannot be committed is
 * appended again at the end, so that the file it lies in is not needed any more (design §4).
 *
 * It hands over the records that say so and waits for none of them: they may wait for each other, because the last free file is begun only
 * for all that it takes to let another one go (`Wal`). Whoever waited for one of them here would not hand over the next.
 */
export class RingRelief {
  readonly #ports: ReliefPorts;
  #pressed = false;
  #writing = false;
  #again = false;
  #closed = false;
  /** The life of which it was said that it is pinned. */
  #pinned: Life | undefined;
  /** Groups whose frames in a life are being appended again. */
  readonly #moving = new Map<FrameOwner, Life>();
  /** Those of them that are being read: nothing of theirs was handed over yet. */
  #reading = 0;
  /** System records that had been handed over when it was last found that votes wait. */
  #handedOver = -1;

  /** What leaders inherited and this log has no room for. One for each group at most. */
  readonly #waits = new Map<GroupId, Wait>();
  /** How often all that is committed was in segments. */
  #rounds = 0;
  /** When the ring last grew for records, and after how many rounds. */
  #grew: Moment = { at: Number.NEGATIVE_INFINITY, rounds: 0 };
  #outgrown = false;

  constructor(ports: ReliefPorts) {
    this.#ports = ports;
  }

  /** Half of the ring is needed: what is committed goes to segments at once. */
  get pressed(): boolean {
    return this.#pressed;
  }

  close(): void {
    this.#closed = true;
  }

  /**
   * Moves the groups that keep the older half of a ring of which half is needed. One such move at a time.
   *
   * @param refused something found no room: what is committed goes whatever is needed of the ring
   */
  relieve(refused = false): void {
    const { ring, failure, space } = this.#ports;
    this.#pressed = ring.dirty * 2 >= ring.common;
    if (!(this.#pressed || refused) || this.#closed || failure.error !== undefined) return;
    if (this.#writing) {
      this.#again = true;
      // On a full disk segments are written when there is room again; until then there must be room for votes.
      if (space.full) this.#lastResort(this.#move());
      return;
    }
    this.#writing = true;
    this.#again = false;
    this.#write().then(
      () => {
        this.#writing = false;
        this.#rounds += 1;
        if (this.#lastResort(this.#move()) || this.#again) this.relieve();
      },
      (error: unknown) => failure.broken(error),
    );
  }

  /** What is committed, into segments. */
  async #write(): Promise<void> {
    const { ring, failure } = this.#ports;
    const old = ring.lives.slice(0, Math.max(1, Math.floor(ring.dirty / 2)));
    const logs = this.#ports.logs().filter((log) => old.some((life) => log.owner.pins.range(life) !== undefined));
    await Promise.all(logs.map((log) => failure.guard(log.toSegments().catch(ignoreStopped))));
  }

  /**
   * What is left in the oldest file cannot go to a segment: it is appended again when files run out.
   *
   * @returns whether anything will be handed over
   */
  #move(): boolean {
    const { ring, failure, fileBytes, telemetry } = this.#ports;
    const plenty = ring.common - ring.dirty > Math.max(FILES_KEPT.data, ring.common / 4);
    if (plenty || this.#closed || failure.error !== undefined) return false;
    const oldest = ring.lives[0];
    if (oldest === undefined || oldest === ring.current) return false;
    const logs = this.#ports.logs().filter((log) => log.owner.pins.range(oldest) !== undefined);
    const bytes = logs.reduce((sum, log) => sum + log.bytesIn(oldest), 0);
    if (bytes > againBytesMax(fileBytes)) {
      if (this.#pinned !== oldest) telemetry.log("warn", "log.ring_pinned", { bytes, files: ring.dirty });
      this.#pinned = oldest;
      return false;
    }
    const kept = logs.filter(
      ({ owner, frames }) => (owner.pins.range(oldest)?.last ?? 0) > frames.written || owner.cutIn(oldest).length > 0,
    );
    const unmoved = kept.filter(({ owner }) => this.#moving.get(owner) !== oldest);
    for (const log of unmoved) this.#appendAgain(log, oldest).catch((error: unknown) => failure.broken(error));
    return unmoved.length > 0;
  }

  /**
   * Votes wait, and all that could be handed over does not let a file go: only what the votes decide can, so they get a file more than the ring
   * was to have.
   *
   * @returns whether that is to be looked at again: there may be records of which it is not known yet what they do
   */
  #lastResort(moves: boolean): boolean {
    const { wal, ring, failure } = this.#ports;
    if (moves || !wal.votesWait || this.#freeing || this.#closed || failure.error !== undefined) return false;
    const news = this.#handedOver !== wal.handedOver;
    this.#handedOver = wal.handedOver;
    if (!news && ring.grow()) this.#tellGrown();
    return news;
  }

  /**
   * The oldest file goes without a file more: nothing keeps it but a block that is being written, or a read; records that let it go wait for
   * their block and have room; or frames are being read to be appended again. Each of these ends by itself, and then it is looked at again.
   */
  get #freeing(): boolean {
    const { wal, ring } = this.#ports;
    return this.#reading > 0 || ring.lives[0]?.pins === 0 || wal.releases;
  }

  /** Whether these have files that the ring grows by: they found no room for long. */
  mayUseGrown({ groupId, term }: Inherited): boolean {
    const wait = this.#waits.get(groupId);
    return wait?.lasts === true && wait.term === term;
  }

  /**
   * What a leader inherited found no room, and while it is not here the leader may be unable to commit anything: its own first entry stands
   * behind it. Where others can do without this replica it is known to be committed soon, and not asked for again. Otherwise, when the
   * ring stays as it is all the same, these records get files of their own, one by one: whatever keeps the oldest file, of whichever
   * group, may wait for a broker that waits for this commit.
   */
  refused({ groupId, term, index }: Inherited): void {
    const { clock, failure } = this.#ports;
    const now: Moment = { at: clock.monotonic(), rounds: this.#rounds };
    const known = this.#waits.get(groupId);
    // Of a leader that another one has followed: what it sent may come late, and says nothing of now.
    if (known !== undefined && term < known.term) return;
    const same = known?.term === term && (known.lasts || known.index === index);
    const wait: Wait = same ? known : { term, index, since: now, last: now.at, lasts: false };
    this.#waits.set(groupId, wait);
    if (now.at - wait.last > REFUSED_MS) wait.since = now;
    wait.last = now.at;
    if (this.#closed || failure.error !== undefined || !this.#stayed(wait.since) || !this.#stuck) return;
    // There may be such files already: it is asked once more before there is another.
    if (wait.lasts && this.#stayed(this.#grew)) this.#growForRecords(now);
    wait.lasts = true;
  }

  /** The group is gone. */
  forget(groupId: GroupId): void {
    this.#waits.delete(groupId);
  }

  /** Long enough ago, and the relief did what it could: one round may have been under way then; of one that began since the end is known. */
  #stayed({ at, rounds }: Moment): boolean {
    return this.#ports.clock.monotonic() - at >= REFUSED_MS && this.#rounds >= rounds + 2;
  }

  /** What keeps the oldest file no segment takes, and it is not being appended again: nothing that is under way lets the file go. */
  get #stuck(): boolean {
    const [oldest] = this.#ports.ring.lives;
    if (oldest === undefined || this.#moving.size > 0 || this.#freeing) return false;
    return this.#ports.logs().some((log) => log.stuckIn(oldest));
  }

  #growForRecords(now: Moment): void {
    const { ring, space, filesMax, telemetry } = this.#ports;
    if (space.full) return;
    if (ring.files >= GROWTH_MAX * filesMax) {
      if (!this.#outgrown) telemetry.log("warn", "log.ring_outgrown", { files: ring.files });
      this.#outgrown = true;
    } else if (ring.grow("data")) {
      this.#grew = now;
      this.#tellGrown();
    }
  }

  #tellGrown(): void {
    const { telemetry, ring, maker } = this.#ports;
    telemetry.log("warn", "log.ring_grew", { files: ring.files });
    maker.ahead();
  }

  /** Writes frames once more, so that the file they lie in is not needed any more. */
  async #appendAgain({ owner, frames }: ReliefLog, from: Life): Promise<void> {
    const { wal, walReader } = this.#ports;
    const range = owner.pins.range(from);
    if (range === undefined) return;
    this.#moving.set(owner, from);
    // What is in segments is not: the record that says so lets go of it.
    const above = frames.written;
    const inLife = frames.between(range.first, range.last).filter((one) => one.block.life === from);
    const held = [...owner.cutIn(from), ...inLife];
    this.#reading += 1;
    const read = await walReader.readMany(held).finally(() => {
      this.#reading -= 1;
    });
    for (const [i, one] of held.entries()) wal.system({ kind: "again", held: one, frame: read[i] as Frame, durable: () => {} });
    wal.system({ kind: "moved", owner, life: from, above, durable: () => this.#moving.delete(owner) });
  }
}
