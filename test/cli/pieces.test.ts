import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { MillraceError } from "../../src/base/errors.ts";
import { describeError } from "../../src/cli/describe-error.ts";
import { brokerArguments, devBroker, seedCount } from "../../src/cli/dev/layout.ts";
import { CommandFailed } from "../../src/cli/exit-code.ts";
import { durationFlag, pairsFlag, wholeFlag } from "../../src/cli/flags.ts";
import { jsonField } from "../../src/cli/json-field.ts";
import { LineSplitter } from "../../src/cli/line-splitter.ts";
import { StallWatch } from "../../src/cli/stall-watch.ts";
import { table } from "../../src/cli/table.ts";
import { BadDataDirectory } from "../../src/log/meta.ts";

function split(chunks: readonly Uint8Array[], bytesMax = 1000): { readonly lines: string[]; readonly cut: number[] } {
  const splitter = new LineSplitter(bytesMax);
  const lines = chunks.flatMap((chunk) => [...splitter.push(chunk)]);
  const last = splitter.end();
  if (last !== undefined) lines.push(last);
  assert.deepEqual(
    lines.map((line) => line.number),
    lines.map((_, i) => i + 1),
  );
  return {
    lines: lines.map((line) => Buffer.from(line.bytes).toString("latin1")),
    cut: lines.filter((line) => line.cut).map((line) => line.number),
  };
}

describe("LineSplitter", () => {
  it("keeps CR, blank lines and a last line without newline, and makes no record of a final newline", () => {
    assert.deepEqual(split([Buffer.from("a\r\n\n\nb\n")]).lines, ["a\r", "", "", "b"]);
    assert.deepEqual(split([Buffer.from("a\nb")]).lines, ["a", "b"]);
    assert.deepEqual(split([]).lines, []);
    assert.deepEqual(split([Buffer.from("\n")]).lines, [""]);
  });

  it("gives the same lines however the input is cut in pieces, bytes untouched", () => {
    const bytes = fc.uint8Array({ maxLength: 60 }).map((all) => all.map((byte) => (byte % 5 === 0 ? 10 : byte)));
    fc.assert(
      fc.property(fc.array(bytes, { maxLength: 6 }), (chunks) => {
        const whole = Buffer.concat(chunks).toString("latin1");
        const expected = whole.split("\n");
        if (expected.at(-1) === "") expected.pop();
        assert.deepEqual(split(chunks).lines, expected);
      }),
    );
  });

  it("holds no more of a line than the limit, and says that it was cut", () => {
    assert.deepEqual(split([Buffer.from("12345"), Buffer.from("6789\n12345\n123456\n")], 5), {
      lines: ["12345", "12345", "12345"],
      cut: [1, 3],
    });
  });
});

describe("jsonField", () => {
  it("takes strings decoded and numbers and booleans as they are written", () => {
    assert.equal(jsonField('{"a":"x\\u00e9\\n","b":1}', "a"), "xé\n");
    assert.equal(jsonField('{"id": 12345678901234567890 }', "id"), "12345678901234567890");
    assert.equal(jsonField('{"id":1.50e2}', "id"), "1.50e2");
    assert.equal(jsonField('{"id":true}', "id"), "true");
  });

  it("takes the last of a name given twice, and only of the outermost object", () => {
    assert.equal(jsonField('{"a":1,"a":2}', "a"), "2");
    assert.equal(jsonField('{"b":{"a":9},"a":[1],"a":3,"c":{"a":8}}', "a"), "3");
    assert.equal(jsonField('{"b":"\\"a\\":7","\\u0061":5}', "a"), "5");
  });

  it("finds nothing in what is no object, or has no such plain field", () => {
    for (const text of ["", "[]", "3", "{", '{"b":1}', '{"a":null}', '{"a":{}}', '{"a":[]}', "null"])
      assert.equal(jsonField(text, "a"), undefined);
    assert.equal(jsonField('{"a":1}', "toString"), undefined);
  });

  it("agrees with JSON.parse for every object", () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.integer(), fc.double(), fc.boolean(), fc.jsonValue())),
        fc.string(),
        (object, other) => {
          const text = JSON.stringify(object);
          const parsed = JSON.parse(text) as Record<string, unknown>;
          for (const name of [...Object.keys(parsed), other]) {
            const value = Object.hasOwn(parsed, name) ? parsed[name] : undefined;
            const plain = typeof value === "string" || typeof value === "number" || typeof value === "boolean";
            assert.equal(jsonField(text, name), plain ? (typeof value === "string" ? value : JSON.stringify(value)) : undefined);
          }
        },
      ),
    );
  });
});

