import { MillraceError } from "../../base/errors.ts";
import type { BrokerId, Incarnation } from "../../base/ids.ts";
import type { Clock } from "../../base/ports/clock.ts";
import type { Random } from "../../base/ports/random.ts";
import type { Telemetry } from "../../base/ports/telemetry.ts";
import type { Connection, Listener, Transport } from "../../base/ports/transport.ts";
import { BEATS_LEVEL } from "../../cluster/feature-levels.ts";
import type { Frame } from "../../records/frame-types.ts";
import { AppendQueue } from "./append-queue.ts";
import { DiskMemories } from "./disk-memory.ts";
import { type Greeted, type LinkKind, type PeerIdentity, shakeHands, TAKEN } from "./hello.ts";
import { callOnce, DIAL_TIMEOUT_MS, ServedJoins } from "./join-call.ts";
import { newPeer, type Peer, takenBy } from "./peer.ts";
import { type CallDone, type IncomingCall, PeerCalls } from "./peer-calls.ts";
import { ProbeKind, Probes, sequenceIn } from "./probes.ts";
import {
  type AddressedMessage,
  BadPeerMessage,
  decodeAppend,
  decodeRecord,
  encodeAppend,
  encodeRecord,
  RECORD_BYTES,
} from "./raft-codec.ts";

/** Message kinds on the control and log connections. */
const RaftKind = { records: 1, append: 2, beat: 3 } as const;

/** Control records are dropped when so many bytes wait for a hung peer: Raft repeats what matters (scenario 42). */
const CONTROL_UNSENT_MAX = 1024 * 1024;
const REDIAL_MIN_MS = 10;
const REDIAL_MAX_MS = 500;
/** Pause between looks whether a broker that the cluster's level leaves outside runs another version by now. */
const OUTSIDE_MS = 1_000;
/** When to call a broker again that takes nothing. */
const AGAIN_MS = 100;

export interface PeerLinkEvents {
  raft(from: BrokerId, message: AddressedMessage): void;
  call(call: IncomingCall, kind: "bulk" | "join"): void;
  /** What stands for heartbeats. @returns the durable block sequence it carries; undefined: nobody listens @throws {BadPeerMessage} */
  beat(from: BrokerId, body: Uint8Array): number | undefined;
  /** What was said on control may not have arrived: the connection is lost or replaced, or records were dropped. */
  unheard(broker: BrokerId, why: "lost" | "dropped"): void;
  /** Control is back: the peer lives. */
  peerBack(broker: BrokerId): void;
  /** Control was lost and not back within the grace: evidence of death (design §5). */
  peerGone(broker: BrokerId): void;
  /** One more broker can be called. */
  callable(): void;
  /** That broker once heard of so many blocks of this one's disk. Told before anything else comes over the connection. */
  remembers(broker: BrokerId, blockSequence: number): void;
  /** Somebody belongs to a later recovery epoch of this cluster. */
  outdated(): void;
  /** The cluster is at a feature level that this broker does not understand, says one that is in it. */
  unsupported(error: MillraceError): void;
  /** A broker was greeted that has read of so many recoveries of partitions. */
  recoveries(count: number): void;
  /** The disk under which that broker is registered and live, as far as is known here. */
  liveDisk(broker: BrokerId): Incarnation | undefined;
  /** That broker is connected to another disk under this broker's id, which is registered and live. */
  taken(by: BrokerId): void;
}

export interface PeerLinkPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly transport: Transport;
  readonly telemetry: Telemetry;
}

/**
 * The three connections to each other broker (design §5): *control* (Raft records), *log* (appends), *bulk* (calls). Of a pair the
 * higher id dials all three; a new connection of a kind replaces the old one; a lost one is dialed again at once.
 */
export class PeerLinks {
  readonly #ports: PeerLinkPorts;
  readonly #identity: () => PeerIdentity;
  readonly #events: PeerLinkEvents;
  readonly #reconnectGraceMs: number;
  readonly #unsentBytesMax: number;
  readonly #peers = new Map<BrokerId, Peer>();
  readonly #joins: ServedJoins;
  readonly #probes: Probes;
  readonly #disks = new DiskMemories();
  #listener: Listener | undefined;
  #flushing = false;
  #closed = false;

