export const PAGE_BYTES = 4096;
export const SECTOR_BYTES = 512;
export const SECTORS_PER_PAGE = PAGE_BYTES / SECTOR_BYTES;

const ZEROS = new Uint8Array(PAGE_BYTES);

/** Pages come out of larger pieces of memory: one of their own each would keep the collector busy. */
const PAGES_AT_ONCE = 16;
let memory = new Uint8Array(0);
/** Undefined until somebody says when disks are over: what is kept track of here is not collected. */
let given: Uint8Array[] | undefined;
const free: Uint8Array[] = [];

/** A page of zeros. */
function newPage(): Uint8Array {
  const known = free.pop();
  if (known !== undefined) known.fill(0);
  else if (memory.length === 0) memory = new Uint8Array(PAGES_AT_ONCE * PAGE_BYTES);
  const page = known ?? memory.subarray(0, PAGE_BYTES);
  if (known === undefined) memory = memory.subarray(PAGE_BYTES);
  given?.push(page);
  return page;
}

/**
 * Every disk of this process is over: their pages are given out again. Memory outside of the heap that grows with every world makes
 * V8 collect all of it again and again, and what it had compiled of code whose brokers are gone goes with that.
 */
export function reusePages(): void {
  for (const page of given ?? []) free.push(page);
  given = [];
}

/** Bytes of a file, a page at a time; pages of zeros take no memory, so a ring of empty log files costs nothing. */
export class Pages {
  size = 0;
  readonly #pages = new Map<number, Uint8Array>();

  /** All of it is zeros. */
  get blank(): boolean {
    return this.#pages.size === 0;
  }

  /** @returns bytes copied; fewer than asked only at the end */
  read(position: number, into: Uint8Array): number {
    const length = Math.max(0, Math.min(into.length, this.size - position));
    for (let done = 0; done < length; ) {
      const at = position + done;
      const inPage = at % PAGE_BYTES;
      const piece = Math.min(PAGE_BYTES - inPage, length - done);
      const page = this.#pages.get((at - inPage) / PAGE_BYTES);
      if (page === undefined) into.fill(0, done, done + piece);
      else into.set(page.subarray(inPage, inPage + piece), done);
      done += piece;
    }
    return length;
  }

  write(position: number, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      const at = position + done;
      const inPage = at % PAGE_BYTES;
      const piece = Math.min(PAGE_BYTES - inPage, bytes.length - done);
      const number = (at - inPage) / PAGE_BYTES;
      const part = bytes.subarray(done, done + piece);
      if (piece === PAGE_BYTES && isZero(part)) this.#pages.delete(number);
      else this.#pageForWriting(number).set(part, inPage);
      done += piece;
    }
    this.size = Math.max(this.size, position + bytes.length);
  }

  truncate(size: number): void {
    if (size < this.size) {
      for (const number of this.#pages.keys()) if (number * PAGE_BYTES >= size) this.#pages.delete(number);
      const inPage = size % PAGE_BYTES;
      this.#pages.get((size - inPage) / PAGE_BYTES)?.fill(0, inPage);
    }
    this.size = size;
  }

  /** Takes the sectors of page `number` whose bit is set in `sectors` from `other`. The size stays. */
  takeSectors(other: Pages, number: number, sectors: number): void {
    const source = other.#pages.get(number) ?? ZEROS;
    const all = sectors === 2 ** SECTORS_PER_PAGE - 1;
    if (all && source === ZEROS) {
      this.#pages.delete(number);
      return;
    }
    const target = this.#pageForWriting(number);
    if (all) {
      target.set(source);
      return;
    }
    for (let sector = 0; sector < SECTORS_PER_PAGE; sector++) {
      if ((sectors & (1 << sector)) === 0) continue;
      const from = sector * SECTOR_BYTES;
      target.set(source.subarray(from, from + SECTOR_BYTES), from);
    }
  }

  copy(): Pages {
    const copy = new Pages();
    copy.size = this.size;
    for (const [number, page] of this.#pages) copy.#pageForWriting(number).set(page);
    return copy;
  }

  #pageForWriting(number: number): Uint8Array {
    let page = this.#pages.get(number);
    if (page === undefined) {
      page = newPage();
      this.#pages.set(number, page);
    }
    return page;
  }
}

function isZero(page: Uint8Array): boolean {
  return Buffer.compare(page, ZEROS) === 0;
}
