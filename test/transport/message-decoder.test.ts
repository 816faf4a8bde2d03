import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { MessageDecoder } from "../../src/transport/message-decoder.ts";
import { MessageGatherer } from "../../src/transport/message-gatherer.ts";
import { ReceiveBuffer } from "../../src/transport/receive-buffer.ts";

interface Message {
  readonly kind: number;
  readonly body: Uint8Array;
}

const someMessages = fc.array(
  fc.record({
    kind: fc.nat(255),
    // Around the sizes where the code takes another way: empty, copied, referenced, larger than a read, read straight into place.
    size: fc.oneof(fc.nat(20), fc.constantFrom(2047, 2048, 2049, 65_531, 65_536, 131_072, 300_000)),
    seed: fc.nat(255),
  }),
  { maxLength: 12 },
);

function messagesOf(drawn: readonly { kind: number; size: number; seed: number }[]): readonly Message[] {
  return drawn.map(({ kind, size, seed }) => ({ kind, body: Buffer.alloc(size, Buffer.from([seed, seed ^ 1, seed ^ 2])) }));
}

function wireOf(messages: readonly Message[]): Buffer {
  const gatherer = new MessageGatherer();
  for (const { kind, body } of messages) {
    const middle = body.length >> 1;
    gatherer.add(kind, [body.subarray(0, middle), body.subarray(middle)], body.length);
  }
  return Buffer.concat(gatherer.take());
}

/** Whatever the decoder has now. */
function drain(decoder: MessageDecoder, into: Message[]): void {
  for (;;) {
    const body = decoder.next();
    assert.notEqual(body, "too-long");
    if (typeof body === "string") return;
    into.push({ kind: decoder.kind, body });
  }
}

function assertSame(actual: readonly Message[], expected: readonly Message[]): void {
  assert.equal(actual.length, expected.length);
  for (const [i, { kind, body }] of expected.entries()) {
    assert.equal(actual[i]?.kind, kind);
    assert.equal(Buffer.compare(actual[i]?.body ?? new Uint8Array(1), body), 0);
  }
}

const someCuts = fc.array(fc.oneof(fc.integer({ min: 1, max: 10 }), fc.integer({ min: 1, max: 100_000 })), { minLength: 1, maxLength: 20 });

describe("Messages on the wire", () => {
  it("come out as they went in, however the stream is cut into chunks", () => {
    fc.assert(
      fc.property(someMessages, someCuts, (drawn, cuts) => {
        const messages = messagesOf(drawn);
        const wire = wireOf(messages);
        const decoder = new MessageDecoder();
        const received: Message[] = [];
        for (let at = 0, i = 0; at < wire.length; i++) {
          const take = cuts[i % cuts.length] ?? 1;
          decoder.push(wire.subarray(at, at + take));
          drain(decoder, received);
          at += take;
        }
        assertSame(received, messages);
      }),
      { numRuns: 60 },
    );
  });

  it("come out as they went in when the kernel writes where we say, and stay so while more arrives", () => {
    fc.assert(
      fc.property(someMessages, someCuts, (drawn, cuts) => {
        const messages = messagesOf(drawn);
        const wire = wireOf(messages);
        const decoder = new MessageDecoder();
        const buffer = new ReceiveBuffer(decoder);
        const received: Message[] = [];
        for (let at = 0, i = 0; at < wire.length; i++) {
          const room = buffer.next();
          const take = Math.min(cuts[i % cuts.length] ?? 1, room.length, wire.length - at);
          room.set(wire.subarray(at, at + take));
          buffer.received(take);
          drain(decoder, received);
          at += take;
        }
        // Only now: a later read that wrote over a body handed out would be seen.
        assertSame(received, messages);
      }),
      { numRuns: 60 },
    );
  });

  it("within one chunk are views of it, not copies", () => {
    const wire = wireOf(messagesOf([{ kind: 1, size: 3, seed: 7 }]));
    const decoder = new MessageDecoder();
    decoder.push(wire);
    const received: Message[] = [];
    drain(decoder, received);
    assert.equal(received[0]?.body.buffer, wire.buffer);
  });

  it("of a large body are read straight into their place", () => {
    const decoder = new MessageDecoder();
    const buffer = new ReceiveBuffer(decoder);
    const wire = wireOf(messagesOf([{ kind: 1, size: 300_000, seed: 7 }]));
    buffer.next().set(wire.subarray(0, 1000));
    buffer.received(1000);
    assert.equal(decoder.next(), "more");
    const room = buffer.next();
    assert.equal(room.length, wire.length - 1000);
    room.set(wire.subarray(1000));
    buffer.received(room.length);
    const body = decoder.next();
    assert.ok(typeof body !== "string");
    assert.equal(body.buffer, room.buffer);
    assert.equal(Buffer.compare(body, wire.subarray(5)), 0);
  });
});
