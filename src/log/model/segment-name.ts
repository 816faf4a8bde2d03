import type { GroupId, LogIndex, Offset, ReplicaId } from "../../base/ids.ts";

/** Names of what lies in a data directory (design §4). */
export const WAL_FOLDER = "wal";
export const GROUPS_FOLDER = "groups";

/** `wal/00` … `wal/15` and on. */
export function walPath(file: number): string {
  return `${WAL_FOLDER}/${String(file).padStart(2, "0")}`;
}

export function groupFolder(groupId: GroupId, replicaId: ReplicaId): string {
  return `${GROUPS_FOLDER}/${groupId}-${replicaId}`;
}

/** @returns undefined when this is no group's folder */
export function parseGroupFolder(name: string): { readonly groupId: GroupId; readonly replicaId: ReplicaId } | undefined {
  const match = /^([1-9]\d*)-([1-9]\d*)$/.exec(name);
  return match === null ? undefined : { groupId: Number(match[1]) as GroupId, replicaId: Number(match[2]) as ReplicaId };
}

export interface SegmentName {
  readonly baseIndex: LogIndex;
  readonly baseOffset: Offset;
}

/** `<base index>-<base offset>`, 20 digits each, so that names sort as logs do. */
export function segmentStem(name: SegmentName): string {
  return `${String(name.baseIndex).padStart(20, "0")}-${String(name.baseOffset).padStart(20, "0")}`;
}

/** @returns undefined when this is no segment's name */
export function parseSegment(fileName: string): SegmentName | undefined {
  const match = /^(\d{20})-(\d{20})\.log$/.exec(fileName);
  if (match === null) return undefined;
  const baseIndex = Number(match[1]) as LogIndex;
  const baseOffset = Number(match[2]) as Offset;
  return Number.isSafeInteger(baseIndex) && Number.isSafeInteger(baseOffset) ? { baseIndex, baseOffset } : undefined;
}
