import type { LogIndex, Offset, Term } from "../../base/ids.ts";
import { invariant } from "../../base/invariant.ts";
import type { LogStart } from "../../log/model/records.ts";
import type { Snapshot } from "../../log/model/snapshot-file.ts";
import { GroupConfig } from "../../protocol/routing.ts";
import { type Frame, FrameType, nextOffsetOf, PayloadFormat } from "../../records/frame-types.ts";
import type { FactCodec, MachineGroup, MachineImage } from "./machine.ts";

export interface ViewPosition {
  readonly start: LogStart;
  /** Of the frame at `start.index`. */
  readonly appendTime: number;
}

interface Waiting {
  readonly index: LogIndex;
  readonly run: () => void;
}

/**
 * This broker's image of what a machine's log tells: the committed facts, replayed in order. Fed by the local replica of the group.
 * Never ahead of what is committed.
 */
export class MachineView<Image extends MachineImage<Fact>, Fact> {
  readonly image: Image;
  readonly #name: string;
  readonly #facts: Pick<FactCodec<Fact>, "decode">;
  #position: ViewPosition = { start: { index: 0 as LogIndex, term: 0 as Term, offset: 0 as Offset }, appendTime: 0 };
  #appliedBytes = 0;
  /** Replaced, never changed: one of them may take itself out while they are called. */
  #listeners: readonly ((facts: readonly Fact[] | undefined) => void)[] = [];
  readonly #waiting: Waiting[] = [];

  /** @param image as of an empty log */
  constructor(group: Pick<MachineGroup, "name">, image: Image, facts: Pick<FactCodec<Fact>, "decode">) {
    this.image = image;
    this.#name = group.name;
    this.#facts = facts;
  }

  /** Log index of the last frame replayed. */
  get applied(): LogIndex {
    return this.#position.start.index;
  }
  /** Where a log would begin that goes on from this image. */
  get position(): ViewPosition {
    return this.#position;
  }
  /** Bytes of all frames replayed by this process. */
  get appliedBytes(): number {
    return this.#appliedBytes;
  }

  /** Replays the next committed frame. */
  apply(frame: Frame): void {
    invariant(frame.index === this.applied + 1, () => `${this.#name} frame ${frame.index} must follow ${this.applied}`);
    const facts = frame.type === FrameType.data && frame.format === PayloadFormat.facts ? this.#facts.decode(frame.payload) : [];
    if (frame.type === FrameType.config) this.#configured(frame);
    for (const fact of facts) this.image.replay(fact, frame.index);
    const { index, term, appendTime } = frame;
    this.#position = { start: { index, term, offset: nextOffsetOf(frame) }, appendTime };
    this.#appliedBytes += frame.bytes.byteLength;
    this.#moved(facts);
  }

  /** Every later configuration says it too: the image knows which it was told of. */
  #configured({ payload, appendTime, index }: Frame): void {
    const { recovery } = GroupConfig.decode(payload);
    if (recovery > 0) this.image.recovered?.(recovery, appendTime, index);
  }

  /** Goes on from a snapshot, which is ahead of what was replayed. @throws {MillraceError} INVALID_REQUEST when its state is none */
  become({ header, state }: Snapshot): void {
    invariant(
      header.start.index > this.applied,
      () => `the image is at ${this.applied}, a snapshot of ${header.start.index} is no way forward`,
    );
    this.image.become(state);
    this.#position = { start: header.start, appendTime: header.appendTime };
    this.#moved(undefined);
  }

  #moved(facts: readonly Fact[] | undefined): void {
    if (facts?.length !== 0) for (const listener of this.#listeners) listener(facts);
    const ready = this.#waiting.filter((waiting) => waiting.index <= this.applied);
    if (ready.length === 0) return;
    for (const waiting of ready) this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
    for (const waiting of ready) waiting.run();
  }

  /** Called after each frame that held facts, with these; undefined: a snapshot took the place of everything. @returns ends that */
  onChange(listener: (facts: readonly Fact[] | undefined) => void): () => void {
    const own: typeof listener = (facts) => listener(facts);
    this.#listeners = [...this.#listeners, own];
    return () => {
      this.#listeners = this.#listeners.filter((one) => one !== own);
    };
  }

  /** Runs once everything up to `index` is replayed; at once when it is. @returns forgets the wait */
  whenApplied(index: LogIndex, run: () => void): () => void {
    if (index <= this.applied) {
      run();
      return () => {};
    }
    const waiting: Waiting = { index, run };
    this.#waiting.push(waiting);
    return () => {
      const at = this.#waiting.indexOf(waiting);
      if (at >= 0) this.#waiting.splice(at, 1);
    };
  }
}

/** That of any machine, for those who do not look into it. */
export type AnyView = MachineView<MachineImage<never>, never>;
