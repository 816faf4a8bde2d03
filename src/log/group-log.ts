import type { GroupId, LogIndex, Offset, ReplicaId, Term } from "../base/ids.ts";
import { InvariantViolated, invariant } from "../base/invariant.ts";
import { type Frame, type FrameDraft, type FramePlace, FrameType, nextOffsetOf } from "../records/frame-types.ts";
import { trimOf } from "../records/trim.ts";
import { type ColdReader, holdsOffset, type ReadFrom, SegmentDropped } from "./cold-reader.ts";
import type { PacedRead } from "./file-window.ts";
import { markOf } from "./first-segment.ts";
import type { Hole, PullFrames } from "./holes.ts";
import type { FrameListener, FrameOwner, FrameQueue, HeldFrame } from "./model/held.ts";
import { type InstallOutcome, type InstallPoint, judgeInstall } from "./model/install.ts";
import { Producers } from "./model/producers.ts";
import type { LogStart, SyncedMark } from "./model/records.ts";
import type { Life } from "./model/ring.ts";
import type { StartPoint as SegmentStart } from "./model/segment-files.ts";
import { type TermStart, TermTable } from "./model/terms.ts";
import type { Segment } from "./segment.ts";
import { type DoctorHost, type ScrubResult, SegmentDoctor } from "./segment-doctor.ts";
import { PIECE_BYTES_MIN, type SegmentSource, type SegmentWriter, type SegmentWriterOptions, WriterStopped } from "./segment-writer.ts";
import { Trimmer } from "./trimmer.ts";
import type { GroupLog, GroupWrite, ProducerTable, ReadResult, RecoveredGroup, SegmentSpan } from "./types.ts";
import type { Wal } from "./wal.ts";
import type { WalReader } from "./wal-reader.ts";

/** What one group's log needs of the store. */
export interface GroupHost {
  readonly wal: Wal;
  readonly walReader: WalReader;
  readonly cold: ColdReader;
  readonly doctor: DoctorHost;
  /** Frames out of the write-ahead log for a reader. @throws {MillraceError} DATA_LOSS */
  readWal(frames: readonly HeldFrame[]): Promise<readonly Frame[]>;
  /** Terms that are in the write-ahead log as issued, for start points. */
  terms(groupId: GroupId): readonly TermStart[];
  /** The configuration in force at an index at or above the synced one, as far as the write-ahead log knows. */
  configAt(groupId: GroupId, index: number): Uint8Array | undefined;
  makeWriter(source: SegmentSource, segment: Segment | undefined): SegmentWriter;
  /** Frames of this group became durable: `advance` wants to be called at the end of the block. */
  touched(log: GroupLogImpl): void;
  /** The write-ahead log waits for files: what is committed should go to segments at once. */
  readonly pressed: boolean;
  relieve(): void;
  /** So many more bytes are not committed, or fewer. */
  uncommitted(bytes: number): void;
  recoveredOf(groupId: GroupId): RecoveredGroup;
  /** The producers as of a segment's first frame, and the rest of its start point. @throws {MillraceError} DATA_LOSS */
  readStart(segment: Segment): Promise<SegmentStart>;
  /** Writes the first segment of a log that begins anew. A failure is that of the disk, unless the group went away meanwhile. */
  firstSegment(log: GroupLogImpl, point: InstallPoint): Promise<Segment>;
  /** Removes files that nothing points to any more. */
  removeSegments(log: GroupLogImpl, segments: readonly Segment[]): Promise<void>;
  /** Rejects when the store has failed, so that nobody waits for ever. */
  guard<T>(work: Promise<T>): Promise<T>;
}

export interface GroupState {
  readonly groupId: GroupId;
  readonly replicaId: ReplicaId;
  readonly start: LogStart;
  readonly startOffset: Offset;
  readonly doubted: boolean;
  readonly config: Uint8Array;
  readonly lastAppendTime: number;
  readonly owner: FrameOwner;
  /** Frames that are not known to be in a segment. */
  readonly frames: FrameQueue;
  readonly segments: readonly Segment[];
  /** Undefined: damaged segments keep it from being known, until they are repaired. */
  readonly producers: Producers | undefined;
  readonly syncedIndex: LogIndex;
}

