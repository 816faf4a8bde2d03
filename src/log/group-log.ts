import type { GroupId, LogIndex, Offset, ReplicaId, Term } from "../base/ids.ts";
import { invariant } from "../base/invariant.ts";
import { type Frame, type FrameDraft, type FramePlace, nextOffsetOf } from "../records/frame-types.ts";
import type { PacedRead } from "./file-window.ts";
import { markOf } from "./first-segment.ts";
import { GroupFrames } from "./group-frames.ts";
import type { GroupHost, GroupState } from "./group-host.ts";
import { GroupReader, type ReadSource } from "./group-reader.ts";
import { GroupSegments, type SegmentsOwner } from "./group-segments.ts";
import type { Hole, PullFrames } from "./holes.ts";
import type { FrameListener, FrameOwner, HeldFrame } from "./model/held.ts";
import { type InstallOutcome, type InstallPoint, judgeInstall } from "./model/install.ts";
import type { LogStart } from "./model/records.ts";
import type { Life } from "./model/ring.ts";
import { TermTable } from "./model/terms.ts";
import type { Segment } from "./segment.ts";
import type { ScrubResult, SegmentDoctor } from "./segment-doctor.ts";
import { WriterStopped } from "./segment-output.ts";
import type { SegmentWriterOptions } from "./segment-writer.ts";
import type { GroupLog, GroupWrite, ReadResult, RecoveredGroup } from "./types.ts";

/** One group of one broker: hot frames in memory, the rest in segments, and what lies between in the write-ahead log. */
export class GroupLogImpl implements GroupLog, FrameListener, ReadSource, SegmentsOwner {
  readonly groupId: GroupId;
  readonly replicaId: ReplicaId;
  readonly owner: FrameOwner;
  readonly frames: GroupFrames;
  readonly #host: GroupHost;
  readonly #reader: GroupReader;
  #segments: GroupSegments;
  /** What `configure` said; what is begun later begins with it. */
  #options: SegmentWriterOptions | undefined;
  #needed: () => LogIndex = () => Number.MAX_SAFE_INTEGER as LogIndex;
  /** The log is about to begin elsewhere: nothing may be appended to what it is. */
  #installing = false;
  /** The newest install has ended. */
  #installed: Promise<unknown> = Promise.resolve();
  #extending = false;
  #doubted: boolean;
  #lastAppendTime: number;
  #touched = false;
  #closed = false;

  constructor(state: GroupState, host: GroupHost) {
    this.groupId = state.groupId;
    this.replicaId = state.replicaId;
    this.#doubted = state.doubted;
    this.#host = host;
    this.owner = state.owner;
    this.frames = new GroupFrames(state.groupId, state.frames, state.syncedIndex, (bytes) => host.uncommitted(bytes));
    this.#lastAppendTime = state.lastAppendTime;
    this.#segments = new GroupSegments(this, host, state, undefined);
    for (const held of this.frames.between(0, this.lastIndex)) this.producers.append(held);
    this.#reader = new GroupReader(this, host);
    this.owner.listener = this;
  }

  get start(): LogStart {
    return this.#segments.start;
  }
  get startOffset(): Offset {
    return this.#segments.trimmer.startOffset;
  }
  get producers(): GroupSegments["producers"] {
    return this.#segments.producers;
  }
  get asRecovered(): RecoveredGroup {
    return this.#host.recoveredOf(this.groupId);
  }
  get closed(): boolean {
    return this.#closed;
  }
  get lastIndex(): LogIndex {
    return this.frames.lastIndex;
  }
  get endOffset(): Offset {
    return this.frames.endOffset;
  }
  get lastAppendTime(): number {
    return this.#lastAppendTime;
  }
  get hotFrom(): LogIndex {
    return this.frames.hotFrom;
  }
  get pendingBytes(): number {
    return this.frames.pendingBytes;
  }
  get segmentBytes(): number {
    return this.#segments.bytes;
  }
  get segments(): readonly Segment[] {
    return this.#segments.list;
  }
  get unwrittenSince(): number | undefined {
    return this.frames.get(this.frames.written + 1)?.appendTime;
  }
  get doctor(): SegmentDoctor {
    return this.#segments.doctor;
  }
  get holes(): readonly Hole[] {
    return this.doctor.holes;
  }
  get doubted(): boolean {
    return this.#doubted;
  }

  get needed(): LogIndex {
    return this.#needed();
  }

  configure(options: SegmentWriterOptions): void {
    this.#options = options;
    this.#segments.writer.configure(options);
  }

  keepFor(needed: () => LogIndex): void {
    this.#needed = needed;
  }

