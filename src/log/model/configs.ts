import type { LogIndex } from "../../base/ids.ts";
import type { ByteReader, ByteWriter } from "./bytes.ts";
import { Malformed } from "./bytes.ts";

/** A configuration frame of the log; what its payload means is not the log's concern. */
export interface PlacedConfig {
  readonly index: LogIndex;
  readonly config: Uint8Array;
}

/**
 * The configuration of one group as of its synced index, and those in frames above it: a start must know who votes without opening a
 * segment, and a truncation must find the former one again.
 */
export class Configs {
  #base: Uint8Array;
  /** Ascending by index, all above the synced index. */
  #later: PlacedConfig[] = [];

  constructor(base: Uint8Array) {
    this.#base = base;
  }

  /** As of the synced index. */
  get base(): Uint8Array {
    return this.#base;
  }
  get later(): readonly PlacedConfig[] {
    return this.#later;
  }

  /** In force at `index`, which is at or above the synced index. */
  at(index: number): Uint8Array {
    return this.#later.findLast((one) => one.index <= index)?.config ?? this.#base;
  }

  append(index: LogIndex, config: Uint8Array): void {
    this.#later.push({ index, config });
  }

  truncate(from: number): void {
    this.#later = this.#later.filter((one) => one.index < from);
  }

  /** @param past the newest one in frames that came past the write-ahead log */
  synced(index: number, past: Uint8Array | undefined): void {
    this.#base = past ?? this.at(index);
    this.#later = this.#later.filter((one) => one.index > index);
  }

  write(out: ByteWriter): void {
    out.u32(this.#later.length);
    for (const { index, config } of this.#later) out.i53(index).bytes(config);
  }

  /** @throws {Malformed} */
  read(from: ByteReader): void {
    for (let left = from.u32(); left > 0; left -= 1) {
      const index = from.i53() as LogIndex;
      if (index <= (this.#later.at(-1)?.index ?? 0)) throw new Malformed(`a configuration at ${index} is out of order`);
      this.append(index, from.bytes());
    }
  }
}
