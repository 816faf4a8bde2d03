import type { GroupId, Incarnation } from "../base/ids.ts";
import type { Disk, DiskFile } from "../base/ports/disk.ts";
import type { Insist } from "./disk-space.ts";
import { BLOCK_ALIGN, type BlockHeader, incarnationBytes, padded, readBlockHeader } from "./model/block.ts";
import { type BlockRecord, readBlock } from "./model/block-reader.ts";
import { Malformed } from "./model/bytes.ts";
import type { BlockRef } from "./model/held.ts";
import { Replay, type ReplayedGroup } from "./model/replay.ts";
import { Life, Ring } from "./model/ring.ts";
import { Salvage } from "./model/salvage.ts";
import { WAL_FOLDER, walPath } from "./model/segment-name.ts";
import { WalImage } from "./model/wal-image.ts";
import { DamagedLog } from "./types.ts";
import { WalFiles } from "./wal-files.ts";

export interface RecoveredWal {
  readonly files: WalFiles;
  readonly ring: Ring;
  readonly image: WalImage;
  readonly groups: ReadonlyMap<GroupId, ReplayedGroup>;
  /** Sequence of the last block, 0 for none; where the next one goes in the current file. */
  readonly sequence: number;
  readonly position: number;
  /** The log was damaged: this is what it still proves. A checkpoint must say so before anything else is written. */
  readonly salvaged: boolean;
  /** Groups that were open here may not be among `groups`. */
  readonly forgot: boolean;
}

interface FoundFile {
  readonly file: number;
  readonly size: number;
  readonly open: DiskFile;
  /** Header of the block at the head, when it is one. */
  readonly head: BlockHeader | undefined;
}

interface Tail {
  readonly file: FoundFile;
  /** The last valid block. */
  readonly header: BlockHeader;
  readonly at: number;
  /** Where the next one goes. */
  readonly end: number;
}

/**
 * Finds the end of the write-ahead log, tells a torn tail from damage, replays, and makes the last block durable (design §4).
 *
 * Block n+1 is written only after n returned. So an invalid block that a later one follows was durable once: damage. Without a later
 * one it is a write that never returned: nobody was told of it, it is dropped, its place and sequence go to the next block.
 */
export class WalRecovery {
  readonly #disk: Disk;
  readonly #insist: Insist;
  readonly #incarnation: Uint8Array;
  #buffer = new Uint8Array(0);
  #loaded: FoundFile | undefined;

  constructor(disk: Disk, incarnation: Incarnation, insist: Insist) {
    this.#disk = disk;
    this.#insist = insist;
    this.#incarnation = incarnationBytes(incarnation);
  }

  /**
   * @param mustExist the log was made before: nothing found is damage, not a beginning
   * @param doubted it was found damaged at an earlier start, which did not come so far as to say what is left
   * @param damaged told of what is wrong, before anything of it is changed
   * @throws {DamagedLog} a file that is none of the write-ahead log
   */
  async run(
    fileBytes: number,
    filesMax: number,
    mustExist: boolean,
    doubted: boolean,
    damaged: (error: DamagedLog) => Promise<void>,
  ): Promise<RecoveredWal> {
    const found = await this.#prepare();
    try {
      if (!doubted) return await this.#whole(found, fileBytes, filesMax, mustExist);
      return await this.#salvage(found, fileBytes, filesMax, true);
    } catch (error) {
      if (!(error instanceof DamagedLog) || doubted) throw error;
      await damaged(error);
      return this.#salvage(found, fileBytes, filesMax, error instanceof MissingFile);
    }
  }