  obeyTrim(offset: Offset): boolean {
    const { committed } = this.frames;
    if (offset > this.offsetAfter(committed)) return false;
    this.#segments.trimTo(offset, committed);
    return true;
  }

  dropTrimmed(): void {
    this.#segments.trimmer.drop();
  }

  write(write: GroupWrite, durable: () => void): readonly Frame[] {
    invariant(!this.#closed, () => `group ${this.groupId} is closed`);
    const { wal } = this.#host;
    if (write.state !== undefined) wal.op({ kind: "state", groupId: this.groupId, ...write.state }, this.owner);
    if (write.truncateFrom !== undefined) this.#truncate(write.truncateFrom);
    const frames: Frame[] = [];
    for (const source of write.frames) frames.push(this.#append(source));
    wal.whenDurable(durable);
    return frames;
  }

  commit(index: LogIndex): void {
    invariant(index <= this.lastIndex, () => `group ${this.groupId} ends at ${this.lastIndex}, commits ${index}`);
    if (index <= this.frames.committed) return;
    this.frames.commit(index, (held) => {
      if (held.trim !== undefined) this.#segments.trimTo(held.trim, held.index);
    });
    this.advance();
  }

  frame(index: LogIndex): Frame | undefined {
    return this.frames.get(index)?.frame;
  }

  offsetAfter(index: LogIndex): Offset {
    if (index === this.frames.baseIndex) return this.frames.baseOffset;
    if (index === this.start.index) return this.start.offset;
    const held = this.frames.get(index);
    if (held !== undefined) return held.nextOffset;
    const segment = this.segments.find((one) => one.lastIndex === index);
    invariant(segment !== undefined, () => `group ${this.groupId} does not remember where frame ${index} ends`);
    return segment.endOffset;
  }

  read(index: LogIndex, maxBytes: number, upTo: LogIndex, heals = true): ReadResult | Promise<ReadResult> {
    return this.#reader.read(index, maxBytes, upTo, heals);
  }

  readFrom(offset: Offset, maxBytes: number, upTo: LogIndex, stopped?: () => boolean): ReadResult | Promise<ReadResult> {
    return this.#reader.readFrom(offset, maxBytes, upTo, stopped);
  }

  findTime(timestampMs: number, upTo: LogIndex, from: Offset = this.startOffset, stopped?: () => boolean): Promise<Frame | undefined> {
    return this.#reader.findTime(timestampMs, upTo, from, stopped);
  }

  doubt(): void {
    if (!this.#doubted && !this.closed) this.#host.doctor.telemetry.log("warn", "log.doubted", { group: this.groupId });
    this.#sayDoubted(true);
  }

  vouched(): void {
    this.#sayDoubted(false);
  }

  #sayDoubted(doubted: boolean): void {
    if (this.#doubted === doubted || this.closed) return;
    this.#doubted = doubted;
    const { groupId, replicaId } = this;
    this.#host.wal.op({ kind: "doubt", groupId, replicaId, doubted }, this.owner);
    this.#host.wal.kick();
  }

  repair(pull: PullFrames): Promise<boolean> {
    return this.doctor.repair(pull);
  }

  part(cut: LogIndex, trimmed: Offset, pull: PullFrames): Promise<boolean> {
    return this.doctor.part(cut, trimmed, pull);
  }

  scrub(paced: PacedRead): Promise<ScrubResult> {
    return this.doctor.scrub(paced);
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
    // The record that says so is not waited for: in a full ring it could wait for others, and the next one passes over it.
    await this.#host.guard(this.toSegments());
    invariant(first.index === this.lastIndex + 1 && !this.#installing, "nothing is appended while a group is extended");
    this.#extending = true;
    await this.#segments.extend(frames).finally(() => {
      this.#extending = false;
    });
    this.#lastAppendTime = last.appendTime;
    this.frames.passed(last.index, nextOffsetOf(last));
  }

  startState(): Promise<InstallPoint> {
    return this.#segments.startState(this.#lastAppendTime);
  }

  install(point: InstallPoint): Promise<InstallOutcome | "no-room"> {
    const installed = this.#install(point);
    this.#installed = installed.catch(() => {});
    return installed;
  }

  async #install(point: InstallPoint): Promise<InstallOutcome | "no-room"> {
    invariant(!this.#extending, () => `group ${this.groupId} is extended while it is to begin anew`);
    // What was said before must be durable before the record that passes over it, and known to the image that is asked for terms.
    await this.#host.guard(this.#host.wal.barrier());
    const { committed } = this.frames;
    const outcome = judgeInstall({ committed, lastIndex: this.lastIndex, termAt: (at) => this.#termAt(at) }, point.start);
    if (outcome === "kept") this.commit(point.start.index);
    if (outcome !== "installed") return outcome;
    invariant(!this.#installing, () => `group ${this.groupId} begins anew twice at once`);
    this.#installing = true;
    try {
      const segment = await this.#host.guard(this.#host.firstSegment(this, point));
      if (segment === undefined) return "no-room";
      // What it said of segments stands before the record that begins anew: nobody waits for it.
      await this.#host.guard(this.#segments.writer.stop());
      await this.#host.guard(this.#segments.trimmer.close());
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
    before.doctor.stop();
    this.frames.begin(start.index, start.offset);
    this.#lastAppendTime = point.appendTime;
    // A log start offset above this beginning comes with the frames: the trim that moved it there lies behind.
    const mark = markOf(segment, point);
    const state = { ...point, startOffset: start.offset, segments: [segment], mark };
    this.#segments = new GroupSegments(this, this.#host, state, this.#options);
    const op = { kind: "install", groupId, replicaId, start, config, mark } as const;
    await new Promise<void>((durable) => this.#host.wal.system({ kind: "op", op, owner: this.owner, durable }));
    await this.#host.removeSegments(this, before.list);
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
    this.frames.durable(frame);
    if (this.#touched) return;
    this.#touched = true;
    this.#host.touched(this);
  }

  stays(frame: HeldFrame): "must" | "rather" | "no" {
    if (frame.index > this.frames.committed) return "must";
    return frame.index > this.frames.written ? "rather" : "no";
  }

  cooled(frame: HeldFrame): void {
    this.frames.coldThrough(frame.index);
    this.frames.forget();
  }

  warmed(frame: HeldFrame): void {
    this.frames.warmed(frame);
  }

  /** Commit or durability moved: frames that are both may go to the segments. */
  advance(): void {
    this.#touched = false;
    this.frames.advance();
    this.#segments.advance();
  }

  /** Writes what is committed without waiting for a whole piece: memory is short. */
  push(): void {
    if (this.frames.writableBytes > 0) this.#segments.writer.kick(1);
  }

  /** Everything committed and durable into segments, synced; the `synced` record is handed over then. */
  async toSegments(): Promise<void> {
    await this.#segments.writer.toSegments();
  }

  /** The same; resolves when the `synced` record is durable. */
  flush(): Promise<void> {
    return this.#segments.writer.flush();
  }

  /** Bytes of frames that are in no segment and lie in this life of a ring file. */
  bytesIn(life: Life): number {
    const range = this.owner.pins.range(life);
    if (range === undefined) return 0;
    const held = this.frames.between(range.first, range.last).filter((one) => one.block.life === life);
    return [...held, ...this.owner.cutIn(life)].reduce((sum, one) => sum + one.length, 0);
  }

  /** Whether some of them are not committed, or cut: segments never take those. */
  stuckIn(life: Life): boolean {
    const range = this.owner.pins.range(life);
    if (range === undefined) return false;
    const open = this.frames.between(Math.max(range.first, this.frames.committed + 1), range.last);
    return open.some((one) => one.block.life === life) || this.owner.cutIn(life).length > 0;
  }

  /** The group is about to go away. */
  refuseWrites(): void {
    invariant(!this.#closed, () => `group ${this.groupId} is closed`);
    this.#closed = true;
  }

  /** The group goes away: its frames need no place any more. */
  async abandon(): Promise<void> {
    // What it writes would come back into the folder while that is being removed.
    await this.#installed;
    this.frames.abandon();
    return this.close();
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#segments.close();
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
    const held = this.#host.wal.frame(this.owner, source);
    this.frames.append(held);
    this.#lastAppendTime = held.appendTime;
    this.producers.append(held);
    return held.frame as Frame;
  }

  #truncate(from: LogIndex): void {
    const { committed } = this.frames;
    invariant(from > committed, () => `group ${this.groupId} has committed ${committed}, truncates ${from}`);
    if (from > this.lastIndex) return;
    const cut = this.frames.truncate(from);
    const bytes = cut.reduce((sum, held) => sum + held.length, 0);
    this.#host.cut(bytes);
    this.owner.cuts.push(new Set(cut));
    this.producers.truncate(from);
    this.#lastAppendTime = this.frames.get(this.lastIndex)?.appendTime ?? this.#lastAppendTime;
    this.#host.wal.op(
      { kind: "truncate", groupId: this.groupId, from, offset: this.endOffset, appendTime: this.#lastAppendTime },
      this.owner,
    );
    this.#host.wal.whenDurable(() => this.#host.cut(-bytes));
  }
}
