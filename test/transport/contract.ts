import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Connection, Listener, Transport } from "../../src/base/ports/transport.ts";

/** What a contract run needs from an implementation. */
export interface TransportUnderTest {
  readonly transport: Transport;
  /** An address nobody listens on yet; for TCP "127.0.0.1:0" will do. */
  freeAddress(): string;
  close(): Promise<void>;
}

/** What one side of a connection saw. */
export class Seen {
  readonly messages: { kind: number; body: Uint8Array }[] = [];
  drains = 0;
  readonly closedReasons: string[] = [];
  #waiting: { until: () => boolean; done: () => void }[] = [];

  constructor(connection: Connection) {
    connection.handlers = {
      message: (kind, body) => {
        this.messages.push({ kind, body });
        this.#look();
      },
      drain: () => {
        this.drains++;
        this.#look();
      },
      closed: (reason) => {
        this.closedReasons.push(reason);
        this.#look();
      },
    };
  }

  /** Resolves as soon as `until` holds; looked at after every event. */
  when(until: () => boolean): Promise<void> {
    if (until()) return Promise.resolve();
    return new Promise((done) => this.#waiting.push({ until, done }));
  }

  received(count: number): Promise<void> {
    return this.when(() => this.messages.length >= count);
  }

  closed(): Promise<void> {
    return this.when(() => this.closedReasons.length > 0);
  }

  #look(): void {
    this.#waiting = this.#waiting.filter(({ until, done }) => {
      if (!until()) return true;
      done();
      return false;
    });
  }
}

export interface Pair {
  readonly listener: Listener;
  readonly dialer: Connection;
  readonly accepted: Connection;
  readonly atDialer: Seen;
  readonly atAccepted: Seen;
}

export async function openPair({ transport, freeAddress }: TransportUnderTest): Promise<Pair> {
  let accepted: ((pair: { connection: Connection; seen: Seen }) => void) | undefined;
  const incoming = new Promise<{ connection: Connection; seen: Seen }>((resolve) => {
    accepted = resolve;
  });
  const listener = await transport.listen(freeAddress(), (connection) => accepted?.({ connection, seen: new Seen(connection) }));
  const dialer = await transport.dial(listener.address, 5_000);
  const atDialer = new Seen(dialer);
  // A listener may learn of a connection only with its first byte.
  dialer.send(0, []);
  const { connection, seen } = await incoming;
  await seen.received(1);
  seen.messages.length = 0;
  return { listener, dialer, accepted: connection, atDialer, atAccepted: seen };
}

function bytes(length: number, seed: number): Uint8Array {
  const made = new Uint8Array(length);
  for (let i = 0; i < length; i++) made[i] = i * 31 + seed;
  return made;
}

