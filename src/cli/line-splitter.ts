const LF = 0x0a;

/** One line as it stood in the input, without its "\n"; a "\r" stays. */
export interface Line {
  /** From 1. */
  readonly number: number;
  readonly bytes: Uint8Array;
  /** True: only its first `bytesMax` bytes are here. */
  readonly cut: boolean;
}

/** Cuts a byte stream into lines, holding at most one line, and of that at most `bytesMax` bytes. Nothing is decoded. */
export class LineSplitter {
  readonly #bytesMax: number;
  #pieces: Uint8Array[] = [];
  #bytes = 0;
  #cut = false;
  #number = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  *push(chunk: Uint8Array): Generator<Line> {
    let from = 0;
    for (let at = chunk.indexOf(LF); at >= 0; at = chunk.indexOf(LF, from)) {
      this.#keep(chunk.subarray(from, at));
      from = at + 1;
      yield this.#take();
    }
    if (from < chunk.length) this.#keep(chunk.subarray(from));
  }

  /** What follows the last "\n", if anything does. */
  end(): Line | undefined {
    return this.#bytes > 0 ? this.#take() : undefined;
  }

  #keep(piece: Uint8Array): void {
    const room = this.#bytesMax - this.#bytes;
    if (piece.length > room) this.#cut = true;
    if (room <= 0) return;
    this.#pieces.push(piece.length > room ? piece.subarray(0, room) : piece);
    this.#bytes += Math.min(piece.length, room);
  }

  #take(): Line {
    const bytes = this.#pieces.length === 1 ? (this.#pieces[0] as Uint8Array) : Buffer.concat(this.#pieces);
    const line: Line = { number: ++this.#number, bytes, cut: this.#cut };
    this.#pieces = [];
    this.#bytes = 0;
    this.#cut = false;
    return line;
  }
}
