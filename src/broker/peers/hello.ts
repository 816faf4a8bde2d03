import type { MillraceError } from "../../base/errors.ts";
import type { BrokerId, ClusterId, Incarnation } from "../../base/ids.ts";
import { toBrokerId } from "../../base/ids.ts";
import type { Clock } from "../../base/ports/clock.ts";
import type { Connection } from "../../base/ports/transport.ts";
import { type FeatureLevels, levelsOf, refuseLevels, sinceOf } from "../../cluster/feature-levels.ts";
import { isBlockSequence } from "../../log/model/block-sequence.ts";
import { Hello } from "../../protocol/internal.ts";
import type { DiskMemory } from "./disk-memory.ts";

/** What each of the connections of a broker pair is for (design §5). `join` may be dialed by anyone, for formation and registration. */
export const linkKinds = ["control", "log", "bulk", "join"] as const;
export type LinkKind = (typeof linkKinds)[number];

/** Version of the framing and of the messages between brokers. */
export const PEER_PROTOCOL = 1;

/** Message kinds of the handshake; all others belong to the user of the connection. */
const HELLO = 0;
const REFUSED = 255;

/** How the refusal begins of a broker whose id is that of another one, which is connected. */
export const TAKEN = "DUPLICATE_BROKER:";

/** An identity and what the other side must match. */
export interface PeerIdentity {
  readonly brokerId: BrokerId;
  /** Undefined until the cluster is formed or joined: only `join` connections work then. */
  readonly clusterId: ClusterId | undefined;
  readonly recoveryEpoch: number;
  readonly incarnation: Incarnation;
  /** Drawn at process start: tells a restart from a reconnect. */
  readonly startNumber: number;
  readonly durableBlockSequence: number;
  /** What was lost up to here is known, and doubted (`LogStore.admitted`). */
  readonly admittedBlockSequence: number;
  /** Recoveries of partitions this broker has read of. */
  readonly recoveries: number;
  /** Feature levels it understands (ADR 0020). */
  readonly levels: FeatureLevels;
  /** That of its cluster, as far as it has read; 0: not at all. */
  readonly clusterLevel: number;
}

export interface Greeted {
  readonly connection: Connection;
  readonly kind: LinkKind;
  readonly broker: BrokerId;
  readonly startNumber: number;
  readonly incarnation: Incarnation;
  readonly durableBlockSequence: number;
  readonly admittedBlockSequence: number;
  /** Highest block of this broker's own disk that the other one heard of; 0: none. */
  readonly remembers: number;
  readonly recoveries: number;
  /** Both sides understand it: the lower one of their highest. */
  readonly featureLevel: number;
}

const HANDSHAKE_MS = 2_000;

/**
 * Runs the handshake of one connection. Both sides say hello; the dialer first. `greeted` must set the connection's handlers
 * synchronously; `failed` is called at most once, and then `greeted` never.
 */
