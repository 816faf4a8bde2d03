import { type BrokerId, type ClusterId, type Incarnation, type ReplicaId, toBrokerId } from "../base/ids.ts";
import { type Disk, DiskError } from "../base/ports/disk.ts";
import type { Random } from "../base/ports/random.ts";
import { isBlockSequence } from "./model/block-sequence.ts";
import { Malformed } from "./model/bytes.ts";
import { isSealed, openSealedJson, sealJson } from "./model/sealed-json.ts";
import { GROUPS_FOLDER, WAL_FOLDER } from "./model/segment-name.ts";
import { StrictDisk } from "./strict-disk.ts";

export const META_PATH = "meta.json";
const TEMPORARY = "meta.json.tmp";
/** Version of the whole data directory; another one is refused. A later one keeps `format` and the seal, so that this version can tell. */
export const DISK_FORMAT = 1;
/** What stood in it before it had a CRC. */
const UNSEALED = new Set(["format", "brokerId", "incarnation", "clusterId", "recoveryEpoch", "form", "logMade", "walDamaged", "forgot"]);

/** What is whole and says something unknown is in use, by a version that knows it: nothing is set aside for that. */
const NEWER = "start the version that wrote it, or a later one";
const otherwise = (named: string): string => `restore it, or start with --new-incarnation ${named}, which sets everything there aside`;

/** `meta.json`: whose disk this is. */
export interface Meta {
  readonly format: typeof DISK_FORMAT;
  readonly brokerId: BrokerId;
  readonly incarnation: Incarnation;
  /** Undefined until the disk belongs to a cluster (design §7, formation). */
  readonly clusterId: ClusterId | undefined;
  readonly recoveryEpoch: number;
  /** The Form this disk took (`cluster/formation-rules.ts`), as its bytes; undefined: unformed, or joined as a disk that no Form names. */
  readonly form: Uint8Array | undefined;
  /** The write-ahead log was made: from then on its absence is a loss, not a beginning. */
  readonly logMade: boolean;
  /** The write-ahead log was found damaged, and no checkpoint says yet what is left of it. */
  readonly walDamaged?: boolean;
  /**
   * Groups were open here that the write-ahead log does not name any more: until the metadata was read, whoever is placed here may have
   * been here before, and voted.
   */
  readonly forgot?: boolean;
  /** Replica ids from here on were given out after that: whoever has one is new. Only beside `forgot`; not known until the broker registered. */
  readonly firstNew?: ReplicaId;
  /** Peers heard of blocks up to this one that are not here: what was lost with them is doubted, and need not be found out again. */
  readonly admittedBlockSequence?: number;
  /**
   * Where this disk stands in the recovery epoch it names (ADR 0014). `survivor`: its replica of the metadata alone is to vote, and that
   * has not been recorded yet. `fenced`: it comes from an earlier epoch; what it holds of the metadata is void, and of its partitions only
   * those stand that the metadata still places here.
   */
  readonly recovery?: "survivor" | "fenced";
  /** Recoveries of partitions that this disk has followed. */
  readonly recoveries?: number;
}

/** The data directory is not one that this broker may start on. */
export class BadDataDirectory extends Error {
  override readonly name = "BadDataDirectory";
}

/** Its `meta.json` is not what was written. */
class Damaged extends BadDataDirectory {}

/**
 * @returns undefined for an empty directory
 * @throws {BadDataDirectory} data without `meta.json`, or the reverse; another format
 */
