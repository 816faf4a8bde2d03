import { type GroupId, type ReplicaId, type Term, toGroupId, toReplicaId, toTerm } from "../../base/ids.ts";
import { Malformed } from "../../log/model/bytes.ts";
import type { InstallPoint } from "../../log/model/install.ts";
import { decodeStartPoint, encodeStartPoint } from "../../log/model/segment-files.ts";
import { ResetOffer } from "../../protocol/routing.ts";
import { BadPeerMessage } from "../peers/raft-codec.ts";
import type { Replica } from "../replica.ts";

/** A leader's word to a follower: begin where my log begins. */
export interface Offer {
  readonly groupId: GroupId;
  readonly from: ReplicaId;
  readonly to: ReplicaId;
  readonly term: Term;
  readonly point: InstallPoint;
}

export function encodeOffer(replica: Replica, to: ReplicaId, point: InstallPoint): Uint8Array {
  const { groupId, id } = replica;
  const { start, terms, config, producers, appendTime } = point;
  return ResetOffer.encode({
    groupId,
    fromReplicaId: id,
    toReplicaId: to,
    term: replica.core.term,
    startPoint: encodeStartPoint({ groupId, replicaId: id, start, terms, config, producers }),
    appendTimeMs: appendTime,
  });
}

/** @throws {BadPeerMessage} what came is not what was sent, or names two groups: the connection ends */
export function decodeOffer(body: Uint8Array): Offer {
  const offer = ResetOffer.decode(body);
  try {
    const point = decodeStartPoint(offer.startPoint);
    if (point.groupId !== offer.groupId || point.replicaId !== offer.fromReplicaId)
      throw new BadPeerMessage(`a start point of group ${point.groupId} in an offer for group ${offer.groupId}`);
    return {
      groupId: toGroupId(offer.groupId),
      from: toReplicaId(offer.fromReplicaId),
      to: toReplicaId(offer.toReplicaId),
      term: toTerm(offer.term),
      point: { ...point, appendTime: offer.appendTimeMs },
    };
  } catch (error) {
    if (error instanceof Malformed) throw new BadPeerMessage(`an offer without a start point: ${error.message}`);
    throw error;
  }
}