export function shakeHands(
  connection: Connection,
  clock: Clock,
  self: () => PeerIdentity,
  /** The dialer's intention; undefined for the side that accepted. */
  dialed: { readonly kind: LinkKind; readonly to: BrokerId | undefined } | undefined,
  greeted: (peer: Greeted) => void,
  /** @param outside the other side does not understand the level of this cluster; one of before has taken itself for connected meanwhile */
  failed: (reason: string, outside?: MillraceError) => void,
  /** Of the disks of that broker. */
  remembered: (of: BrokerId) => readonly DiskMemory[] = () => [],
  /** The other side says it belongs to a later recovery epoch of this cluster (ADR 0014). `failed` is called as well, but for "join". */
  outdated: () => void = () => {},
  /** On the side that accepted: why that disk may not speak for that broker. */
  taken: (by: BrokerId, incarnation: Incarnation) => string | undefined = () => undefined,
  /** The other side's cluster, which is this one's, is at a feature level that is not understood here. `failed` is called as well. */
  unsupported: (error: MillraceError) => void = () => {},
): void {
  let over = false;
  const end = (reason: string, outside?: MillraceError): void => {
    if (over) return;
    over = true;
    timer.cancel();
    connection.close(reason);
    failed(reason, outside);
  };
  const timer = clock.after(HANDSHAKE_MS, () => end("no hello in time"));
  const sayHello = (kind: LinkKind, to: number): void => {
    const me = self();
    connection.send(HELLO, [
      Hello.encode({
        protocol: PEER_PROTOCOL,
        clusterId: me.clusterId ?? "",
        recoveryEpoch: me.recoveryEpoch,
        fromBroker: me.brokerId,
        toBroker: to,
        incarnation: me.incarnation,
        startNumber: me.startNumber,
        featureLevel: me.levels.max,
        featureLevelMin: me.levels.min,
        clusterLevel: me.clusterLevel,
        durableBlockSequence: me.durableBlockSequence,
        kind,
        remembered: to < 1 ? [] : remembered(toBrokerId(to)).map((disk) => ({ ...disk })),
        admittedBlockSequence: me.admittedBlockSequence,
        recoveries: me.recoveries,
      }),
    ]);
  };
  connection.handlers = {
    message(kind, body) {
      if (over) return;
      if (kind === REFUSED) return end(`refused by the other side: ${new TextDecoder().decode(body.subarray(0, 500))}`);
      if (kind !== HELLO) return end("spoke before its hello");
      let hello: Hello;
      try {
        hello = Hello.decode(body);
      } catch {
        return end("its hello is malformed");
      }
      const me = self();
      const wrong = mismatch(hello, me, dialed);
      const unfit = wrong === undefined && hello.kind !== "join" ? levelMismatch(hello, me) : undefined;
      const why =
        wrong ??
        unfit?.error.message ??
        (dialed !== undefined || hello.kind === "join" ? undefined : taken(toBrokerId(hello.fromBroker), hello.incarnation as Incarnation));
      const sameCluster = me.clusterId !== undefined && hello.clusterId === me.clusterId && hello.fromBroker !== me.brokerId;
      // Also on a "join" connection, which is let in: who has no other connection hears it nowhere else.
      if (sameCluster && hello.recoveryEpoch > me.recoveryEpoch) outdated();
      if (why !== undefined) {
        // Whoever was fenced, or is of too early a version, has to hear it from those who are not: the refusal alone is only words. One of before
        // there were levels would find nothing in the hello, and take itself for connected.
        if (
          sameCluster &&
          (hello.recoveryEpoch < me.recoveryEpoch || (unfit?.side === "theirs" && hello.featureLevelMin > 0)) &&
          dialed === undefined &&
          linkKinds.some((known) => known === hello.kind)
        )
          sayHello(hello.kind as LinkKind, hello.fromBroker);
        if (unfit?.side === "ours") unsupported(unfit.error);
        const outside = unfit?.side === "theirs" ? unfit.error : undefined;
        // Whoever was dialed and has said hello is past the handshake: it would take a refusal for a broken message, again and again.
        if (dialed === undefined || outside === undefined) connection.send(REFUSED, [new TextEncoder().encode(why)]);
        return end(why, outside);
      }
      over = true;
      timer.cancel();
      if (dialed === undefined) sayHello(hello.kind as LinkKind, hello.fromBroker);
      greeted({
        connection,
        kind: hello.kind as LinkKind,
        broker: toBrokerId(hello.fromBroker),
        startNumber: hello.startNumber,
        incarnation: hello.incarnation as Incarnation,
        durableBlockSequence: hello.durableBlockSequence,
        admittedBlockSequence: hello.admittedBlockSequence,
        remembers: rememberedIn(hello, self().incarnation),
        recoveries: hello.recoveries,
        featureLevel: Math.min(me.levels.max, hello.featureLevel),
      });
    },
    drain() {},
    closed(reason) {
      end(reason);
    },
  };
  if (dialed !== undefined) sayHello(dialed.kind, dialed.to ?? 0);
}

/** How far the other side heard that disk to be; what cannot be is nothing. */
function rememberedIn({ remembered }: Hello, disk: Incarnation): number {
  const told = remembered.find(({ incarnation }) => incarnation === disk)?.blockSequence ?? 0;
  return isBlockSequence(told) ? told : 0;
}

/** One side does not understand the level of the cluster, as the other one has read it (ADR 0020). */
function levelMismatch(
  hello: Hello,
  { levels, clusterLevel, brokerId }: PeerIdentity,
): { readonly side: "ours" | "theirs"; readonly error: MillraceError } | undefined {
  const ours = refuseLevels(`Cannot run broker ${brokerId}`, levels, hello.clusterLevel, sinceOf(hello.clusterLevel));
  if (ours !== undefined) return { side: "ours", error: ours };
  const them = levelsOf(hello.featureLevelMin, hello.featureLevel);
  const theirs = refuseLevels(`Cannot run broker ${hello.fromBroker}`, them, clusterLevel, sinceOf(clusterLevel));
  return theirs === undefined ? undefined : { side: "theirs", error: theirs };
}

function mismatch(
  hello: Hello,
  me: PeerIdentity,
  dialed: { readonly kind: LinkKind; readonly to: BrokerId | undefined } | undefined,
): string | undefined {
  const kind = linkKinds.find((known) => known === hello.kind);
  if (hello.protocol !== PEER_PROTOCOL)
    return `broker ${hello.fromBroker} speaks peer protocol ${hello.protocol}, this one ${PEER_PROTOCOL}`;
  if (kind === undefined) return `unknown kind of connection: ${hello.kind}`;
  if (hello.fromBroker < 1) return "broker ids are >= 1";
  if (dialed === undefined && hello.toBroker !== 0 && hello.toBroker !== me.brokerId)
    return `this is broker ${me.brokerId}, not ${hello.toBroker}`;
  if (dialed?.to !== undefined && hello.fromBroker !== dialed.to) return `this is broker ${hello.fromBroker}, not ${dialed.to}`;
  if (kind === "join") return undefined;
  if (hello.fromBroker === me.brokerId) return `both sides are broker ${me.brokerId}`;
  if (me.clusterId === undefined || hello.clusterId === "") return "not a member of a cluster yet";
  if (hello.clusterId !== me.clusterId)
    return `WRONG_CLUSTER: this broker belongs to cluster ${me.clusterId}, the other one to ${hello.clusterId}`;
  if (hello.recoveryEpoch !== me.recoveryEpoch) return `recovery epoch ${hello.recoveryEpoch} meets ${me.recoveryEpoch}`;
  return undefined;
}