/** The promises of `base/ports/transport.ts`, for every implementation. */
export function transportContract(name: string, open: () => Promise<TransportUnderTest>): void {
  const withPair = (run: (pair: Pair, under: TransportUnderTest) => Promise<void>) => async () => {
    const under = await open();
    const pair = await openPair(under);
    try {
      await run(pair, under);
    } finally {
      pair.dialer.close("test over");
      pair.accepted.close("test over");
      await pair.listener.close();
      await under.close();
    }
  };

  describe(`Transport contract: ${name}`, () => {
    it(
      "delivers messages whole, in order, with their kind, both ways",
      withPair(async ({ dialer, accepted, atDialer, atAccepted }) => {
        const sizes = [0, 1, 5, 2047, 2048, 2049, 65_535, 65_536, 200_000, 3];
        for (const [i, size] of sizes.entries()) {
          dialer.send(i, [bytes(size, i)]);
          accepted.send(255 - i, [bytes(size, i + 100)]);
        }
        await Promise.all([atAccepted.received(sizes.length), atDialer.received(sizes.length)]);
        for (const [i, size] of sizes.entries()) {
          assert.equal(atAccepted.messages[i]?.kind, i);
          assert.deepEqual(Uint8Array.from(atAccepted.messages[i]?.body ?? []), bytes(size, i));
          assert.equal(atDialer.messages[i]?.kind, 255 - i);
          assert.deepEqual(Uint8Array.from(atDialer.messages[i]?.body ?? []), bytes(size, i + 100));
        }
      }),
    );

    it(
      "joins the chunks of one message",
      withPair(async ({ dialer, atAccepted }) => {
        dialer.send(7, [bytes(10, 1), new Uint8Array(0), bytes(5_000, 2), bytes(3, 3)]);
        await atAccepted.received(1);
        assert.deepEqual(
          Uint8Array.from(atAccepted.messages[0]?.body ?? []),
          Uint8Array.from([...bytes(10, 1), ...bytes(5_000, 2), ...bytes(3, 3)]),
        );
      }),
    );

    it(
      "carries a message of 5 MiB",
      withPair(async ({ dialer, atAccepted }) => {
        const body = bytes(5 * 1024 * 1024, 9);
        dialer.send(1, [body]);
        await atAccepted.received(1);
        assert.equal(Buffer.compare(atAccepted.messages[0]?.body ?? new Uint8Array(0), body), 0);
      }),
    );

    it(
      "lets the receiver keep a body while later messages arrive",
      withPair(async ({ dialer, atAccepted }) => {
        for (let i = 0; i < 200; i++) dialer.send(1, [bytes(1_000, i)]);
        await atAccepted.received(200);
        for (let i = 0; i < 200; i++) assert.deepEqual(Uint8Array.from(atAccepted.messages[i]?.body ?? []), bytes(1_000, i));
      }),
    );

    for (const side of ["accepting", "dialing"] as const) {
      it(
        `delivers nothing to the ${side} side between pause and resume, and then everything in order`,
        withPair(async ({ dialer, accepted, atAccepted, atDialer }) => {
          const [reader, atReader, writer, atWriter] =
            side === "accepting" ? [accepted, atAccepted, dialer, atDialer] : [dialer, atDialer, accepted, atAccepted];
          const { handlers } = reader;
          reader.handlers = {
            ...handlers,
            message: (kind, body) => {
              if (kind === 1) reader.pause();
              handlers.message(kind, body);
            },
          };
          for (let kind = 0; kind < 10; kind++) writer.send(kind, [bytes(30_000, kind)]);
          await atReader.received(2);
          // The other direction goes on: when this answer has come back, the eight others had their time to arrive.
          reader.send(0, []);
          await atWriter.received(1);
          assert.equal(atReader.messages.length, 2);
          reader.resume();
          await atReader.received(10);
          for (let kind = 0; kind < 10; kind++) {
            assert.equal(atReader.messages[kind]?.kind, kind);
            assert.equal(Buffer.compare(atReader.messages[kind]?.body ?? new Uint8Array(0), bytes(30_000, kind)), 0);
          }
        }),
      );
    }

    it(
      "counts unsent bytes while the other side does not read, and says when they drained",
      withPair(async ({ dialer, accepted, atDialer, atAccepted }) => {
        accepted.pause();
        const body = bytes(1024 * 1024, 1);
        let sent = 0;
        while (sent < 32) {
          dialer.send(1, [body]);
          sent++;
        }
        assert.ok(dialer.unsentBytes > 1024 * 1024, `unsent: ${dialer.unsentBytes}`);
        assert.equal(atDialer.drains, 0);
        accepted.resume();
        await atDialer.when(() => atDialer.drains > 0);
        assert.ok(dialer.unsentBytes < 256 * 1024);
        await atAccepted.received(sent);
        assert.equal(atDialer.drains, 1);
      }),
    );

    it(
      "tells both sides once when one closes, and sends nothing after",
      withPair(async ({ dialer, accepted, atDialer, atAccepted }) => {
        dialer.close("enough");
        dialer.close("twice");
        dialer.send(1, [bytes(3, 3)]);
        await Promise.all([atDialer.closed(), atAccepted.closed()]);
        accepted.send(1, [bytes(3, 3)]);
        assert.deepEqual(atDialer.closedReasons, ["enough"]);
        assert.equal(atAccepted.closedReasons.length, 1);
        assert.equal(atAccepted.messages.length, 0);
      }),
    );

    it(
      "delivers what was sent in the same turn before close",
      withPair(async ({ dialer, atAccepted }) => {
        dialer.send(9, [bytes(4, 4)]);
        dialer.close("told why");
        await atAccepted.closed();
        assert.equal(atAccepted.messages[0]?.kind, 9);
      }),
    );

    it("refuses to dial where nobody listens", async () => {
      const under = await open();
      const listener = await under.transport.listen(under.freeAddress(), () => {});
      await listener.close();
      await assert.rejects(under.transport.dial(listener.address, 5_000));
      await under.close();
    });

    it("refuses a second listener on one address, by name", async () => {
      const under = await open();
      const listener = await under.transport.listen(under.freeAddress(), () => {});
      await assert.rejects(
        under.transport.listen(listener.address, () => {}),
        (error: Error & { code?: string }) => error.code === "EADDRINUSE" && error.message.includes(listener.address),
      );
      await listener.close();
      await under.close();
    });
  });
}