export async function readMeta(disk: Disk): Promise<Meta | undefined> {
  const names = new Set((await disk.list("")).map((entry) => entry.name));
  const hasLog = names.has(WAL_FOLDER) && (await disk.list(WAL_FOLDER)).length > 0;
  const hasGroups = names.has(GROUPS_FOLDER) && (await disk.list(GROUPS_FOLDER)).length > 0;
  if (!names.has(META_PATH)) {
    if (hasLog || hasGroups) throw new BadDataDirectory(`${disk.root} holds data but no ${META_PATH}: ${otherwise(UNREADABLE)}`);
    return undefined;
  }
  const meta = parse(await readAll(disk, META_PATH), disk.root);
  // A start that found it damaged and was cut off may have taken away its last file to make it again; what was lost is known to be.
  if (meta.logMade && !hasLog && meta.walDamaged !== true)
    throw new BadDataDirectory(`${disk.root} has ${META_PATH} but no write-ahead log: ${otherwise(meta.incarnation)}`);
  return meta;
}

/** Says that no `meta.json` names whose the data is, or that it cannot be read. */
export const UNREADABLE = "unreadable";

/**
 * Whose disk this is, before anything else is looked at.
 *
 * @returns undefined for an empty directory
 * @throws {BadDataDirectory} `meta.json` is whole, and of a version that is not known here. It may be in use: after a downgrade that is so on
 * every broker at once
 */
export async function incarnationOf(disk: Disk): Promise<Incarnation | typeof UNREADABLE | undefined> {
  const names = new Set((await disk.list("")).map((entry) => entry.name));
  if (!names.has(META_PATH)) return names.has(WAL_FOLDER) || names.has(GROUPS_FOLDER) ? UNREADABLE : undefined;
  try {
    return parse(await readAll(disk, META_PATH), disk.root).incarnation;
  } catch (error) {
    if (!(error instanceof Damaged)) throw error;
    return UNREADABLE;
  }
}

/** Makes an unformed `meta.json` with a new incarnation (design §7: a seed draws its incarnation at first start). */
export async function drawMeta(disk: Disk, random: Random, brokerId: BrokerId): Promise<Meta> {
  const incarnation = random.uuid() as Incarnation;
  const meta: Meta = {
    format: DISK_FORMAT,
    brokerId,
    incarnation,
    clusterId: undefined,
    recoveryEpoch: 0,
    form: undefined,
    logMade: false,
  };
  await writeMeta(disk, meta);
  return meta;
}

/**
 * Says which cluster the disk belongs to; resolves when durable. Saying the same again is fine.
 *
 * @throws {BadDataDirectory} no `meta.json`, or it belongs to another cluster
 */
export function formMeta(disk: Disk, clusterId: ClusterId, recoveryEpoch: number, form?: Uint8Array): Promise<Meta> {
  return changeMeta(disk, (meta) => {
    if (meta.clusterId !== undefined && meta.clusterId !== clusterId)
      throw new BadDataDirectory(`${disk.root} belongs to cluster ${meta.clusterId}, not to ${clusterId}`);
    return { ...meta, clusterId, recoveryEpoch, form };
  });
}

/** What is there, changed; resolves when durable. The same object back: nothing is written. @throws {BadDataDirectory} no `meta.json`, and none is given */
export function changeMeta(disk: Disk, change: (meta: Meta) => Meta, absent?: Meta): Promise<Meta> {
  return oneByOne(disk, async () => {
    const meta = (await readMeta(disk)) ?? absent;
    if (meta === undefined) throw new BadDataDirectory(`${disk.root} has no ${META_PATH} yet`);
    const changed = change(meta);
    if (changed !== meta) await put(disk, changed);
    return changed;
  });
}

/** Resolves when durable. */
export function writeMeta(disk: Disk, meta: Meta): Promise<void> {
  return oneByOne(disk, () => put(disk, meta));
}

/** All of them use the same temporary name: one at a time on the disk itself, whichever way it is reached. */
const underWay = new WeakMap<Disk, Promise<unknown>>();
function oneByOne<T>(disk: Disk, work: () => Promise<T>): Promise<T> {
  const key = disk instanceof StrictDisk ? disk.watched : disk;
  const done = (underWay.get(key) ?? Promise.resolve()).then(work);
  underWay.set(
    key,
    done.catch(() => {}),
  );
  return done;
}

