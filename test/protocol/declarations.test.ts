import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type protobuf from "protobufjs";
import { MillraceError } from "../../src/base/errors.ts";
import type { AnyMessageType, Field } from "../../src/protocol/codec/field.ts";
import { valueOf } from "./arbitrary.ts";
import { declaredMessages, loadDescriptors } from "./descriptors.ts";

const root = loadDescriptors();
const declared = await declaredMessages();

const RecordSet = root.lookupType("millrace.v1.RecordSet");
const recordSet = fc
  .array(fc.record({ key: fc.uint8Array({ maxLength: 8 }), value: fc.uint8Array({ maxLength: 1500 }), timestamp_ms: fc.nat() }), {
    maxLength: 3,
  })
  .map((records) => Uint8Array.from(RecordSet.encode({ records }).finish()));

describe("declared messages", () => {
  it("are every message of our packages, but for the record set, which is never decoded", () => {
    const ours = new Set(declared.map((type) => type.name));
    const missing = messagesOf(root.lookup("millrace") as protobuf.Namespace).filter((name) => !ours.has(name));
    assert.deepEqual(missing, ["millrace.v1.Header", "millrace.v1.LogRecord", "millrace.v1.RecordSet"]);
  });

  for (const type of declared) {
    it(`${type.name} has the fields of its .proto, by name, number, type and label`, () => {
      const descriptor = root.lookupType(type.name);
      const wanted = descriptor.fieldsArray.map(describeProto).sort();
      const found = type.compiled.map((field) => describeOurs(field.protoName, type.fields[field.key] as Field<unknown>)).sort();
      assert.deepEqual(found, wanted);
    });

    it(`${type.name} survives protobufjs and back`, () => {
      const descriptor = root.lookupType(type.name);
      fc.assert(
        fc.property(valueOf(type, recordSet), (value) => {
          const once = descriptor.decode(type.encode(value));
          const back = type.decode(Uint8Array.from(descriptor.encode(once).finish()));
          assert.deepEqual(back, plain(type, value));
        }),
        { numRuns: 20 },
      );
    });

    it(`${type.name} damaged is refused with an error that names it, or read`, () => {
      fc.assert(
        fc.property(
          valueOf(type, recordSet),
          fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 3 }),
          fc.nat(),
          (value, changes, cut) => {
            const wire = type.encode(value);
            for (const [at, byte] of changes) if (wire.length > 0) wire[at % wire.length] = byte;
            for (const bad of [wire, wire.subarray(0, cut % (wire.length + 1))]) onlyInvalidRequest(() => type.decode(bad));
          },
        ),
        { numRuns: 20 },
      );
    });

    it(`${type.name} encoded in parts is the same bytes`, () => {
      fc.assert(
        fc.property(valueOf(type, recordSet), (value) => {
          assert.deepEqual(new Uint8Array(Buffer.concat(type.encodeParts(value))), type.encode(value));
        }),
        { numRuns: 8 },
      );
    });
  }
});

function onlyInvalidRequest(run: () => unknown): void {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof MillraceError && error.code === "INVALID_REQUEST", String(error));
    assert.ok(error.metadata["message"] !== undefined && error.metadata["message"] !== "");
  }
}

function messagesOf(namespace: protobuf.Namespace): string[] {
  const names: string[] = [];
  for (const nested of namespace.nestedArray) {
    if ("fieldsArray" in nested) names.push(nested.fullName.slice(1));
    else if ("nestedArray" in nested) names.push(...messagesOf(nested as protobuf.Namespace));
  }
  return names.sort();
}

/** "name number label type": enums with their values, so that they cannot drift either. */
function describeProto(field: protobuf.Field): string {
  const proto3Optional = field.getOption("proto3_optional") === true;
  const oneof = field.partOf !== null && !proto3Optional ? `oneof ${field.partOf.name}` : "";
  let type: string = field.type;
  if (field.map) return `${field.name} ${field.id} map<string, ${type}>`;
  const resolved = field.resolvedType;
  if (resolved !== null) type = "values" in resolved ? `enum ${enumValues(resolved)}` : resolved.fullName.slice(1);
  const label = field.repeated ? "repeated" : proto3Optional ? "optional" : oneof;
  return `${field.name} ${field.id} ${label} ${type}`;
}

function enumValues(type: protobuf.Enum): string {
  const prefix = `${type.name.replace(/(?<!^)([A-Z])/g, "_$1").toUpperCase()}_`;
  return JSON.stringify(Object.entries(type.values).map(([name, n]) => [name.slice(prefix.length).toLowerCase(), n]));
}

function describeOurs(name: string, field: Field<unknown>): string {
  if (field.kind === "map") return `${name} ${field.number} map<string, string>`;
  let type: string = field.kind;
  if (field.kind === "message") type = (field.type as AnyMessageType).name;
  if (field.kind === "embedded") type = "millrace.v1.RecordSet";
  if (field.kind === "enum") {
    const values = Object.entries(field.values ?? {});
    type = `enum ${JSON.stringify(values.map(([key, n]) => [key.replace(/[A-Z]/g, "_$&").toLowerCase(), n]))}`;
  }
  const absent = field.kind === "embedded" ? "" : field.label === "optional" && field.oneof === undefined ? "optional" : "";
  const label = field.label === "repeated" ? "repeated" : field.oneof !== undefined ? `oneof ${field.oneof}` : absent;
  return `${name} ${field.number} ${label} ${type}`;
}

/** What decode gives for an arbitrary value: the same, its nested messages too. */
function plain(type: AnyMessageType, value: object): object {
  const out: Record<string, unknown> = {};
  for (const [key, field] of Object.entries(type.fields)) {
    const given = (value as Record<string, unknown>)[key];
    const nested = field.type;
    if (field.kind !== "message" || nested === undefined || given === undefined) out[key] = given;
    else out[key] = Array.isArray(given) ? given.map((one: object) => plain(nested, one)) : plain(nested, given as object);
  }
  return out;
}
