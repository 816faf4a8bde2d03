import type { AnyMessageType } from "./field.ts";
import type { CompiledField } from "./message.ts";
import { Reader, WireType } from "./reader.ts";

type Decoded = Record<string, unknown>;

/** Reads all of `bytes` as one message. @throws {MillraceError} INVALID_REQUEST */
export function decodeMessage(type: AnyMessageType, bytes: Uint8Array): object {
  return readMessage(new Reader(bytes), type, bytes.length);
}

/** Recursion is bounded by the declarations: only declared sub-messages are entered, unknown ones are passed over. */
function readMessage(reader: Reader, type: AnyMessageType, end: number): Decoded {
  const out: Decoded = {};
  for (const field of type.compiled) out[field.key] = field.kind === "map" ? new Map<string, string>() : field.initial;
  const outerEnd = reader.end;
  reader.end = end;
  while (reader.at < end) {
    reader.message = type.name;
    reader.field = "";
    const tag = reader.tag();
    const wire = tag % 8;
    const number = (tag - wire) / 8;
    const field = number < type.byNumber.length ? type.byNumber[number] : undefined;
    if (field === undefined) reader.skip(wire);
    else {
      reader.field = field.protoName;
      readField(reader, field, wire, out);
    }
  }
  reader.end = outerEnd;
  return out;
}

function readField(reader: Reader, field: CompiledField, wire: number, out: Decoded): void {
  if (field.label === "repeated") {
    readElements(reader, field, wire, out);
    return;
  }
  if (wire !== field.wire) reader.fail(`wire type ${wire}, expected ${field.wire}`);
  if (field.kind === "map") {
    readEntry(reader, field, out);
    return;
  }
  if ((field.kind === "message" || field.kind === "embedded") && out[field.key] !== undefined) reader.fail("given twice");
  for (const rival of field.rivals) if (out[rival] !== undefined) reader.fail(`given together with ${rival}`);
  out[field.key] = readValue(reader, field);
}

function readElements(reader: Reader, field: CompiledField, wire: number, out: Decoded): void {
  let list = out[field.key] as unknown[];
  if (list === field.initial) {
    list = [];
    out[field.key] = list;
  }
  if (wire === WireType.bytes && field.packable) {
    const outerEnd = reader.end;
    const end = reader.delimited();
    reader.end = end;
    while (reader.at < end) {
      reader.element();
      list.push(readValue(reader, field));
    }
    reader.end = outerEnd;
    return;
  }
  if (wire !== field.wire) reader.fail(`wire type ${wire}, expected ${field.wire}`);
  reader.element();
  list.push(readValue(reader, field));
}

function readEntry(reader: Reader, field: CompiledField, out: Decoded): void {
  reader.element();
  const entry = readMessage(reader, field.type as AnyMessageType, reader.delimited());
  (out[field.key] as Map<string, string>).set(entry["key"] as string, entry["value"] as string);
}

function readValue(reader: Reader, field: CompiledField): unknown {
  switch (field.kind) {
    case "int32":
      return reader.int32();
    case "int64":
      return reader.int64();
    case "uint32":
      return reader.uint32();
    case "bool":
      return reader.bool();
    case "double":
      return reader.double();
    case "string":
      return reader.string();
    case "enum": {
      const value = reader.int32();
      if (field.known?.has(value) !== true) reader.fail(`unknown value ${value}`);
      return value;
    }
    case "message":
      return readMessage(reader, field.type as AnyMessageType, reader.delimited());
    default:
      return reader.view();
  }
}