describe("Flags", () => {
  it("take whole numbers in their range only", () => {
    assert.equal(wholeFlag("--n", "7", 1, 9), 7);
    assert.equal(wholeFlag("--n", undefined, 1, 9), undefined);
    for (const text of ["0", "10", "7x", "", "-1", "0x7", "7.0"]) assert.throws(() => wholeFlag("--n", text, 1, 9), CommandFailed);
  });

  it("take times with units, and pairs", () => {
    assert.deepEqual(
      [durationFlag("--t", "60s"), durationFlag("--t", "500ms"), durationFlag("--t", "2m"), durationFlag("--t", "3")],
      [60_000, 500, 120_000, 3_000],
    );
    assert.throws(() => durationFlag("--t", "soon"), CommandFailed);
    assert.deepEqual(pairsFlag("--set", ["a=b=c", "d="]), { a: "b=c", d: "" });
    assert.throws(() => pairsFlag("--set", ["=b"]), CommandFailed);
  });
});

describe("describeError", () => {
  it("says code and what to do in one line, and chooses the exit code", () => {
    assert.deepEqual(describeError(new MillraceError("ACKS_NOT_ALLOWED", "no")), { line: "ACKS_NOT_ALLOWED: no", exitCode: 1 });
    const unknown = describeError(new MillraceError("UNKNOWN_TOPIC", "no topic x"));
    assert.equal(unknown.exitCode, 3);
    assert.match(unknown.line, /^UNKNOWN_TOPIC: no topic x \(.*topic list/);
    assert.ok(!unknown.line.includes("\n"));
  });

  it("shows no stack of what is no bug", () => {
    assert.deepEqual(describeError(new BadDataDirectory("/x/meta.json is not JSON: restore it")), {
      line: "/x/meta.json is not JSON: restore it",
      exitCode: 1,
    });
  });
});

describe("Dev layout", () => {
  it("gives broker N port 7400 + 10·(N-1), then peer and admin ports", () => {
    const broker = devBroker({ folder: "/x", brokers: 3, port: 7400 }, 3);
    assert.deepEqual([broker.address, broker.peerAddress, broker.adminAddress], ["127.0.0.1:7420", "127.0.0.1:7421", "127.0.0.1:7422"]);
  });

  it("makes 1, 3 or 5 brokers seeds and lets the others join", () => {
    assert.deepEqual([1, 2, 3, 4, 5, 6].map(seedCount), [1, 1, 3, 3, 5, 5]);
    const layout = { folder: "/x", brokers: 4, port: 100 };
    assert.ok(!brokerArguments(layout, devBroker(layout, 3)).includes("--join"));
    assert.deepEqual(brokerArguments(layout, devBroker(layout, 4)).slice(-8, -6), ["--join", "127.0.0.1:101"]);
  });
});

describe("table", () => {
  it("pads columns and leaves no blanks at the end of a line", () => {
    assert.equal(table(["A", "LONG"], [["xxx", 1]]), "A    LONG\nxxx  1\n");
    assert.equal(table(["A"], []), "");
  });
});

describe("StallWatch", () => {
  it("is silent while acknowledgements come in, and when there is nothing to wait for", () => {
    const watch = new StallWatch(0);
    assert.equal(watch.look(60_000, 0, 0), undefined);
    for (let second = 0; second < 20; second++) assert.equal(watch.look(60_000 + second * 1_000, 100 + second, second), undefined);
    assert.equal(watch.look(200_000, 119, 119), undefined);
    assert.equal(watch.look(202_000, 120, 119), undefined);
  });

  it("speaks after three seconds without one, every ten seconds then, and when they come again", () => {
    const watch = new StallWatch(0);
    const said = Array.from({ length: 31 }, (_, second) => watch.look(second * 1_000, 5, 0)).map((line) => line !== undefined);
    assert.deepEqual(
      said.flatMap((spoke, second) => (spoke ? [second] : [])),
      [3, 13, 23],
    );
    assert.match(new StallWatch(0).look(4_500, 1, 0) ?? "", /no acknowledgement for 4 s, 1 record on the way/);
    assert.equal(watch.look(31_000, 5, 2), "acknowledgements come in again");
    assert.equal(watch.look(31_500, 5, 2), undefined);
  });
});
