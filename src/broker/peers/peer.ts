import type { BrokerId, Incarnation } from "../../base/ids.ts";
import type { Timer } from "../../base/ports/clock.ts";
import type { Connection } from "../../base/ports/transport.ts";
import type { AppendQueue } from "./append-queue.ts";
import { TAKEN } from "./hello.ts";
import type { PeerCalls } from "./peer-calls.ts";
import type { AddressedMessage } from "./raft-codec.ts";

/** Another broker, and what connects this one to it. */
export interface Peer {
  readonly broker: BrokerId;
  /** Of the process it was last heard from; undefined before the first hello. */
  startNumber: number | undefined;
  /** Of the disk it was last heard from. */
  incarnation: Incarnation | undefined;
  address: string;
  control: Connection | undefined;
  log: { readonly connection: Connection; readonly appends: AppendQueue } | undefined;
  bulk: { readonly connection: Connection; readonly calls: PeerCalls } | undefined;
  /** Control records of this turn, sent together at its end. */
  outbox: AddressedMessage[];
  /** Both sides of the control connection understand it. */
  featureLevel: number;
  /**
   * It does not understand the level of the cluster (ADR 0020): it is asked on one connection now and then whether it does by now, and gets the others
   * then. One of before takes each that it answers for a peer that comes and goes.
   */
  outside: boolean;
  gone: boolean;
  grace: Timer | undefined;
}

export function newPeer(broker: BrokerId, address: string): Peer {
  return {
    broker,
    startNumber: undefined,
    incarnation: undefined,
    address,
    control: undefined,
    log: undefined,
    bulk: undefined,
    outbox: [],
    featureLevel: 0,
    outside: false,
    gone: true,
    grace: undefined,
  };
}

/**
 * Why a connection from the disk `incarnation` is refused: the disk that is registered under this broker id is connected. Of two brokers
 * with one id the newcomer would otherwise take the connections of the one that serves, again and again, and in the end its session.
 * The registered one always gets in.
 *
 * @param live the disk that is registered under the id, while its session lasts
 */
export function takenBy(peer: Peer | undefined, incarnation: Incarnation, live: Incarnation | undefined): string | undefined {
  if (peer?.control === undefined || peer.incarnation !== live || incarnation === live) return undefined;
  return `${TAKEN} broker ${peer.broker} is connected from another disk`;
}
