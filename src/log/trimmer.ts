import type { GroupId, LogIndex, Offset, ReplicaId } from "../base/ids.ts";
import type { FrameOwner } from "./model/held.ts";
import type { LogStart } from "./model/records.ts";
import type { Segment } from "./segment.ts";
import type { Wal } from "./wal.ts";

export interface TrimmerState {
  readonly groupId: GroupId;
  readonly replicaId: ReplicaId;
  readonly owner: FrameOwner;
  readonly start: LogStart;
  readonly startOffset: Offset;
  /** The log's own list, oldest first: what is dropped is taken off it. */
  readonly segments: Segment[];
}

export interface TrimHost {
  readonly wal: Pick<Wal, "system">;
  /** First index that somebody still needs, whatever is trimmed: a follower that is behind. */
  needed(): LogIndex;
  /** Removes the files, readers excepted, and makes that durable. Rejects only when the broker ends, or the group is gone. */
  removeSegments(segments: readonly Segment[]): Promise<void>;
  /** The log begins after `start` now. */
  moved(start: LogStart): void;
}

/**
 * Moves the start of one group's log (design §4, Trim). Two things move:
 *
 * - the *log start offset*, as soon as a trim frame is committed: what lies below cannot be read. Its `trim` record goes to the
 *   write-ahead log before any `synced` record that passes over the frame; until then the frame itself is replayed after a crash.
 * - the *start* of what is on disk: whole segments that end at or below the log start offset go, never the newest one that is
 *   synced. First the record that says where the log begins, then the files, then their directory: a crash between leaves files
 *   that the next start removes (`loadSegments`).
 */
export class Trimmer {
  readonly #state: TrimmerState;
  readonly #host: TrimHost;
  #start: LogStart;
  #startOffset: Offset;
  /** The newest start that a record names: later records must not fall behind it. */
  #recorded: LogStart;
  /** First index of the newest segment that a durable `synced` record names: what stands before it may go. */
  #syncedBase: LogIndex;
  #dropping = false;
  #removing: Promise<void> | undefined;
  #closed = false;

  constructor(state: TrimmerState, host: TrimHost) {
    this.#state = state;
    this.#host = host;
    this.#start = state.start;
    this.#startOffset = state.startOffset;
    this.#recorded = state.start;
    this.#syncedBase = state.segments.at(-1)?.name.baseIndex ?? (0 as LogIndex);
  }

  get start(): LogStart {
    return this.#start;
  }
  get startOffset(): Offset {
    return this.#startOffset;
  }
  /** Segments lie wholly below the log start offset, the newest included. */
  get hasDoomed(): boolean {
    const first = this.#state.segments[0];
    return first !== undefined && first.endOffset <= this.#startOffset;
  }

  /** A trim to `offset` is committed. */
  committed(offset: Offset): void {
    if (offset <= this.#startOffset) return;
    this.#startOffset = offset;
    if (!this.drop()) this.#record(this.#recorded, () => {});
  }

  /** A `synced` record is durable that names the segment that begins at `baseIndex` as the newest. */
  synced(baseIndex: LogIndex): void {
    if (baseIndex <= this.#syncedBase) return;
    this.#syncedBase = baseIndex;
    this.drop();
  }

  /** Drops what may go. One drop at a time; what is found meanwhile goes with the next. @returns whether one begins now */
  drop(): boolean {
    if (this.#dropping || this.#closed) return false;
    const doomed = this.#doomed();
    const last = doomed.at(-1);
    if (last === undefined) return false;
    this.#dropping = true;
    const start = { index: last.lastIndex, term: last.lastTerm, offset: last.endOffset };
    this.#record(start, () => this.#remove(doomed, start));
    return true;
  }

  /** Resolves when no file is being removed; none is afterwards. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#removing;
  }

  #doomed(): readonly Segment[] {
    const { segments } = this.#state;
    const needed = this.#host.needed();
    const kept = segments.findIndex(
      (one) => one.endOffset > this.#startOffset || one.name.baseIndex >= this.#syncedBase || one.lastIndex >= needed,
    );
    return segments.slice(0, kept < 0 ? segments.length : kept);
  }

  #record(start: LogStart, durable: () => void): void {
    this.#recorded = start;
    const { groupId, replicaId, owner } = this.#state;
    const op = { kind: "trim", groupId, replicaId, startOffset: this.#startOffset, start } as const;
    this.#host.wal.system({ kind: "op", op, owner, durable });
  }

  #remove(doomed: readonly Segment[], start: LogStart): void {
    if (this.#closed) return;
    this.#start = start;
    this.#state.segments.splice(0, doomed.length);
    for (const segment of doomed) segment.dropped = true;
    this.#host.moved(start);
    this.#removing = this.#host.removeSegments(doomed).then(
      () => {
        this.#removing = undefined;
        this.#dropping = false;
        this.drop();
      },
      // The disk failed, which the store has said, or the group went away: the next start removes them.
      () => {},
    );
  }
}
