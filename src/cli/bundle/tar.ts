/** One file of an archive. */
export interface TarEntry {
  /** At most 100 bytes, with `/`. */
  readonly name: string;
  readonly data: Uint8Array;
}

const BLOCK = 512;
const NAME_BYTES_MAX = 100;

/**
 * A tar archive (POSIX ustar): of each file a header of 512 bytes, then its bytes, filled up with zeros to a multiple of 512; two blocks
 * of zeros at the end.
 *
 * @param atMs time of all files, milliseconds since 1970
 */
export function tarOf(entries: readonly TarEntry[], atMs: number): Buffer {
  const pieces: Uint8Array[] = [];
  for (const { name, data } of entries) {
    pieces.push(header(name, data.length, atMs), data, Buffer.alloc((BLOCK - (data.length % BLOCK)) % BLOCK));
  }
  return Buffer.concat([...pieces, Buffer.alloc(2 * BLOCK)]);
}

/** name 0, mode 100, owner 108, group 116, size 124, time 136, checksum 148, type 156, magic 257: numbers are octal, ended by NUL. */
function header(name: string, size: number, atMs: number): Buffer {
  if (Buffer.byteLength(name) > NAME_BYTES_MAX) throw new Error(`a name in an archive has at most ${NAME_BYTES_MAX} bytes: ${name}`);
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, at: number, width: number): void =>
    void block.write(`${value.toString(8).padStart(width - 1, "0")}\0`, at, "latin1");
  block.write(name, 0);
  octal(0o600, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(size, 124, 12);
  octal(Math.floor(atMs / 1000), 136, 12);
  block.write("        ", 148, "latin1");
  block.write("0", 156, "latin1");
  block.write("ustar\x0000", 257, "latin1");
  // The sum of all bytes of the header, its own place taken for blanks.
  const sum = block.reduce((all, byte) => all + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}