/** One group of one broker: hot frames in memory, the rest in segments, and what lies between in the write-ahead log. */
export class GroupLogImpl implements GroupLog, FrameListener, SegmentSource {
  readonly groupId: GroupId;
  readonly replicaId: ReplicaId;
  #producers: Producers & ProducerTable;
  #config: Uint8Array;
  readonly #host: GroupHost;
  readonly #owner: FrameOwner;
  readonly #frames: FrameQueue;
  #segments: Segment[];
  #writer: SegmentWriter;
  /** What `configure` said; a writer made later begins with it. */
  #writerOptions: SegmentWriterOptions | undefined;
  #trimmer: Trimmer;
  /** First index that somebody still needs, whatever is trimmed. */
  #needed: () => LogIndex = () => Number.MAX_SAFE_INTEGER as LogIndex;
  /** A committed trim that would let segments go once this index is in them. */
  #flushAt = Number.POSITIVE_INFINITY;
  /** The log is about to begin elsewhere: nothing may be appended to what it is. */
  #installing = false;
  #extending = false;
  #doctor: SegmentDoctor;
  #doubted: boolean;
  #lastAppendTime: number;
  #hotFrom: LogIndex;
  #committed: LogIndex;
  /** Highest index whose block, and all before it, is on disk. */
  #durable: LogIndex;
  /** In segments, synced or not. */
  #written: LogIndex;
  /** In segments, and a durable `synced` record says so. */
  #synced: LogIndex;
  /** Committed and durable; `#writableBytes` counts those above `#written`. */
  #writable: LogIndex;
  #writableBytes = 0;
  #pendingBytes = 0;
  #uncommittedBytes = 0;
  /** Terms that begin in frames which go into the segments past the write-ahead log. */
  #extendedTerms: readonly TermStart[] = [];
  /** Configuration frames among them. */
  #extendedConfigs: readonly Frame[] = [];
  #touched = false;
  #closed = false;

