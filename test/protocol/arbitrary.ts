import fc from "fast-check";
import type { AnyMessageType, Field } from "../../src/protocol/codec/field.ts";
import { anyText } from "../any-text.ts";

const wellFormedText = anyText(60);

/** A value for every declared field, absent ones included; at most one member per oneof. */
export function valueOf(type: AnyMessageType, recordSet: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Record<string, unknown>> {
  const model: Record<string, fc.Arbitrary<unknown>> = {};
  for (const [key, field] of Object.entries(type.fields)) model[key] = fieldOf(field, recordSet);
  return fc.record(model).map((value) => onePerOneof(type, value));
}

function fieldOf(field: Field<unknown>, recordSet: fc.Arbitrary<Uint8Array>): fc.Arbitrary<unknown> {
  if (field.kind === "map") return fc.array(fc.tuple(wellFormedText, wellFormedText), { maxLength: 4 }).map((pairs) => new Map(pairs));
  const one = scalarOf(field, recordSet);
  if (field.label === "repeated") return fc.array(one, { maxLength: 4 });
  if (field.label === "optional" || field.kind === "message") return fc.option(one, { nil: undefined });
  return one;
}

function scalarOf(field: Field<unknown>, recordSet: fc.Arbitrary<Uint8Array>): fc.Arbitrary<unknown> {
  switch (field.kind) {
    case "int32":
      return fc.oneof(fc.integer(), fc.constant(0));
    case "int64":
      return fc.oneof(fc.maxSafeInteger(), fc.integer(), fc.constant(0));
    case "uint32":
      return fc.integer({ min: 0, max: 2 ** 32 - 1 });
    case "bool":
      return fc.boolean();
    case "double":
      return fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => (n === 0 ? 0 : n));
    case "string":
      return wellFormedText;
    case "bytes":
      return fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ minLength: 1024, maxLength: 1200 }));
    case "enum":
      return fc.constantFrom(...Object.values(field.values ?? {}));
    case "message":
      return field.type === undefined ? fc.constant(undefined) : valueOf(field.type, recordSet);
    default:
      return recordSet;
  }
}

function onePerOneof(type: AnyMessageType, value: Record<string, unknown>): Record<string, unknown> {
  const taken = new Set<string>();
  for (const [key, field] of Object.entries(type.fields)) {
    if (field.oneof === undefined || value[key] === undefined) continue;
    if (taken.has(field.oneof)) value[key] = undefined;
    taken.add(field.oneof);
  }
  return value;
}