  /** @param unsentBytesMax of requests for one broker: above that it is called no more, until it takes them */
  constructor(
    ports: PeerLinkPorts,
    identity: () => PeerIdentity,
    reconnectGraceMs: number,
    unsentBytesMax: number,
    events: PeerLinkEvents,
  ) {
    this.#unsentBytesMax = unsentBytesMax;
    this.#ports = ports;
    this.#identity = identity;
    this.#reconnectGraceMs = reconnectGraceMs;
    this.#events = events;
    this.#probes = new Probes(ports.clock, () => identity().durableBlockSequence);
    this.#joins = new ServedJoins(ports.clock);
  }

  async listen(address: string): Promise<string> {
    this.#probes.start();
    this.#listener = await this.#ports.transport.listen(address, (connection) => this.#accept(connection));
    return this.#listener.address;
  }

  /** Names a broker; connections to lower ids are dialed from now on. A changed address is used at the next dial. */
  know(broker: BrokerId, address: string): void {
    const self = this.#identity();
    if (broker === self.brokerId || this.#closed) return;
    const known = this.#peers.get(broker);
    if (known !== undefined) {
      known.address = address;
      return;
    }
    const peer = newPeer(broker, address);
    this.#peers.set(broker, peer);
    if (self.brokerId > broker) for (const kind of ["control", "log", "bulk"] as const) this.#dial(peer, kind, 0);
  }

  connected(broker: BrokerId): boolean {
    return this.#peers.get(broker)?.control !== undefined;
  }

  /** `call` would reach it. The connections of a pair come up one by one. */
  callable(broker: BrokerId): boolean {
    const peer = this.#peers.get(broker);
    return peer?.control !== undefined && peer.bulk !== undefined;
  }

  /** Sends a Raft message that is no append; those of one turn leave as one message. Dropped when there is no connection. */
  sendRecord(to: BrokerId, message: AddressedMessage): void {
    const peer = this.#peers.get(to);
    if (peer?.control === undefined) return;
    // What it rested with was its process of before, which was another version: this one would close the connection for a word it does not know.
    if (message.message.kind === "wake" && !rests(peer)) return;
    peer.outbox.push(message);
    if (this.#flushing) return;
    this.#flushing = true;
    this.#ports.clock.soon(() => this.#flush());
  }

  /** What `run` says with `sendRecord` leaves when it ends, in the same turn as the beats it sends, and not in one of its own. */
  together(run: () => void): void {
    const waits = this.#flushing;
    this.#flushing = true;
    try {
      run();
    } finally {
      if (!waits) this.#flush();
    }
  }

  /** Groups may rest between the two: both know how. */
  beats(broker: BrokerId): boolean {
    const peer = this.#peers.get(broker);
    return peer?.control !== undefined && rests(peer);
  }

  /** A hung peer reads nothing: beats do not pile up before it. */
  sendBeat(to: BrokerId, body: Uint8Array): void {
    const control = this.#peers.get(to)?.control;
    if (control === undefined || control.unsentBytes > CONTROL_UNSENT_MAX) return;
    control.send(RaftKind.beat, [body]);
    this.#probes.told(control);
  }

  /** Dropped when there is no connection, or too much waits for it: Raft sends again what matters. */
  sendAppend(to: BrokerId, message: AddressedMessage, frames: readonly Frame[]): void {
    this.#peers.get(to)?.log?.appends.send(message.groupId, encodeAppend(message, frames));
  }

  /** Calls a method of another broker on the bulk connection. @returns cancels it */
  call(to: BrokerId, method: string, body: readonly Uint8Array[], timeoutMs: number, done: CallDone): () => void {
    const bulk = this.#peers.get(to)?.bulk;
    if (bulk === undefined) {
      done({ error: new MillraceError("LEADER_UNKNOWN", `Cannot reach broker ${to}: not connected`) });
      return () => {};
    }
    if (bulk.calls.unsentRequestBytes > this.#unsentBytesMax) {
      const text = `Broker ${to} has not taken ${bulk.calls.unsentRequestBytes} bytes of calls that wait for it; nothing was written`;
      done({ error: new MillraceError("TOO_MANY_REQUESTS", text, { limit: "forward.pending.max.bytes" }, AGAIN_MS) });
      return () => {};
    }
    return bulk.calls.call(method, body, timeoutMs, done);
  }

  /** Bytes of requests that were given up, and that have not left this broker. */
  get abandonedBytes(): number {
    let bytes = 0;
    for (const { bulk } of this.#peers.values()) bytes += bulk?.calls.abandonedBytes ?? 0;
    return bytes;
  }

  /** One call on a short connection to an address: formation questions and registration (design §5 *join*). */
  callOnce(address: string, method: string, body: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    return callOnce(this.#ports, this.#identity, { address, method, body, timeoutMs }, () => this.#events.outdated());
  }

  /** Everybody has to greet anew: this broker is of another recovery epoch now. */
  greetAnew(): void {
    for (const { control, log, bulk } of [...this.#peers.values()])
      for (const connection of [control, log?.connection, bulk?.connection]) connection?.close("another recovery epoch");
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#probes.close();
    for (const peer of this.#peers.values()) {
      peer.grace?.cancel();
      for (const connection of [peer.control, peer.log?.connection, peer.bulk?.connection]) connection?.close("broker stops");
    }
    this.#joins.close();
    await this.#listener?.close();
  }

  #flush(): void {
    this.#flushing = false;
    for (const peer of this.#peers.values()) {
      const messages = peer.outbox;
      if (messages.length === 0) continue;
      peer.outbox = [];
      if (peer.control === undefined || peer.control.unsentBytes > CONTROL_UNSENT_MAX) {
        this.#events.unheard(peer.broker, "dropped");
        continue;
      }
      const bytes = new Uint8Array(messages.length * RECORD_BYTES);
      const view = new DataView(bytes.buffer);
      for (const [i, message] of messages.entries()) encodeRecord(view, i * RECORD_BYTES, message);
      // A vote that its disk forgets may be given twice: whoever gets it remembers the block it lies in.
      if (messages.some(({ message }) => message.kind === "voteReply" && message.granted)) this.#probes.tell(peer.control);
      peer.control.send(RaftKind.records, [bytes]);
    }
  }

  #accept(connection: Connection): void {
    if (this.#closed) {
      connection.close("broker stops");
      return;
    }
    shakeHands(
      connection,
      this.#ports.clock,
      this.#identity,
      undefined,
      (greeted) => this.#greeted(greeted),
      (reason) => this.#refused(connection, reason),
      (broker) => this.#disks.of(broker),
      () => this.#events.outdated(),
      (broker, incarnation) => takenBy(this.#peers.get(broker), incarnation, this.#events.liveDisk(broker)),
      (error) => this.#events.unsupported(error),
    );
  }

  #refused(connection: Connection, reason: string): void {
    this.#ports.telemetry.log("debug", "peer.handshake_failed", { remote: connection.remote, reason });
  }

  #dial(peer: Peer, kind: Exclude<LinkKind, "join">, attempt: number): void {
    if (this.#closed || waitsOutside(peer, kind)) return;
    const again = (reason: string, outside?: MillraceError): void => {
      if (this.#closed) return;
      if (outside !== undefined) this.#leaveOutside(peer, outside);
      else if (attempt === 5)
        this.#ports.telemetry.log("info", "peer.unreachable", { broker: peer.broker, address: peer.address, kind, reason });
      if (waitsOutside(peer, kind)) return;
      const delay = outside === undefined ? Math.min(REDIAL_MAX_MS, REDIAL_MIN_MS * 2 ** Math.min(attempt, 8)) : OUTSIDE_MS;
      this.#ports.clock.after(delay + this.#ports.random.below(delay + 1), () => this.#dial(peer, kind, attempt + 1));
    };
    this.#ports.transport.dial(peer.address, DIAL_TIMEOUT_MS).then(
      (connection) => {
        if (this.#closed) return connection.close("broker stops");
        shakeHands(
          connection,
          this.#ports.clock,
          this.#identity,
          { kind, to: peer.broker },
          (greeted) => this.#greeted(greeted),
          (reason, outside) => {
            again(reason, outside);
            if (reason.includes(TAKEN)) this.#events.taken(peer.broker);
          },
          (broker) => this.#disks.of(broker),
          () => this.#events.outdated(),
          undefined,
          (error) => this.#events.unsupported(error),
        );
      },
      (error: unknown) => again(error instanceof Error ? error.message : String(error)),
    );
  }

  /** Told once, for as long as it lasts. */
  #leaveOutside(peer: Peer, { message: reason }: MillraceError): void {
    if (peer.outside) return;
    peer.outside = true;
    this.#ports.telemetry.log("warn", "peer.level_unsupported", { broker: peer.broker, address: peer.address, reason });
  }

  #letIn(peer: Peer): void {
    if (!peer.outside) return;
    peer.outside = false;
    for (const kind of ["control", "log"] as const) if (peer[kind] === undefined) this.#redial(peer, kind);
  }

  #greeted(greeted: Greeted): void {
    const { connection, kind, broker } = greeted;
    if (kind === "join") {
      this.#serveJoin(greeted);
      return;
    }
    const { incarnation, durableBlockSequence, admittedBlockSequence, remembers } = greeted;
    this.#disks.heard(broker, { incarnation, blockSequence: durableBlockSequence }, admittedBlockSequence);
    if (remembers > 0) this.#events.remembers(broker, remembers);
    // Before anything is heard on it: what it says may be of partitions that were given up here.
    this.#events.recoveries(greeted.recoveries);
    let peer = this.#peers.get(broker);
    if (peer === undefined) {
      // A member this broker has not read of yet (its image is behind): it may speak, its address comes with the metadata.
      peer = newPeer(broker, "");
      this.#peers.set(broker, peer);
    }
    const link = peer;
    link.incarnation = incarnation;
    if (link.startNumber !== greeted.startNumber) {
      // Another process answers under this id: whatever is still open leads to the dead one.
      link.startNumber = greeted.startNumber;
      for (const old of [link.control, link.log?.connection, link.bulk?.connection]) old?.close("the broker was restarted");
    }
    if (kind === "control") link.featureLevel = greeted.featureLevel;
    if (kind === "control") this.#useControl(link, connection, incarnation);
    else if (kind === "log") this.#useLog(link, connection);
    else this.#useBulk(link, connection);
    this.#letIn(link);
  }

  #useControl(peer: Peer, connection: Connection, incarnation: Incarnation): void {
    const old = peer.control;
    peer.control = connection;
    this.#probes.watch(connection, true);
    peer.outbox = [];
    old?.close("replaced by a newer connection");
    this.#events.unheard(peer.broker, "lost");
    let lastTold: number | undefined;
    connection.handlers = {
      message: (kind, body) => {
        const blockSequence = kind === ProbeKind.ping || kind === ProbeKind.pong ? sequenceIn(body) : undefined;
        if (blockSequence !== undefined) this.#disks.heard(peer.broker, { incarnation, blockSequence });
        this.#heard(connection, kind, () => {
          if (kind !== RaftKind.beat || !rests(peer)) return this.#takeRecords(peer, kind, body);
          const told = this.#events.beat(peer.broker, body);
          // Most beats say what the last one said.
          if (told === undefined || told === lastTold) return;
          lastTold = told;
          this.#disks.heard(peer.broker, { incarnation, blockSequence: told });
        });
      },
      drain() {},
      closed: () => {
        this.#probes.forget(connection);
        if (peer.control === connection) {
          peer.control = undefined;
          this.#events.unheard(peer.broker, "lost");
          peer.grace?.cancel();
          peer.grace = this.#ports.clock.after(this.#reconnectGraceMs, () => {
            if (this.#closed || peer.control !== undefined || peer.gone) return;
            peer.gone = true;
            this.#ports.telemetry.log("info", "peer.gone", { broker: peer.broker });
            this.#events.peerGone(peer.broker);
          });
          this.#redial(peer, "control");
        }
      },
    };
    peer.grace?.cancel();
    if (peer.gone) {
      peer.gone = false;
      this.#ports.telemetry.log("info", "peer.back", { broker: peer.broker });
    }
    this.#events.peerBack(peer.broker);
  }

  #takeRecords(peer: Peer, kind: number, body: Uint8Array): void {
    if (kind !== RaftKind.records || body.byteLength % RECORD_BYTES !== 0)
      throw new BadPeerMessage(`message ${kind} of ${body.byteLength} bytes on control`);
    const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
    for (let at = 0; at < body.byteLength; at += RECORD_BYTES) {
      const record = decodeRecord(view, at);
      if (record.message.kind === "wake" && !rests(peer)) throw new BadPeerMessage("wake on a connection that knows of no rest");
      this.#events.raft(peer.broker, record);
    }
  }

  #useLog(peer: Peer, connection: Connection): void {
    const old = peer.log?.connection;
    const appends = new AppendQueue(connection, RaftKind.append);
    peer.log = { connection, appends };
    this.#probes.watch(connection);
    old?.close("replaced by a newer connection");
    connection.handlers = {
      message: (kind, body) =>
        this.#heard(connection, kind, () => {
          if (kind !== RaftKind.append) throw new BadPeerMessage(`message ${kind} on the log connection`);
          this.#events.raft(peer.broker, decodeAppend(body));
        }),
      drain: () => appends.drained(),
      closed: () => {
        this.#probes.forget(connection);
        if (peer.log?.connection !== connection) return; // replaced
        peer.log = undefined;
        this.#redial(peer, "log");
      },
    };
  }

  #useBulk(peer: Peer, connection: Connection): void {
    const old = peer.bulk;
    const calls = new PeerCalls(connection, this.#ports.clock, peer.broker, (call) => this.#events.call(call, "bulk"));
    peer.bulk = { connection, calls };
    // After the handlers are set: held calls leave at once.
    this.#ports.clock.soon(() => this.#events.callable());
    this.#probes.watch(connection);
    old?.connection.close("replaced by a newer connection");
    connection.handlers = {
      message: (kind, body) =>
        this.#heard(connection, kind, () => {
          if (!calls.message(kind, body)) throw new BadPeerMessage(`message ${kind} on the bulk connection`);
        }),
      drain() {},
      closed: () => {
        this.#probes.forget(connection);
        calls.closed();
        if (peer.bulk?.connection !== connection) return; // replaced
        peer.bulk = undefined;
        this.#redial(peer, "bulk");
      },
    };
  }

  #serveJoin(greeted: Greeted): void {
    this.#joins.serve(
      greeted,
      (call) => this.#events.call(call, "join"),
      (take) =>
        this.#guarded(greeted.connection, () => {
          if (!take()) throw new BadPeerMessage("a message that is no call on a join connection");
        }),
    );
  }

  /** Of a pair the higher id dials. */
  #redial(peer: Peer, kind: Exclude<LinkKind, "join">): void {
    if (!this.#closed && this.#identity().brokerId > peer.broker) this.#dial(peer, kind, 0);
  }

  /** Answers probes, hands everything else on. */
  #heard(connection: Connection, kind: number, take: () => void): void {
    if (!this.#probes.heard(connection, kind)) this.#guarded(connection, take);
  }

  /** Bytes that are no message end the connection; what was understood before them stands. Bugs go up. */
  #guarded(connection: Connection, take: () => void): void {
    try {
      take();
    } catch (error) {
      if (!(error instanceof BadPeerMessage) && !(error instanceof MillraceError)) throw error;
      this.#ports.telemetry.log("warn", "peer.bad_message", { remote: connection.remote, reason: error.message });
      connection.close(error.message);
    }
  }
}

/** Of the three connections one is enough to ask by. It is the one whose loss says nothing of whether a broker lives. */
function waitsOutside({ outside }: Peer, kind: LinkKind): boolean {
  return outside && kind !== "bulk";
}

/** Both ends of its control connection know of groups at rest, of beats and of `wake`. */
function rests({ featureLevel }: Peer): boolean {
  return featureLevel >= BEATS_LEVEL;
}
