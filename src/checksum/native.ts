import { crc32c as native } from "@node-rs/crc32";
import { type Crc32c, crc32cInJs } from "../base/crc32c.ts";

/** Below this a call into native code costs more (185 ns) than the tables do. Bytes. */
const NATIVE_BYTES_MIN = 200;

/** CRC-32C by the processor's instruction where that is faster. */
export const crc32cNative: Crc32c = (bytes, seed = 0) => (bytes.length < NATIVE_BYTES_MIN ? crc32cInJs(bytes, seed) : native(bytes, seed));
