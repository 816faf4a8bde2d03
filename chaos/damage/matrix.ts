import type { LogLine } from "../brokers.ts";
import type { PlaceName } from "./places.ts";
import type { Damage, Wound } from "./wounds.ts";

/** How the broker is when it is hit. */
export type State = "stopped" | "killed" | "running";

export interface Row {
  readonly place: PlaceName;
  /** One is drawn. A file that a running broker writes, or never reads again, can only be hit while it is off. */
  readonly states: readonly State[];
  /** Events that name it. */
  readonly named: readonly string[];
  /** A wound lies at most so many bytes behind the position that is named: that of the frame or block it is in. */
  readonly unitBytes: number;
  /** Cells that cannot exist, and why. */
  readonly none?: Readonly<Partial<Record<Damage, string>>>;
  /** What a damage means here, where it is not the word alone. */
  readonly means?: Readonly<Partial<Record<Damage, string>>>;
}

const FRAME_BYTES_MAX = 256 * 1024;
const BLOCK_BYTES_MAX = 4 * 1024 * 1024;
const SHARED = "no group's file: all groups share it";

export const rows: readonly Row[] = [
  { place: "sealed segment", states: ["stopped", "running"], named: ["log.hole_found"], unitBytes: FRAME_BYTES_MAX },
  { place: "unsealed tail", states: ["stopped"], named: ["log.hole_found"], unitBytes: FRAME_BYTES_MAX },
  { place: "index", states: ["stopped", "running"], named: ["log.index_rebuilt"], unitBytes: Number.MAX_SAFE_INTEGER },
  {
    place: "footer",
    states: ["stopped", "running"],
    // Its page holds frames too.
    named: ["log.footer_rebuilt", "log.hole_found"],
    unitBytes: FRAME_BYTES_MAX,
    means: { deleted: "cut off", "sibling's copied over": "sibling's written over it" },
  },
  {
    place: "write-ahead log",
    states: ["killed"],
    named: ["log.wal_found_damaged"],
    unitBytes: BLOCK_BYTES_MAX,
    none: { "sibling's copied over": SHARED },
  },
  {
    place: "term and vote",
    states: ["killed"],
    named: ["log.wal_found_damaged"],
    unitBytes: BLOCK_BYTES_MAX,
    means: { deleted: "the file of the ring that holds it deleted" },
    none: { "sibling's copied over": SHARED },
  },
  {
    place: "metadata snapshot",
    states: ["stopped", "killed"],
    named: ["metadata.snapshot_damaged"],
    unitBytes: Number.MAX_SAFE_INTEGER,
    means: { deleted: "all of them deleted", "sibling's copied over": "older one copied over: no other group has any" },
  },
  {
    place: "meta.json",
    states: ["stopped"],
    named: [],
    unitBytes: Number.MAX_SAFE_INTEGER,
    none: { "sibling's copied over": SHARED },
  },
];

/** Each place and each damage at least once. */
export const quickCells: Readonly<Record<PlaceName, Damage>> = {
  "sealed segment": "sibling's copied over",
  "unsealed tail": "byte flipped",
  index: "deleted",
  footer: "page zeroed",
  "write-ahead log": "page zeroed",
  "term and vote": "byte flipped",
  "metadata snapshot": "deleted",
  "meta.json": "byte flipped",
};

/** The line that names this wound: its file, and a position from which a reader comes to it. */
export function naming(lines: readonly LogLine[], { named, unitBytes }: Row, { path, at, bytes }: Wound): LogLine | undefined {
  return lines.find((line) => {
    const { position } = line;
    const file = line["path"];
    if (!named.includes(line.event) || typeof file !== "string" || typeof position !== "number") return false;
    // A snapshot that is gone is missed where it lay: what it was called, nobody knows.
    if (file !== path && !(bytes === undefined && path.startsWith(`${file}/`))) return false;
    return bytes === undefined || (position < at + bytes && position >= at - unitBytes);
  });
}