  async #prepare(): Promise<readonly FoundFile[]> {
    await this.#disk.makeDirectory(WAL_FOLDER);
    await this.#disk.syncDirectory("");
    // Files made just before a crash may be in the directory only in memory.
    await this.#disk.syncDirectory(WAL_FOLDER);
    return this.#find();
  }

  async #whole(found: readonly FoundFile[], fileBytes: number, filesMax: number, mustExist: boolean): Promise<RecoveredWal> {
    // Files are numbered as they are made: what one that is gone held, nobody knows.
    for (const [i, { file }] of found.entries()) if (file !== i) throw new MissingFile(walPath(i));
    const headed = found.filter((file) => file.head !== undefined).sort((a, b) => headOf(a) - headOf(b));
    const tail = await this.#tail(headed);
    if (tail === undefined) {
      if (mustExist) throw new DamagedLog(walPath(found[0]?.file ?? 0), 0, "no block of this disk is where the log begins");
      for (const file of found) await file.open.close();
      return {
        files: new WalFiles(this.#disk, fileBytes),
        ring: new Ring(filesMax, 0, [], []),
        image: new WalImage(),
        groups: new Map(),
        sequence: 0,
        position: 0,
        salvaged: false,
        forgot: false,
      };
    }
    const chain = this.#chain(headed, tail);
    await this.#requireNothingLater(found, tail);
    const { replay, lives } = await this.#replay(chain, tail);
    await this.#rewriteLast(tail);

    const size = tail.file.size;
    const files = new WalFiles(this.#disk, size);
    const good = new Set(found.filter((file) => file.size === size).map((file) => file.file));
    for (const file of chain)
      if (file.size !== size) throw new DamagedLog(walPath(file.file), file.size, `the file is not ${size} bytes long`);
    for (const file of found) await file.open.close();
    const torn = found.find((file) => file.head?.sequence === tail.header.sequence + 1)?.file;
    const ring = await this.#ring(files, good, filesMax, lives, torn);
    const image = replay.image as WalImage;
    const { sequence } = tail.header;
    return { files, ring, image, groups: replay.finish(), sequence, position: tail.end, salvaged: false, forgot: false };
  }

  /** Every whole block that the last one may need, wherever it lies; what they prove, `Salvage` says. */
  async #salvage(found: readonly FoundFile[], fileBytes: number, filesMax: number, doubtAll: boolean): Promise<RecoveredWal> {
    const size =
      found
        .filter((file) => file.head !== undefined)
        .sort((a, b) => headOf(a) - headOf(b))
        .at(-1)?.size ?? fileBytes;
    const usable = found.filter((file) => file.size === size);
    const places: { readonly file: FoundFile; readonly at: number; readonly header: BlockHeader }[] = [];
    for (const file of usable) {
      const bytes = await this.#load(file);
      for (let at = 0; at < bytes.length; ) {
        const header = this.#wholeBlock(bytes, at)?.header;
        if (header !== undefined) places.push({ file, at, header });
        at += header === undefined ? BLOCK_ALIGN : padded(header.bytes);
      }
    }
    places.sort((a, b) => a.header.sequence - b.header.sequence);
    const tail = places.at(-1);
    const needed = places.filter(({ header }) => header.sequence >= (tail?.header.lowMark ?? 0));
    const lives = new Map<FoundFile, Life>();
    const salvage = new Salvage();
    for (const { file, at } of needed) {
      const block = this.#wholeBlock(await this.#load(file), at);
      if (block === undefined) continue;
      const { header, records } = block;
      const life = lives.get(file) ?? new Life(file.file, header.sequence);
      lives.set(file, life);
      salvage.add(header, { sequence: header.sequence, position: at, life }, records, life);
    }
    const { image, groups, forgot } = salvage.finish(doubtAll);
    if (tail !== undefined) await this.#rewriteLast({ ...tail, end: tail.at + padded(tail.header.bytes) });
    for (const file of found) await file.open.close();
    const files = new WalFiles(this.#disk, size);
    const good = new Set(usable.map((file) => file.file));
    const ascending = [...lives.values()].sort((a, b) => a.head - b.head);
    const ring = good.size === 0 ? new Ring(filesMax, 0, [], []) : await this.#ring(files, good, filesMax, ascending, undefined);
    const sequence = tail?.header.sequence ?? 0;
    const position = tail === undefined ? 0 : tail.at + padded(tail.header.bytes);
    return { files, ring, image, groups, sequence, position, salvaged: true, forgot };
  }

  #wholeBlock(bytes: Uint8Array, at: number): { readonly header: BlockHeader; readonly records: readonly BlockRecord[] } | undefined {
    const header = readBlockHeader(bytes, at, this.#incarnation);
    if (header === undefined) return undefined;
    try {
      const records = readBlock(bytes.subarray(at, at + header.bytes), header);
      return typeof records === "string" ? undefined : { header, records };
    } catch (error) {
      if (error instanceof Malformed) return undefined;
      throw error;
    }
  }

  /** Every ring file with what stands at its head. */
  async #find(): Promise<FoundFile[]> {
    const found: FoundFile[] = [];
    const head = new Uint8Array(BLOCK_ALIGN);
    for (const entry of await this.#disk.list(WAL_FOLDER)) {
      if (!/^\d{2,}$/.test(entry.name)) throw new DamagedLog(`${WAL_FOLDER}/${entry.name}`, 0, "this is no file of the write-ahead log");
      const file = Number(entry.name);
      const open = await this.#disk.open(walPath(file), { mode: "write", durable: true });
      const read = await open.read(0, head);
      found.push({ file, size: await open.size(), open, head: readBlockHeader(head.subarray(0, read), 0, this.#incarnation) });
    }
    return found.sort((a, b) => a.file - b.file);
  }

  /** The last valid block of the newest file that begins with one. A torn block may stand at the head of a newer file. */
  async #tail(headed: readonly FoundFile[]): Promise<Tail | undefined> {
    for (const file of headed.toReversed()) {
      let tail: Tail | undefined;
      await this.#walk(file, (header, at, _records, end) => {
        tail = { file, header, at, end };
      });
      if (tail !== undefined) return tail;
    }
    return undefined;
  }

  /** Files that replay has to read, oldest first: from the life that holds the low mark to the tail. */
  #chain(headed: readonly FoundFile[], tail: Tail): readonly FoundFile[] {
    const needed = headed.filter((file) => headOf(file) <= headOf(tail.file));
    const start = needed.findLastIndex((file) => headOf(file) <= tail.header.lowMark);
    if (start < 0)
      throw new DamagedLog(
        walPath(tail.file.file),
        tail.at,
        `block ${tail.header.lowMark} is needed, and no file that begins at or before it is left`,
      );
    return needed.slice(start);
  }

  async #replay(chain: readonly FoundFile[], tail: Tail): Promise<{ replay: Replay; lives: Life[] }> {
    const replay = new Replay();
    const lives: Life[] = [];
    let expected = headOf(chain[0] as FoundFile);
    let where = { file: chain[0] as FoundFile, at: 0 };
    try {
      for (const file of chain) {
        if (headOf(file) !== expected)
          throw new DamagedLog(walPath(where.file.file), where.at, `block ${expected} is not there, and later ones are`);
        const life = new Life(file.file, expected);
        lives.push(life);
        await this.#walk(file, (header, at, records, end) => {
          where = { file, at };
          const ref: BlockRef = { sequence: header.sequence, position: at, life };
          replay.block(header, ref, records, life);
          expected = header.sequence + 1;
          where = { file, at: end };
        });
      }
      if (expected !== tail.header.sequence + 1)
        throw new DamagedLog(walPath(where.file.file), where.at, `block ${expected} is not there, and later ones are`);
      replay.finish();
    } catch (error) {
      if (error instanceof Malformed) throw new DamagedLog(walPath(where.file.file), where.at, error.message);
      throw error;
    }
    return { replay, lives };
  }

  /** Calls `visit` for each valid block of the life that begins at the head of the file. @throws {Malformed} */
  async #walk(
    file: FoundFile,
    visit: (header: BlockHeader, at: number, records: readonly BlockRecord[], end: number) => void,
  ): Promise<void> {
    const bytes = await this.#load(file);
    let expected = headOf(file);
    for (let at = 0; at < bytes.length; ) {
      const header = readBlockHeader(bytes, at, this.#incarnation);
      if (header === undefined || header.sequence !== expected) return;
      const records = readBlock(bytes.subarray(at, at + header.bytes), header);
      if (typeof records === "string") return;
      const end = at + padded(header.bytes);
      visit(header, at, records, end);
      expected += 1;
      at = end;
    }
  }

  /** @throws {DamagedLog} when a block after the tail's successor is anywhere: then the successor was durable, and is not readable */
  async #requireNothingLater(found: readonly FoundFile[], tail: Tail): Promise<void> {
    const missing = tail.header.sequence + 1;
    // Its header is bad, or whole with a bad body: such a file may hold later blocks behind it.
    const beginsBadly = (file: FoundFile): boolean => file !== tail.file && (file.head === undefined || file.head.sequence === missing);
    const damaged = (later: FoundFile): DamagedLog => {
      const suspect = beginsBadly(later) ? later : tail.end < tail.file.size ? undefined : found.find(beginsBadly);
      return new DamagedLog(
        walPath((suspect ?? tail.file).file),
        suspect === undefined ? tail.end : 0,
        `block ${missing} is not readable, and later ones are`,
      );
    };
    for (const file of found) {
      if (file.head !== undefined && file.head.sequence > missing) throw damaged(file);
      if (file !== tail.file && !beginsBadly(file)) continue;
      const bytes = await this.#load(file);
      for (let at = file === tail.file ? tail.end : 0; at < bytes.length; at += BLOCK_ALIGN) {
        const header = readBlockHeader(bytes, at, this.#incarnation);
        if (header !== undefined && header.sequence > missing) throw damaged(file);
      }
    }
  }

  /**
   * Recovered is not durable: the page cache may hold what the disk never got. The last block is written again in place, byte for
   * byte, before anyone is told what it says; all earlier ones returned before it was issued.
   */
  async #rewriteLast(tail: Tail): Promise<void> {
    const bytes = await this.#load(tail.file);
    await tail.file.open.write(tail.at, [bytes.subarray(tail.at, tail.end)]);
  }

  /**
   * Opens the files, and makes again those below the highest that were never finished.
   *
   * @param torn begins with a torn block, whose header may be whole. It is the next file to be begun: left as it is, it would look like
   * the beginning of a life that is missing in the middle of the log
   */
  async #ring(
    files: WalFiles,
    good: ReadonlySet<number>,
    filesMax: number,
    lives: readonly Life[],
    torn: number | undefined,
  ): Promise<Ring> {
    const made = Math.max(...good) + 1;
    const inUse = new Set(lives.map((life) => life.file));
    const ready: number[] = [];
    for (let file = 0; file < made; file += 1) {
      if (good.has(file)) await files.open(file);
      else await this.#insist(walPath(file), () => files.make(file));
      if (inUse.has(file)) continue;
      if (file === torn) ready.unshift(file);
      else ready.push(file);
    }
    return new Ring(filesMax, made, ready, lives);
  }

  /** The whole file, in a buffer that the next load overwrites. */
  async #load(file: FoundFile): Promise<Uint8Array> {
    if (this.#buffer.length < file.size) this.#buffer = Buffer.allocUnsafeSlow(file.size);
    const bytes = this.#buffer.subarray(0, file.size);
    if (this.#loaded === file) return bytes;
    this.#loaded = undefined;
    let at = 0;
    while (at < file.size) {
      const read = await file.open.read(at, bytes.subarray(at, Math.min(file.size, at + 4 * 1024 * 1024)));
      if (read === 0) throw new DamagedLog(walPath(file.file), at, `the file ends here, not at ${file.size}`);
      at += read;
    }
    this.#loaded = file;
    return bytes;
  }
}

/** A file of the ring is gone: what it held is not known. */
class MissingFile extends DamagedLog {
  constructor(path: string) {
    super(path, 0, "a file of the write-ahead log is missing");
  }
}

function headOf(file: FoundFile): number {
  return file.head?.sequence ?? 0;
}