/** Temporary name, sync, rename, directory sync: after a crash there is the old file or the new one. */
async function put(disk: Disk, meta: Meta): Promise<void> {
  await disk.unlink(TEMPORARY).catch((error: unknown) => {
    if (!(error instanceof DiskError && error.code === "ENOENT")) throw error;
  });
  const file = await disk.open(TEMPORARY, { mode: "create" });
  try {
    await file.write(0, [new TextEncoder().encode(sealJson({ ...meta, form: meta.form === undefined ? undefined : toHex(meta.form) }))]);
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.rename(TEMPORARY, META_PATH);
  await disk.syncDirectory("");
}

async function readAll(disk: Disk, path: string): Promise<string> {
  const file = await disk.open(path, { mode: "read" });
  try {
    const bytes = new Uint8Array(await file.size());
    const length = await file.read(0, bytes);
    return new TextDecoder().decode(bytes.subarray(0, length));
  } finally {
    await file.close();
  }
}

function parse(text: string, root: string): Meta {
  const damaged = (what: string): BadDataDirectory => new Damaged(`${root}/${META_PATH} ${what}: ${otherwise(UNREADABLE)}`);
  const unknown = (what: string): BadDataDirectory => new BadDataDirectory(`${root}/${META_PATH} ${what}: ${NEWER}`);
  // Without a seal nothing says that it is what was written.
  const bad = isSealed(text) ? unknown : damaged;
  let fields: Readonly<Record<string, unknown>>;
  try {
    fields = openSealedJson(text, UNSEALED);
  } catch (error) {
    if (error instanceof Malformed) throw damaged(error.message);
    throw error;
  }
  const { format, brokerId, incarnation, clusterId, recoveryEpoch, form, logMade, walDamaged, forgot } = fields;
  const { firstNew, admittedBlockSequence, recovery, recoveries } = fields;
  if (format !== DISK_FORMAT) throw bad(`has format ${String(format)}, this version knows ${DISK_FORMAT}`);
  if (typeof brokerId !== "number" || !Number.isSafeInteger(brokerId) || brokerId < 1) throw bad("has no broker id");
  if (typeof incarnation !== "string" || !/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(incarnation))
    throw bad("has no incarnation");
  if (clusterId !== undefined && typeof clusterId !== "string") throw bad("has no readable cluster id");
  if (typeof recoveryEpoch !== "number" || !Number.isSafeInteger(recoveryEpoch)) throw bad("has no recovery epoch");
  if (form !== undefined && (typeof form !== "string" || !/^(?:[0-9a-f]{2})+$/.test(form))) throw bad("has no readable form");
  if (recovery !== undefined && recovery !== "survivor" && recovery !== "fenced") throw bad("has no readable state of a recovery");
  if (recoveries !== undefined && (typeof recoveries !== "number" || !Number.isSafeInteger(recoveries)))
    throw bad("has no readable number of recoveries");
  return {
    format,
    brokerId: toBrokerId(brokerId),
    incarnation: incarnation as Incarnation,
    clusterId: clusterId as ClusterId | undefined,
    recoveryEpoch,
    form: form === undefined ? undefined : fromHex(form),
    logMade: logMade === true,
    ...(walDamaged === true ? { walDamaged } : {}),
    ...(forgot === true ? { forgot } : {}),
    ...(forgot === true && typeof firstNew === "number" && Number.isSafeInteger(firstNew) ? { firstNew: firstNew as ReplicaId } : {}),
    // More than that was never lost: somebody made it up, and it was taken.
    ...(isBlockSequence(admittedBlockSequence) ? { admittedBlockSequence } : {}),
    ...(recovery === undefined ? {} : { recovery }),
    ...(recoveries === undefined ? {} : { recoveries }),
  };
}

function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function fromHex(text: string): Uint8Array {
  return Uint8Array.from({ length: text.length / 2 }, (_, i) => Number.parseInt(text.slice(2 * i, 2 * i + 2), 16));
}
