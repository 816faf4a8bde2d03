/** The last lines of a log, in memory. */
export class RecentLines {
  readonly #bytesMax: number;
  #lines: string[] = [];
  #bytes = 0;

  /** @param bytesMax kept at most, lines counted in UTF-16 units */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  push(line: string): void {
    this.#lines.push(line);
    this.#bytes += line.length;
    if (this.#bytes <= 2 * this.#bytesMax) return;
    // Seldom, so that a line costs no move of all others.
    let drop = 0;
    while (this.#bytes > this.#bytesMax && drop < this.#lines.length - 1) this.#bytes -= this.#lines[drop++]?.length ?? 0;
    this.#lines = this.#lines.slice(drop);
  }

  /** Newest last. */
  text(): string {
    const lines: string[] = [];
    let bytes = 0;
    for (let at = this.#lines.length - 1; at >= 0; at--) {
      const line = this.#lines[at] ?? "";
      bytes += line.length;
      if (bytes > this.#bytesMax && lines.length > 0) break;
      lines.push(line);
    }
    return lines.reverse().join("");
  }
}
