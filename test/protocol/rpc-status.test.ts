import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type ErrorCode, errors, MillraceError } from "../../src/base/errors.ts";
import {
  decodeErrorDetails,
  ERROR_MESSAGE_MAX,
  ErrorInfo,
  encodeErrorDetails,
  Status,
  statusNameOf,
  statusNumbers,
} from "../../src/protocol/rpc-status.ts";
import { anyText } from "../any-text.ts";

const code = fc.constantFrom(...(Object.keys(errors) as ErrorCode[]));
const text = anyText(100);

describe("error details", () => {
  it("carry code, message, metadata and delay to the other side", () => {
    fc.assert(
      fc.property(
        code,
        text,
        fc.dictionary(text, text, { maxKeys: 4 }),
        fc.option(fc.nat({ max: 10_000_000 }), { nil: undefined }),
        (name, message, metadata, delay) => {
          const back = decodeErrorDetails(encodeErrorDetails(new MillraceError(name, message, metadata, delay)));
          assert.ok(back instanceof MillraceError);
          assert.equal(back.code, name);
          assert.equal(back.message, message);
          assert.deepEqual(Object.entries(back.metadata), Object.entries(metadata));
          assert.equal(back.retryAfterMs, delay);
        },
      ),
    );
  });

  it("carry the gRPC number of the error's status", () => {
    const status = Status.decode(encodeErrorDetails(new MillraceError("OFFSET_OUT_OF_RANGE", "Cannot read offset 12: log starts at 40")));
    assert.equal(status.code, statusNumbers.OUT_OF_RANGE);
    assert.equal(statusNameOf(status.code), "OUT_OF_RANGE");
  });

  it("keep a metadata key __proto__ a plain key", () => {
    const info = ErrorInfo.encode({ reason: "INTERNAL", domain: "millrace", metadata: new Map([["__proto__", "x"]]) });
    const bytes = Status.encode({ code: 2, message: "", details: [{ typeUrl: "a/google.rpc.ErrorInfo", value: info }] });
    const metadata = decodeErrorDetails(bytes)?.metadata ?? {};
    assert.equal(Object.getPrototypeOf(metadata), Object.prototype);
    assert.deepEqual(Object.keys(metadata), ["__proto__"]);
  });

  it("fit the trailers however long the message is", () => {
    const details = encodeErrorDetails(new MillraceError("INVALID_REQUEST", "é".repeat(100_000), { field: "x".repeat(9000) }));
    assert.ok(details.length < 8 * 1024, `${details.length} bytes`);
    assert.equal(decodeErrorDetails(details)?.message.length, ERROR_MESSAGE_MAX);
  });

  it("name the field of an invalid request as a BadRequest too", () => {
    const status = Status.decode(encodeErrorDetails(new MillraceError("INVALID_REQUEST", "no topic", { field: "topic" })));
    assert.deepEqual(
      status.details.map((any) => any.typeUrl),
      ["type.googleapis.com/google.rpc.ErrorInfo", "type.googleapis.com/google.rpc.BadRequest"],
    );
  });

  it("of another domain, or with a reason unknown here, are no error of ours", () => {
    for (const info of [
      { reason: "INTERNAL", domain: "example.com" },
      { reason: "toString", domain: "millrace" },
    ]) {
      const bytes = Status.encode({ code: 2, details: [{ typeUrl: "x/google.rpc.ErrorInfo", value: ErrorInfo.encode(info) }] });
      assert.equal(decodeErrorDetails(bytes), undefined);
    }
  });

  it("of arbitrary or damaged bytes never throw", () => {
    const good = encodeErrorDetails(new MillraceError("INVALID_REQUEST", "no topic", { field: "topic" }, 5));
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void decodeErrorDetails(bytes)));
    fc.assert(
      fc.property(fc.nat({ max: good.length - 1 }), fc.nat({ max: 255 }), (at, byte) => {
        const bad = good.slice();
        bad[at] = byte;
        decodeErrorDetails(bad);
      }),
    );
  });
});
