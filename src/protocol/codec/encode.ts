import { MillraceError } from "../../base/errors.ts";
import { invariant } from "../../base/invariant.ts";
import { utf8Length } from "../../base/utf8.ts";
import type { AnyMessageType } from "./field.ts";
import type { CompiledField } from "./message.ts";
import { PART_BYTES_MIN, varintLength, Writer } from "./writer.ts";

type Values = Readonly<Record<string, unknown>>;

/**
 * Lengths of nested pieces in the order they are met, filled by the first pass and read by the second.
 * One for all encodes: encoding is synchronous and calls nobody.
 */
const lengths: number[] = [];
let lengthsRead = 0;
/** Bytes the first pass left out because they leave as parts. */
let partBytes = 0;
let withParts = false;

/** @param parts when given, receives the chunks; large byte strings among them uncopied */
export function encodeMessage(type: AnyMessageType, value: object, parts: Uint8Array[] | undefined): Uint8Array {
  lengths.length = 0;
  lengthsRead = 0;
  partBytes = 0;
  withParts = parts !== undefined;
  const total = measureMessage(type, value as Values);
  const writer = new Writer(total - partBytes, parts);
  writeMessage(writer, type, value as Values);
  invariant(
    writer.length === total - partBytes && lengthsRead === lengths.length,
    () => `${type.name}: measured ${total} bytes, wrote ${writer.length}`,
  );
  return writer.finish();
}

function isWritten(field: CompiledField, value: unknown): boolean {
  if (value === undefined) return false;
  if (field.label === "optional") return true;
  if (field.label === "repeated") return (value as readonly unknown[]).length > 0;
  switch (field.kind) {
    case "message":
    case "map":
    case "embedded":
      return true;
    case "bytes":
      return (value as Uint8Array).length > 0;
    default:
      return value !== field.initial;
  }
}

function measureMessage(type: AnyMessageType, values: Values): number {
  let total = 0;
  for (const field of type.compiled) {
    const value = values[field.key];
    if (isWritten(field, value)) total += measureField(type, field, value);
  }
  return total;
}

function measureField(type: AnyMessageType, field: CompiledField, value: unknown): number {
  if (field.kind === "map") return measureMap(type, field, value as ReadonlyMap<string, string>);
  if (field.label !== "repeated") return field.tagLength + measureValue(type, field, value);
  const list = value as readonly unknown[];
  if (!field.packable) {
    let total = 0;
    for (const element of list) total += field.tagLength + measureValue(type, field, element);
    return total;
  }
  const at = lengths.push(0) - 1;
  let packed = 0;
  for (const element of list) packed += measureValue(type, field, element);
  lengths[at] = packed;
  return field.tagLength + varintLength(packed) + packed;
}

function measureMap(type: AnyMessageType, field: CompiledField, entries: ReadonlyMap<string, string>): number {
  let total = 0;
  for (const [key, value] of entries) {
    const keyBytes = measureString(type, field, key);
    const entry = 1 + keyBytes + 1 + measureString(type, field, value);
    lengths.push(entry);
    total += field.tagLength + varintLength(entry) + entry;
  }
  return total;
}

function measureValue(type: AnyMessageType, field: CompiledField, value: unknown): number {
  switch (field.kind) {
    case "int32":
    case "enum":
      if (value !== ((value as number) | 0)) refuse(type, field, value);
      return varintLength(value as number);
    case "uint32":
      if (value !== (value as number) >>> 0) refuse(type, field, value);
      return varintLength(value as number);
    case "int64":
      if (!Number.isSafeInteger(value)) refuse(type, field, value);
      return varintLength(value as number);
    case "bool":
      if (typeof value !== "boolean") refuse(type, field, value);
      return 1;
    case "double":
      if (!Number.isFinite(value)) refuse(type, field, value);
      return 8;
    case "string":
      return measureString(type, field, value);
    case "message": {
      const at = lengths.push(0) - 1;
      const length = measureMessage(field.type as AnyMessageType, value as Values);
      lengths[at] = length;
      return varintLength(length) + length;
    }
    default: {
      const length = (value as Uint8Array).length;
      if (withParts && length >= PART_BYTES_MIN) partBytes += length;
      return varintLength(length) + length;
    }
  }
}

function measureString(type: AnyMessageType, field: CompiledField, value: unknown): number {
  if (typeof value !== "string") refuse(type, field, value);
  const length = utf8Length(value);
  lengths.push(length);
  return varintLength(length) + length;
}

function refuse(type: AnyMessageType, field: CompiledField, value: unknown): never {
  const what = `${type.name}.${field.protoName}`;
  throw new MillraceError("INVALID_REQUEST", `Cannot write ${what}: ${String(value)} does not fit ${field.kind}`, {
    message: type.name,
    field: field.protoName,
  });
}

function nextLength(): number {
  return lengths[lengthsRead++] as number;
}

function writeMessage(writer: Writer, type: AnyMessageType, values: Values): void {
  for (const field of type.compiled) {
    const value = values[field.key];
    if (isWritten(field, value)) writeField(writer, field, value);
  }
}

function writeField(writer: Writer, field: CompiledField, value: unknown): void {
  if (field.kind === "map") {
    writeMap(writer, field, value as ReadonlyMap<string, string>);
  } else if (field.label !== "repeated") {
    writer.varint(field.tag);
    writeValue(writer, field, value);
  } else if (field.packable) {
    writer.varint(field.tag);
    writer.varint(nextLength());
    for (const element of value as readonly unknown[]) writeValue(writer, field, element);
  } else {
    for (const element of value as readonly unknown[]) {
      writer.varint(field.tag);
      writeValue(writer, field, element);
    }
  }
}

/** Lengths come as measured: key, value, entry. */
function writeMap(writer: Writer, field: CompiledField, entries: ReadonlyMap<string, string>): void {
  for (const [key, value] of entries) {
    const keyLength = nextLength();
    const valueLength = nextLength();
    writer.varint(field.tag);
    writer.varint(nextLength());
    writer.varint(0x0a);
    writer.varint(keyLength);
    writer.string(key);
    writer.varint(0x12);
    writer.varint(valueLength);
    writer.string(value);
  }
}

function writeValue(writer: Writer, field: CompiledField, value: unknown): void {
  switch (field.kind) {
    case "int32":
    case "enum":
    case "uint32":
    case "int64":
      writer.varint(value as number);
      break;
    case "bool":
      writer.varint(value === true ? 1 : 0);
      break;
    case "double":
      writer.double(value as number);
      break;
    case "string":
      writer.varint(nextLength());
      writer.string(value as string);
      break;
    case "message":
      writer.varint(nextLength());
      writeMessage(writer, field.type as AnyMessageType, value as Values);
      break;
    default:
      writer.varint((value as Uint8Array).length);
      writer.bytes(value as Uint8Array);
  }
}
