import { MillraceError } from "../../../src/base/errors.ts";
import type { BrokerId, ClusterId, GroupId, Incarnation, ReplicaId } from "../../../src/base/ids.ts";
import type { Telemetry } from "../../../src/base/ports/telemetry.ts";
import { PeerLinks } from "../../../src/broker/peers/peer-links.ts";
import type { AddressedMessage } from "../../../src/broker/peers/raft-codec.ts";
import { supportedLevels } from "../../../src/cluster/feature-levels.ts";
import type { Frame } from "../../../src/records/frame-types.ts";
import type { Cluster } from "../harness.ts";

const quiet: Telemetry = { log() {}, count() {}, observe() {} };

/** Where a replica of one group lives, as the metadata gave it out. */
export interface Seat {
  readonly group: GroupId;
  readonly replica: ReplicaId;
}

/**
 * A broker the test speaks for, in the place of one that is dead: real connections and handshakes, and the Raft messages the test wants.
 * It answers nothing by itself.
 */
export class Puppet {
  readonly heard: AddressedMessage[] = [];
  readonly #cluster: Cluster;
  readonly #links: PeerLinks;
  readonly #seat: Seat;

  private constructor(
    cluster: Cluster,
    n: number,
    clusterId: ClusterId,
    seat: Seat,
    heard: (message: AddressedMessage) => void,
    recoveries: number,
    featureLevel: number,
  ) {
    this.#cluster = cluster;
    this.#seat = seat;
    const { clock, random, transport } = cluster.world.machine(`b${n}`).boot();
    const startNumber = random.below(2 ** 32);
    const identity = () => ({
      brokerId: n as BrokerId,
      clusterId,
      recoveryEpoch: 0,
      incarnation: "22222222-0000-4000-8000-000000000000" as Incarnation,
      startNumber,
      durableBlockSequence: 0,
      admittedBlockSequence: 0,
      recoveries,
      levels: { min: 1, max: featureLevel },
      clusterLevel: 0,
    });
    this.#links = new PeerLinks({ clock, random, transport, telemetry: quiet }, identity, 150, Number.MAX_SAFE_INTEGER, {
      raft: (_, message) => {
        if (message.groupId !== seat.group) return;
        this.heard.push(message);
        heard(message);
      },
      call: (call) => call.fail(new MillraceError("NOT_READY", "nobody is behind this broker")),
      beat: () => undefined,
      unheard() {},
      peerBack() {},
      peerGone() {},
      callable() {},
      remembers() {},
      outdated() {},
      recoveries() {},
      liveDisk: () => undefined,
      taken() {},
      unsupported() {},
    });
  }

  /** In the place of dead broker `n`, connected with broker `other`. */
  static async start(
    cluster: Cluster,
    n: number,
    other: number,
    clusterId: string,
    seat: Seat,
    heard: (message: AddressedMessage) => void = () => {},
    /** Of partitions, that it says it knows of. */
    recoveries = 0,
    featureLevel = supportedLevels.max,
  ): Promise<Puppet> {
    const puppet = new Puppet(cluster, n, clusterId as ClusterId, seat, heard, recoveries, featureLevel);
    await cluster.settle(puppet.#links.listen(`b${n}:7401`));
    puppet.#links.know(other as BrokerId, `b${other}:7401`);
    await cluster.until(() => puppet.#links.callable(other as BrokerId), `puppet ${n} is connected with broker ${other}`);
    // The log connection is the last one to be asked for, and nothing says when it is there.
    await cluster.pass(50);
    return puppet;
  }

  send(
    to: { readonly broker: number; readonly replica: ReplicaId },
    message: AddressedMessage["message"],
    frames: readonly Frame[] = [],
  ): void {
    const addressed = { groupId: this.#seat.group, from: this.#seat.replica, to: to.replica, message };
    if (message.kind === "append") this.#links.sendAppend(to.broker as BrokerId, addressed, frames);
    else this.#links.sendRecord(to.broker as BrokerId, addressed);
  }

  /** Asks a broker as other brokers do. */
  call(to: number, method: string, body: readonly Uint8Array[]): Promise<Uint8Array | MillraceError> {
    return this.#cluster.settle(
      new Promise((resolve) => {
        this.#links.call(to as BrokerId, method, body, 5_000, (outcome) => resolve("body" in outcome ? outcome.body : outcome.error));
      }),
    );
  }

  /** The next message of this kind that it gets. */
  async next<Kind extends AddressedMessage["message"]["kind"]>(kind: Kind): Promise<Extract<AddressedMessage["message"], { kind: Kind }>> {
    const from = this.heard.length;
    const found = () =>
      this.heard
        .slice(from)
        .map(({ message }) => message)
        .find((message) => message.kind === kind);
    await this.#cluster.until(() => found() !== undefined, `a ${kind}`);
    return found() as Extract<AddressedMessage["message"], { kind: Kind }>;
  }
}
