import type { LogIndex } from "../base/ids.ts";
import { type Frame, FrameType } from "../records/frame-types.ts";
import { type TermStart, TermTable } from "./model/terms.ts";

/**
 * What the frames that go into segments past the write-ahead log (`extend`) say besides their records: where terms begin, and
 * configurations. The log learns it by the `synced` record that covers them; until that is issued it is known only here.
 */
export class PastWal {
  #terms: readonly TermStart[] = [];
  #configs: readonly Frame[] = [];

  begin(frames: readonly Frame[]): void {
    this.#terms = frames
      .filter((frame, i) => frame.term !== frames[i - 1]?.term)
      .map((frame) => ({ term: frame.term, firstIndex: frame.index }));
    this.#configs = frames.filter((frame) => frame.type === FrameType.config);
  }

  /** All of it is in the write-ahead log. */
  end(): void {
    this.#terms = [];
    this.#configs = [];
  }

  /** Where terms begin in these frames, up to `index`; the first of them may have begun before. */
  termsUpTo(index: LogIndex): readonly TermStart[] {
    return this.#terms.filter((start) => start.firstIndex <= index);
  }

  /** The newest configuration in these frames at or below `index`. */
  configAt(index: LogIndex): Uint8Array | undefined {
    return this.#configs.findLast((frame) => frame.index <= index)?.payload;
  }

  /** All terms: those that the write-ahead log knows, then these. */
  table(known: readonly TermStart[]): TermTable {
    const table = new TermTable(known);
    for (const { firstIndex, term } of this.#terms) if (firstIndex > (table.starts.at(-1)?.firstIndex ?? 0)) table.append(firstIndex, term);
    return table;
  }
}