  constructor(state: GroupState, host: GroupHost) {
    this.groupId = state.groupId;
    this.replicaId = state.replicaId;
    this.#producers = state.producers ?? new Producers();
    this.#config = state.config;
    this.#doubted = state.doubted;
    this.#host = host;
    this.#owner = state.owner;
    this.#frames = state.frames;
    this.#segments = [...state.segments];
    this.#lastAppendTime = state.lastAppendTime;
    this.#committed = state.syncedIndex;
    this.#written = state.syncedIndex;
    this.#synced = state.syncedIndex;
    this.#writable = state.syncedIndex;
    this.#durable = state.frames.lastIndex;
    this.#hotFrom = (state.frames.lastIndex + 1) as LogIndex;
    for (let index = state.frames.baseIndex + 1; index <= state.frames.lastIndex; index += 1) {
      const held = this.#held(index);
      this.#pendingBytes += held.length;
      if (index > this.#committed) this.#uncommitted(held.length);
      this.producers.append(held);
    }
    const newest = state.segments.at(-1);
    this.#writer = host.makeWriter(this, newest?.sealed === false ? newest : undefined);
    this.#trimmer = this.#makeTrimmer(state.start, state.startOffset);
    this.#doctor = new SegmentDoctor(this, this.#segments, this.#writer, host.doctor, state.producers === undefined);
    this.#owner.listener = this;
  }

  get start(): LogStart {
    return this.#trimmer.start;
  }
  get startOffset(): Offset {
    return this.#trimmer.startOffset;
  }
  get producers(): Producers & ProducerTable {
    return this.#producers;
  }
  get asRecovered(): RecoveredGroup {
    return this.#host.recoveredOf(this.groupId);
  }
  get closed(): boolean {
    return this.#closed;
  }
  get lastIndex(): LogIndex {
    return this.#frames.lastIndex;
  }
  get endOffset(): Offset {
    return this.#frames.get(this.lastIndex)?.nextOffset ?? this.#frames.baseOffset;
  }
  get lastAppendTime(): number {
    return this.#lastAppendTime;
  }
  get hotFrom(): LogIndex {
    return this.#hotFrom;
  }
  get pendingBytes(): number {
    return this.#pendingBytes;
  }
  get segmentBytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.position, 0);
  }
  get segments(): readonly SegmentSpan[] {
    return this.#segments;
  }
  get unwrittenSince(): number | undefined {
    return this.#frames.get(this.#written + 1)?.appendTime;
  }
  get holes(): readonly Hole[] {
    return this.#doctor.holes;
  }
  get doubted(): boolean {
    return this.#doubted;
  }
  get owner(): FrameOwner {
    return this.#owner;
  }

  configure(options: SegmentWriterOptions): void {
    this.#writerOptions = options;
    this.#writer.configure(options);
  }

  keepFor(needed: () => LogIndex): void {
    this.#needed = needed;
  }

  dropTrimmed(): void {
    this.#trimmer.drop();
  }

  write(write: GroupWrite, durable: () => void): readonly Frame[] {
    invariant(!this.#closed, () => `group ${this.groupId} is closed`);
    const { wal } = this.#host;
    if (write.state !== undefined) wal.op({ kind: "state", groupId: this.groupId, ...write.state }, this.#owner);
    if (write.truncateFrom !== undefined) this.#truncate(write.truncateFrom);
    const frames: Frame[] = [];
    for (const source of write.frames) frames.push(this.#append(source));
    wal.whenDurable(durable);
    return frames;
  }

  commit(index: LogIndex): void {
    invariant(index <= this.lastIndex, () => `group ${this.groupId} ends at ${this.lastIndex}, commits ${index}`);
    if (index <= this.#committed) return;
    let bytes = 0;
    for (let at = this.#committed + 1; at <= index; at += 1) {
      const held = this.#held(at);
      bytes += held.length;
      if (held.trim !== undefined) this.#trimTo(held.trim, held.index);
    }
    this.#uncommitted(-bytes);
    this.#committed = index;
    this.advance();
  }

  frame(index: LogIndex): Frame | undefined {
    return this.#frames.get(index)?.frame;
  }

  offsetAfter(index: LogIndex): Offset {
    if (index === this.#frames.baseIndex) return this.#frames.baseOffset;
    if (index === this.start.index) return this.start.offset;
    const held = this.#frames.get(index);
    if (held !== undefined) return held.nextOffset;
    const segment = this.#segments.find((one) => one.lastIndex === index);
    invariant(segment !== undefined, () => `group ${this.groupId} does not remember where frame ${index} ends`);
    return segment.endOffset;
  }

  read(index: LogIndex, maxBytes: number, upTo: LogIndex, heals = true): ReadResult | Promise<ReadResult> {
    if (index <= this.start.index) return { kind: "below-start", start: this.start };
    const last = Math.min(upTo, this.lastIndex) as LogIndex;
    if (index > last) return { kind: "frames", frames: [] };
    return this.#hot(index, maxBytes, last) ?? this.#cold({ index }, (frame) => frame.index >= index, maxBytes, last, heals);
  }

  readFrom(offset: Offset, maxBytes: number, upTo: LogIndex): ReadResult | Promise<ReadResult> {
    if (offset < this.startOffset) return { kind: "below-start", start: this.start };
    const last = Math.min(upTo, this.lastIndex) as LogIndex;
    if (offset >= this.endOffset || last <= this.start.index) return { kind: "frames", frames: [] };
    if (offset >= this.#frames.baseOffset) {
      const held = this.#frames.find((frame) => frame.nextOffset > offset);
      if (held === undefined || held.index > last) return { kind: "frames", frames: [] };
      return this.read(held.index, maxBytes, last);
    }
    return this.#cold({ offset }, holdsOffset(offset), maxBytes, last);
  }

  async findTime(timestampMs: number, upTo: LogIndex, from: Offset = this.startOffset): Promise<Frame | undefined> {
    const last = Math.min(upTo, this.lastIndex) as LogIndex;
    const wanted = (frame: Pick<Frame, "baseOffset" | "recordCount" | "maxTimestamp">): boolean =>
      frame.recordCount > 0 && frame.maxTimestamp >= timestampMs && nextOffsetOf(frame) > from;
    // Frames move into segments while we read: what was passed over in memory is looked for again there.
    for (let done = this.start.index; done < Math.min(last, this.#written); ) {
      const written = this.#written;
      for (const segment of this.#segments.filter((one) => one.lastIndex > done && one.maxTimestamp >= timestampMs)) {
        const upToWritten = Math.min(last, written) as LogIndex;
        const read = { wanted, maxBytes: 1, upTo: upToWritten };
        const look = (): Promise<readonly Frame[]> =>
          this.#host.cold.read(this.groupId, segment, { time: timestampMs }, read).catch(noneIfDropped);
        const frames = await this.#doctor.read(look, true);
        if (frames[0] !== undefined) return frames[0];
      }
      done = written;
    }
    for (let index = this.#written + 1; index <= Math.min(last, this.lastIndex); index += 1) {
      const held = this.#frames.get(index);
      if (held !== undefined && wanted(held)) return held.frame ?? (await this.#host.readWal([held]))[0];
    }
    return undefined;
  }

  vouched(): void {
    if (!this.#doubted || this.#closed) return;
    this.#doubted = false;
    const { groupId, replicaId } = this;
    this.#host.wal.op({ kind: "doubt", groupId, replicaId, doubted: false }, this.#owner);
    this.#host.wal.kick();
  }

  repair(pull: PullFrames): Promise<boolean> {
    return this.#doctor.repair(pull);
  }

  scrub(paced: PacedRead): Promise<ScrubResult> {
    return this.#doctor.scrub(paced);
  }

  async extend(frames: readonly Frame[]): Promise<void> {
    const first = frames[0];
    const last = frames.at(-1);
    if (first === undefined || last === undefined) return;
    // Everything said before must be durable before the record that passes over it.
    await this.#host.guard(this.#host.wal.barrier());
    invariant(first.index === this.lastIndex + 1, () => `group ${this.groupId} ends at ${this.lastIndex}, is extended at ${first.index}`);
    invariant(first.baseOffset === this.endOffset, () => `group ${this.groupId} ends at offset ${this.endOffset}, not ${first.baseOffset}`);
    this.commit(this.lastIndex);
    await this.#host.guard(this.#writer.flush());
    invariant(first.index === this.lastIndex + 1 && !this.#installing, "nothing is appended while a group is extended");
    for (const frame of frames) this.producers.append(frame);
    // Before the records that say these frames are synced: after a crash only what lies above is committed anew.
    for (const frame of frames) {
      const trim = trimOf(frame);
      if (trim !== undefined) this.#trimmer.committed(trim);
    }
    this.#extendedTerms = frames
      .filter((frame, i) => frame.term !== frames[i - 1]?.term)
      .map((frame) => ({ term: frame.term, firstIndex: frame.index }));
    this.#extendedConfigs = frames.filter((frame) => frame.type === FrameType.config);
    this.#extending = true;
    await this.#host.guard(this.#writer.extend(frames)).finally(() => {
      this.#extending = false;
    });
    this.#extendedTerms = [];
    this.#extendedConfigs = [];
    this.#lastAppendTime = last.appendTime;
    this.#frames.reset(last.index, nextOffsetOf(last));
    this.#hotFrom = (last.index + 1) as LogIndex;
    this.#committed = last.index;
    this.#durable = last.index;
    this.#writable = last.index;
  }

  async startState(): Promise<InstallPoint> {
    const { start } = this;
    const first = this.#segments[0];
    if (first === undefined || first.name.baseIndex !== start.index + 1)
      return {
        start,
        terms: [],
        config: this.#config,
        producers: new Producers(),
        appendTime: start.index === 0 ? 0 : this.#lastAppendTime,
      };
    const { terms, producers, config } = await this.#host.readStart(first);
    return { start, terms, config, producers, appendTime: first.frames > 0 ? first.firstAppendTime : this.#lastAppendTime };
  }

  async install(point: InstallPoint): Promise<InstallOutcome> {
    invariant(!this.#extending, () => `group ${this.groupId} is extended while it is to begin anew`);
    // What was said before must be durable before the record that passes over it, and known to the image that is asked for terms.
    await this.#host.guard(this.#host.wal.barrier());
    const outcome = judgeInstall({ committed: this.#committed, lastIndex: this.lastIndex, termAt: (at) => this.#termAt(at) }, point.start);
    if (outcome === "kept") this.commit(point.start.index);
    if (outcome !== "installed") return outcome;
    invariant(!this.#installing, () => `group ${this.groupId} begins anew twice at once`);
    this.#installing = true;
    try {
      const segment = await this.#host.guard(this.#host.firstSegment(this, point));
      await this.#host.guard(this.#writer.retire());
      await this.#host.guard(this.#trimmer.close());
      if (this.#closed) throw new WriterStopped();
      await this.#host.guard(this.#begin(segment, point));
    } finally {
      this.#installing = false;
    }
    return outcome;
  }

  /** Forgets everything and begins at `point`, in one turn with the record that says so. Resolves when all of it is durable and tidy. */
  async #begin(segment: Segment, point: InstallPoint): Promise<void> {
    const { groupId, replicaId } = this;
    const { start, config } = point;
    const before = this.#segments;
    // From here on a frame that waits to be appended again, or for its memory, is nobody's: it must not follow the record.
    for (let index = this.#frames.baseIndex + 1; index <= this.lastIndex; index += 1) this.#held(index).gone = true;
    this.#uncommitted(-this.#uncommittedBytes);
    this.#pendingBytes = 0;
    this.#writableBytes = 0;
    this.#config = config;
    this.#producers = point.producers;
    this.#lastAppendTime = point.appendTime;
    this.#frames.reset(start.index, start.offset);
    this.#segments = [segment];
    // A log start offset above this beginning comes with the frames: the trim that moved it there lies behind.
    this.#trimmer = this.#makeTrimmer(start, start.offset);
    this.#flushAt = Number.POSITIVE_INFINITY;
    this.#hotFrom = (start.index + 1) as LogIndex;
    this.#committed = this.#durable = this.#written = this.#synced = this.#writable = start.index;
    this.#writer = this.#host.makeWriter(this, segment);
    if (this.#writerOptions !== undefined) this.#writer.configure(this.#writerOptions);
    this.#doctor.stop();
    this.#doctor = new SegmentDoctor(this, this.#segments, this.#writer, this.#host.doctor, false);
    const op = { kind: "install", groupId, replicaId, start, config, mark: markOf(segment, point) } as const;
    await new Promise<void>((durable) => this.#host.wal.system({ kind: "op", op, owner: this.#owner, durable }));
    await this.#host.removeSegments(this, before);
  }

  /** As the write-ahead log knows it. */
  #termAt(index: LogIndex): Term | undefined {
    const { start } = this;
    if (index === start.index) return start.term;
    if (index < start.index || index > this.lastIndex) return undefined;
    return new TermTable(this.#host.terms(this.groupId)).termAt(index);
  }

  // Told by the write-ahead log.

  durable(frame: HeldFrame): void {
    this.#durable = frame.index;
    if (this.#touched) return;
    this.#touched = true;
    this.#host.touched(this);
  }

  stays(frame: HeldFrame): "must" | "rather" | "no" {
    if (frame.index > this.#committed) return "must";
    return frame.index > this.#written ? "rather" : "no";
  }

  cooled(frame: HeldFrame): void {
    this.#hotFrom = Math.max(this.#hotFrom, frame.index + 1) as LogIndex;
    this.#trim();
  }

  /** Memory was given to a recovered frame; frames come newest first. */
  warmed(frame: HeldFrame): void {
    if (frame.index === this.#hotFrom - 1) this.#hotFrom = frame.index;
  }

  /** Commit or durability moved: frames that are both may go to the segments. */
  advance(): void {
    this.#touched = false;
    const limit = Math.min(this.#committed, this.#durable);
    while (this.#writable < limit) {
      this.#writable = (this.#writable + 1) as LogIndex;
      this.#writableBytes += this.#held(this.#writable).length;
    }
    if (this.#writable >= this.#flushAt) this.#flushForTrim();
    else if (this.#writableBytes >= PIECE_BYTES_MIN) this.#writer.kick(PIECE_BYTES_MIN);
    else if (this.#writableBytes > 0 && this.#host.pressed) this.#host.relieve();
  }

  /** Writes what is committed without waiting for a whole piece: memory is short. */
  push(): void {
    if (this.#writableBytes > 0) this.#writer.kick(1);
  }

  /** Everything committed and durable into segments, synced; resolves when the `synced` record is durable. */
  flush(): Promise<void> {
    return this.#writer.flush();
  }

  /** Frames are in segments that no durable `synced` record covers yet. */
  get unsynced(): boolean {
    return this.#written > this.#synced;
  }

  /** Frames in [first, last] that are in no segment yet. */
  heldBetween(first: number, last: number): HeldFrame[] {
    const held: HeldFrame[] = [];
    for (let index = Math.max(first, this.#written + 1); index <= last; index += 1) {
      const frame = this.#frames.get(index);
      if (frame !== undefined) held.push(frame);
    }
    return held;
  }

  /** Bytes of frames that are in no segment and lie in this life of a ring file. */
  bytesIn(life: Life): number {
    const range = this.#owner.pins.range(life);
    if (range === undefined) return 0;
    const held = this.heldBetween(range.first, range.last).filter((one) => one.block.life === life);
    return [...held, ...this.#owner.cutIn(life)].reduce((sum, one) => sum + one.length, 0);
  }

  /** The group is about to go away. */
  refuseWrites(): void {
    invariant(!this.#closed, () => `group ${this.groupId} is closed`);
    this.#closed = true;
  }

  /** The group goes away: its frames need no place any more. */
  abandon(): Promise<void> {
    for (const held of this.heldBetween(0, this.lastIndex)) held.gone = true;
    this.#uncommitted(-this.#uncommittedBytes);
    return this.close();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#doctor.stop();
    await this.#writer.stop();
    await this.#trimmer.close();
    for (const segment of this.#segments) await this.#host.cold.forget(segment);
  }

  // Asked by the segment writer.

  writable(least: number, most: number): readonly HeldFrame[] {
    if (this.#writableBytes < least) return [];
    const piece: HeldFrame[] = [];
    let bytes = 0;
    for (let index = this.#written + 1; index <= this.#writable; index += 1) {
      const held = this.#held(index);
      if (piece.length > 0 && bytes + held.length > most) break;
      piece.push(held);
      bytes += held.length;
    }
    return piece;
  }

  bytesOf(frames: readonly HeldFrame[]): Promise<readonly Frame[]> {
    return this.#host.walReader.readMany(frames);
  }

  written(segment: Segment): void {
    for (let index = this.#written + 1; index <= Math.min(segment.lastIndex, this.#writable); index += 1) {
      const { length } = this.#held(index);
      this.#writableBytes -= length;
      this.#pendingBytes -= length;
    }
    this.#written = segment.lastIndex;
    this.#trim();
  }

  startPoint(name: Segment["name"]): Omit<SegmentStart, "producers"> {
    const index = (name.baseIndex - 1) as LogIndex;
    const table = new TermTable(this.#host.terms(this.groupId));
    for (const { firstIndex, term } of this.#extendedTerms)
      if (firstIndex > (table.starts.at(-1)?.firstIndex ?? 0)) table.append(firstIndex, term);
    const terms = table.starts.filter((start) => start.firstIndex <= index);
    const start = { index, term: terms.at(-1)?.term ?? this.start.term, offset: name.baseOffset };
    return { groupId: this.groupId, replicaId: this.replicaId, start, terms, config: this.#configAt(index) };
  }

  #extendedConfigAt(index: LogIndex): Uint8Array | undefined {
    return this.#extendedConfigs.findLast((frame) => frame.index <= index)?.payload;
  }

  #configAt(index: LogIndex): Uint8Array {
    return this.#extendedConfigAt(index) ?? this.#host.configAt(this.groupId, index) ?? this.#config;
  }

  began(segment: Segment): void {
    this.#segments.push(segment);
  }

  synced(mark: SyncedMark): Promise<void> {
    const terms = this.#extendedTerms.filter((start) => start.firstIndex <= mark.index);
    return new Promise((resolve) => {
      const durable = (): void => {
        this.#synced = mark.index;
        this.#trimmer.synced(mark.baseIndex);
        resolve();
      };
      this.#host.wal.system({
        kind: "op",
        op: { kind: "synced", groupId: this.groupId, replicaId: this.replicaId, mark, terms, config: this.#extendedConfigAt(mark.index) },
        owner: this.#owner,
        durable,
      });
    });
  }

  #append(source: Frame | { readonly draft: FrameDraft; readonly place: FramePlace }): Frame {
    invariant(!this.#installing, () => `group ${this.groupId} begins anew, nothing is appended to it`);
    const place: FramePlace = "bytes" in source ? source : source.place;
    invariant(place.groupId === this.groupId, () => `a frame of group ${place.groupId} in group ${this.groupId}`);
    invariant(place.index === this.lastIndex + 1, () => `group ${this.groupId} ends at ${this.lastIndex}, appends ${place.index}`);
    invariant(
      place.baseOffset === this.endOffset,
      () => `group ${this.groupId} ends at offset ${this.endOffset}, appends ${place.baseOffset}`,
    );
    const held = this.#host.wal.frame(this.#owner, source);
    this.#frames.push(held);
    this.#pendingBytes += held.length;
    this.#uncommitted(held.length);
    this.#lastAppendTime = held.appendTime;
    this.producers.append(held);
    return held.frame as Frame;
  }

  #truncate(from: LogIndex): void {
    invariant(from > this.#committed, () => `group ${this.groupId} has committed ${this.#committed}, truncates ${from}`);
    if (from > this.lastIndex) return;
    const cut = this.#frames.truncate(from);
    this.#owner.cuts.push(new Set(cut));
    for (const held of cut) {
      held.gone = true;
      this.#pendingBytes -= held.length;
      this.#uncommitted(-held.length);
    }
    this.producers.truncate(from);
    this.#durable = Math.min(this.#durable, from - 1) as LogIndex;
    this.#hotFrom = Math.min(this.#hotFrom, from) as LogIndex;
    this.#lastAppendTime = this.#frames.get(this.lastIndex)?.appendTime ?? this.#lastAppendTime;
    this.#host.wal.op(
      { kind: "truncate", groupId: this.groupId, from, offset: this.endOffset, appendTime: this.#lastAppendTime },
      this.#owner,
    );
  }

  #uncommitted(bytes: number): void {
    this.#uncommittedBytes += bytes;
    this.#host.uncommitted(bytes);
  }

  #held(index: number): HeldFrame {
    const held = this.#frames.get(index);
    invariant(held !== undefined, () => `group ${this.groupId} does not hold frame ${index}`);
    return held;
  }

  #makeTrimmer(start: LogStart, startOffset: Offset): Trimmer {
    const { groupId, replicaId } = this;
    return new Trimmer(
      { groupId, replicaId, owner: this.#owner, start, startOffset, segments: this.#segments },
      {
        wal: this.#host.wal,
        needed: () => this.#needed(),
        removeSegments: (segments) => this.#host.removeSegments(this, segments),
        moved: (to) => this.#startMoved(to),
      },
    );
  }

  #trimTo(offset: Offset, at: LogIndex): void {
    this.#trimmer.committed(offset);
    if (this.#trimmer.hasDoomed) this.#flushAt = at;
  }

  /** Segments may go once the trim is behind them: what is committed is written now, not when there is enough of it. */
  #flushForTrim(): void {
    this.#flushAt = Number.POSITIVE_INFINITY;
    this.#writer.flush().catch((error: unknown) => {
      // A failed disk was told of by the writer.
      if (error instanceof InvariantViolated) throw error;
    });
  }

  /** Frames below are not for anybody to read or send, also those that are in memory still. */
  #startMoved(start: LogStart): void {
    this.#hotFrom = Math.max(this.#hotFrom, start.index + 1) as LogIndex;
  }

  /** Forgets frames that a segment has and memory has not. */
  #trim(): void {
    let through = this.#frames.baseIndex;
    while (through < this.#written) {
      const held = this.#frames.get(through + 1);
      if (held === undefined || held.frame !== undefined) break;
      through = held.index;
    }
    this.#frames.dropThrough(through);
  }

  #hot(index: LogIndex, maxBytes: number, last: LogIndex): ReadResult | undefined {
    const frames: Frame[] = [];
    let bytes = 0;
    for (let at = index; at <= last; at = (at + 1) as LogIndex) {
      const frame = this.#frames.get(at)?.frame;
      if (frame === undefined) break;
      if (frames.length > 0 && bytes + frame.bytes.length > maxBytes) break;
      frames.push(frame);
      bytes += frame.bytes.length;
    }
    return frames.length === 0 ? undefined : { kind: "frames", frames };
  }

  #cold(from: ReadFrom, wanted: (frame: Frame) => boolean, maxBytes: number, last: LogIndex, heals = true): Promise<ReadResult> {
    return this.#doctor.read(() => this.#coldOnce(from, wanted, maxBytes, last), heals);
  }

  async #coldOnce(from: ReadFrom, wanted: (frame: Frame) => boolean, maxBytes: number, last: LogIndex): Promise<ReadResult> {
    // A read that is tried again after a repair may find that the log begins later by now.
    const below = "index" in from ? from.index <= this.start.index : "offset" in from && from.offset < this.startOffset;
    if (below) return { kind: "below-start", start: this.start };
    const segment = this.#segments.findLast((one) =>
      "index" in from ? one.name.baseIndex <= from.index : "offset" in from ? one.name.baseOffset <= from.offset : false,
    );
    const inSegments = Math.min(last, this.#written) as LogIndex;
    if (segment !== undefined && (!("index" in from) || from.index <= inSegments)) {
      try {
        return { kind: "frames", frames: await this.#host.cold.read(this.groupId, segment, from, { wanted, maxBytes, upTo: inSegments }) };
      } catch (error) {
        if (error instanceof SegmentDropped) return { kind: "below-start", start: this.start };
        throw error;
      }
    }
    invariant("index" in from, "what is above the segments is found by index");
    const held: HeldFrame[] = [];
    let bytes = 0;
    for (let index: number = from.index; index <= last; index += 1) {
      const one = this.#held(index);
      if (held.length > 0 && bytes + one.length > maxBytes) break;
      held.push(one);
      bytes += one.length;
    }
    return { kind: "frames", frames: await this.#host.readWal(held) };
  }
}

/** What was trimmed away under a search is passed over. */
function noneIfDropped(error: unknown): readonly Frame[] {
  if (error instanceof SegmentDropped) return [];
  throw error;
}
