import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { MillraceError } from "../../../src/base/errors.ts";
import { type ClusterId, type Incarnation, toBrokerId } from "../../../src/base/ids.ts";
import type { Connection } from "../../../src/base/ports/transport.ts";
import { type LinkKind, type PeerIdentity, shakeHands } from "../../../src/broker/peers/hello.ts";
import type { FeatureLevels } from "../../../src/cluster/feature-levels.ts";
import { Hello } from "../../../src/protocol/internal.ts";
import { World } from "../../../src/testing/sim/world.ts";

const HELLO = 0;
const REFUSED = 255;
const clusterId = "00000000-0000-4000-8000-000000000000" as ClusterId;

interface Side {
  readonly levels: FeatureLevels;
  readonly clusterLevel: number;
}

interface Said {
  /** Level of the connection; undefined: it was refused. */
  level: number | undefined;
  failed: string | undefined;
  unsupported: MillraceError | undefined;
}

/** Broker 2 dials broker 1. */
function meet(dials: Side, accepts: Side, kind: LinkKind = "control"): readonly [dialer: Said, acceptor: Said] {
  const { clock } = new World(1).machine("b1").boot();
  const ends: [Connection, Connection] = [end(() => ends[1]), end(() => ends[0])];
  const said: [Said, Said] = [nothing(), nothing()];
  // Who accepts has to listen first.
  for (const [at, side] of [
    [1, accepts],
    [0, dials],
  ] as const) {
    const mine = said[at] as Said;
    shakeHands(
      ends[at] as Connection,
      clock,
      () => identity(2 - at, side),
      at === 0 ? { kind, to: kind === "join" ? undefined : toBrokerId(1) } : undefined,
      ({ featureLevel }) => {
        mine.level = featureLevel;
      },
      (reason) => {
        mine.failed = reason;
      },
      undefined,
      undefined,
      undefined,
      (error) => {
        mine.unsupported = error;
      },
    );
  }
  return said;
}

const nothing = (): Said => ({ level: undefined, failed: undefined, unsupported: undefined });

function end(other: () => Connection): Connection {
  let closed = false;
  return {
    remote: "other",
    unsentBytes: 0,
    send(kind, parts) {
      if (!closed) other().handlers.message(kind, parts[0] ?? new Uint8Array());
    },
    pause() {},
    resume() {},
    close() {
      closed = true;
    },
    handlers: { message() {}, drain() {}, closed() {} },
  };
}

const identity = (n: number, { levels, clusterLevel }: Side): PeerIdentity => ({
  brokerId: toBrokerId(n),
  clusterId,
  recoveryEpoch: 0,
  incarnation: `disk ${n}` as Incarnation,
  startNumber: n,
  durableBlockSequence: 0,
  admittedBlockSequence: 0,
  recoveries: 0,
  levels,
  clusterLevel,
});

const side = (min: number, max: number, clusterLevel: number): Side => ({ levels: { min, max }, clusterLevel });

describe("The handshake of brokers of two versions (ADR 0020)", () => {
  it("agrees on the lower of both sides' levels, whatever the cluster's is", () => {
    for (const [dials, accepts] of [
      [side(1, 3, 1), side(1, 2, 1)],
      [side(1, 2, 1), side(1, 3, 1)],
      [side(1, 2, 0), side(2, 5, 2)],
    ] as const)
      assert.deepEqual(
        meet(dials, accepts).map(({ level }) => level),
        [2, 2],
      );
  });

  it("refuses a side that does not understand the level of the cluster, and tells it by both levels, whoever dialed", () => {
    const [early, later] = meet(side(1, 2, 0), side(1, 3, 3));
    assert.deepEqual([early.level, later.level, later.unsupported], [undefined, undefined, undefined]);
    assert.equal(early.unsupported?.code, "UNSUPPORTED_FEATURE_LEVEL");
    assert.match(early.unsupported?.message ?? "", /Cannot run broker 2: it understands feature levels 1 to 2, the cluster is at 3/);
    const [dialed, called] = meet(side(1, 3, 3), side(1, 2, 0));
    assert.deepEqual([dialed.level, called.level, dialed.unsupported], [undefined, undefined, undefined]);
    assert.match(called.unsupported?.message ?? "", /Cannot run broker 1: it understands feature levels 1 to 2, the cluster is at 3/);
    assert.deepEqual(called.unsupported?.metadata["feature_level"], "3");
    const [skipped] = meet(side(4, 5, 0), side(1, 3, 3));
    assert.match(skipped.unsupported?.message ?? "", /levels 4 to 5, the cluster is at 3. .*understands both 3 and 4 first/);
  });

  it("lets anyone ask on a join connection: it is the registration that is refused", () => {
    const levels = meet(side(1, 2, 0), side(1, 3, 3), "join").map(({ level }) => level);
    assert.deepEqual(levels, [2, 2]);
  });

  it("refuses a broker of before there were levels for the cluster, whose hello says its highest one alone", () => {
    const { clock } = new World(2).machine("b1").boot();
    const sent: (readonly [kind: number, text: string])[] = [];
    const connection: Connection = {
      ...end(() => connection),
      send: (kind, parts) => void sent.push([kind, new TextDecoder().decode(parts[0])]),
    };
    let failed = "";
    const { levels: _, brokerId: __, clusterLevel: ___, ...early } = identity(2, side(1, 2, 0));
    shakeHands(
      connection,
      clock,
      () => identity(1, side(1, 3, 3)),
      undefined,
      () => assert.fail("it was let in"),
      (reason) => {
        failed = reason;
      },
    );
    connection.handlers.message(
      HELLO,
      Hello.encode({
        ...early,
        protocol: 1,
        featureLevel: 2,
        featureLevelMin: 0,
        clusterLevel: 0,
        fromBroker: 2,
        toBroker: 1,
        kind: "log",
        remembered: [],
      }),
    );
    assert.match(failed, /Cannot run broker 2: it understands feature levels 1 to 2, the cluster is at 3/);
    assert.deepEqual(
      sent.map(([kind]) => kind),
      [REFUSED],
      "a hello would let it take itself for connected",
    );
    assert.match(sent[0]?.[1] ?? "", /start it with version/);
  });
});
