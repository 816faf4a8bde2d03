import { type BrokerId, type GroupId, type LogIndex, METADATA_GROUP } from "../../base/ids.ts";
import { Malformed } from "../../log/model/bytes.ts";
import { decodeSnapshot, joined, type Snapshot } from "../../log/model/snapshot-file.ts";
import { SNAPSHOT_BYTES_MAX, type Snapshots } from "../../log/snapshots.ts";
import { SnapshotPiece, SnapshotRequest } from "../../protocol/routing.ts";
import type { PeerLinks } from "../peers/peer-links.ts";
import type { MachineGroup } from "./machine.ts";

/** Of the bulk connection: the newest snapshot of another broker, piece by piece. Named when there was no other machine. */
export const SNAPSHOT_METHOD = "metadata.snapshot";

const PIECE_BYTES = 1024 * 1024;
const ANSWER_MS = 5_000;
/** A source that takes snapshots faster than they can be read is given up. */
const RESTARTS_MAX = 3;

/** Whose snapshot is asked for. */
export function snapshotGroup(body: Uint8Array): GroupId {
  const { groupId } = SnapshotRequest.decode(body);
  return groupId === 0 ? METADATA_GROUP : (groupId as GroupId);
}

/** A piece of the snapshot asked for; when that is gone, or index 0 was asked for, the beginning of the newest. Empty: there is none. */
export async function serveSnapshot(snapshots: Snapshots, newest: LogIndex | undefined, body: Uint8Array): Promise<Uint8Array[]> {
  const { index, position } = SnapshotRequest.decode(body);
  if (index > 0) {
    const piece = await snapshots.piece(index as LogIndex, position, PIECE_BYTES);
    if (piece !== undefined) return [SnapshotPiece.encode({ index, total: piece.total, piece: piece.bytes })];
  }
  const piece = newest === undefined ? undefined : await snapshots.piece(newest, 0, PIECE_BYTES);
  return newest === undefined || piece === undefined
    ? []
    : [SnapshotPiece.encode({ index: newest, total: piece.total, piece: piece.bytes })];
}

/**
 * Reads the newest snapshot of the group's machine that `source` has. Pieces are of one file: when the source has another one by now, it begins again (scenario 48).
 *
 * @param atLeast an older one is of no use
 * @returns undefined: it has none that is of use, or could not be read
 */
export async function fetchSnapshot(
  links: Pick<PeerLinks, "call">,
  group: MachineGroup,
  source: BrokerId,
  atLeast: LogIndex,
): Promise<Snapshot | undefined> {
  let index = 0;
  let pieces: Uint8Array[] = [];
  let read = 0;
  for (let restarts = 0; restarts <= RESTARTS_MAX; ) {
    const piece = await ask(links, group, source, index, read);
    if (piece === undefined || piece.total > SNAPSHOT_BYTES_MAX || piece.piece.byteLength === 0) return undefined;
    if (piece.index !== index) {
      index = piece.index;
      pieces = [];
      read = 0;
      restarts += 1;
    }
    pieces.push(piece.piece);
    read += piece.piece.byteLength;
    if (read >= piece.total) return whole(group, pieces, read, atLeast);
  }
  return undefined;
}

function whole({ groupId }: MachineGroup, pieces: readonly Uint8Array[], bytes: number, atLeast: LogIndex): Snapshot | undefined {
  try {
    const snapshot = decodeSnapshot(joined(pieces, bytes));
    return snapshot.header.groupId === groupId && snapshot.header.start.index >= atLeast ? snapshot : undefined;
  } catch (error) {
    if (error instanceof Malformed) return undefined;
    throw error;
  }
}

function ask(
  links: Pick<PeerLinks, "call">,
  { groupId }: MachineGroup,
  source: BrokerId,
  index: number,
  position: number,
): Promise<SnapshotPiece | undefined> {
  return new Promise((resolve, reject) => {
    const request = SnapshotRequest.encode({ index, position, groupId: groupId === METADATA_GROUP ? 0 : groupId });
    links.call(source, SNAPSHOT_METHOD, [request], ANSWER_MS, (outcome) => {
      if ("error" in outcome || outcome.body.byteLength === 0) return resolve(undefined);
      try {
        resolve(SnapshotPiece.decode(outcome.body));
      } catch (error) {
        reject(error);
      }
    });
  });
}
