import { invariant } from "../../base/invariant.ts";
import { decodeMessage } from "./decode.ts";
import { encodeMessage } from "./encode.ts";
import {
  type AnyMessageType,
  type DecodedOf,
  type EntryFields,
  type Field,
  type FieldKind,
  type FieldLabel,
  type Fields,
  type InputOf,
  isPackable,
  map as mapOf,
  string,
} from "./field.ts";

/** Declared messages nest no deeper; the wire cannot either, since only declared fields are entered. */
export const DEPTH_MAX = 32;

/** A field as the loops want it. */
export interface CompiledField {
  readonly key: string;
  /** Name on the wire's .proto: snake_case. */
  readonly protoName: string;
  readonly number: number;
  readonly kind: FieldKind;
  readonly label: FieldLabel;
  readonly type: AnyMessageType | undefined;
  /** Numbers an enum knows. */
  readonly known: ReadonlySet<number> | undefined;
  /** Wire type of one value. */
  readonly wire: number;
  readonly packable: boolean;
  /** Field number × 8 + wire type as written (packed for repeated scalars). */
  readonly tag: number;
  readonly tagLength: number;
  /** Keys of the other members of its oneof. */
  readonly rivals: readonly string[];
  /** What decode starts from; maps are made anew. */
  readonly initial: unknown;
}

/**
 * A declared message: its codec and its TypeScript type in one (`MessageOf`). Encoding is proto3's: defaults are left out,
 * fields in the order declared. Decoding is strict; see `Reader`.
 */
export class MessageType<F extends Fields> {
  readonly name: string;
  readonly fields: F;
  readonly compiled: readonly CompiledField[];
  /** Index = field number; holes are unknown fields. */
  readonly byNumber: readonly (CompiledField | undefined)[];
  readonly depth: number;

  constructor(name: string, fields: F) {
    this.name = name;
    this.fields = fields;
    this.compiled = Object.entries(fields).map(([key, field]) => compile(name, key, field, fields));
    const byNumber: (CompiledField | undefined)[] = new Array(1 + Math.max(0, ...this.compiled.map((f) => f.number))).fill(undefined);
    for (const field of this.compiled) {
      invariant(byNumber[field.number] === undefined, () => `${name}: field number ${field.number} is given twice`);
      byNumber[field.number] = field;
    }
    this.byNumber = byNumber;
    this.depth = 1 + Math.max(0, ...this.compiled.map((f) => f.type?.depth ?? 0));
    invariant(this.depth <= DEPTH_MAX, () => `${name} nests deeper than ${DEPTH_MAX}`);
  }

  /** One buffer, each byte copied once. @throws {MillraceError} INVALID_REQUEST for a number that the field cannot carry */
  encode(value: InputOf<F>): Uint8Array {
    return encodeMessage(this, value, undefined);
  }

  /** Like `encode`, but byte strings of `PART_BYTES_MIN` or more are not copied: the chunks, in order, are the message. */
  encodeParts(value: InputOf<F>): Uint8Array[] {
    const parts: Uint8Array[] = [];
    encodeMessage(this, value, parts);
    return parts;
  }

  /** Byte strings in the result are views of `bytes`. @throws {MillraceError} INVALID_REQUEST naming message, field and position */
  decode(bytes: Uint8Array): DecodedOf<F> {
    return decodeMessage(this, bytes) as DecodedOf<F>;
  }
}

/** What `decode` gives. */
export type MessageOf<T> = T extends MessageType<infer F> ? DecodedOf<F> : never;
/** What `encode` takes. */
export type MessageInput<T> = T extends MessageType<infer F> ? InputOf<F> : never;

export function message<const F extends Fields>(name: string, fields: F): MessageType<F> {
  return new MessageType(name, fields);
}

const Entry = new MessageType<EntryFields>("map entry", { key: string(1), value: string(2) });

/** A `map<string, string>`. */
export function map(number: number): Field<ReadonlyMap<string, string>> {
  return mapOf(number, Entry);
}

/** `highWatermark` → `high_watermark`, the name the .proto has. */
export function protoNameOf(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

const EMPTY_BYTES = new Uint8Array(0);
const EMPTY_LIST: readonly unknown[] = Object.freeze([]);

function compile(message: string, key: string, field: Field<unknown>, fields: Fields): CompiledField {
  invariant(/^[a-z][A-Za-z0-9]*$/.test(key), () => `${message}: field name ${key}`);
  const wire = wireTypeOf(field.kind);
  const packable = isPackable(field.kind);
  const tag = field.number * 8 + (packable && field.label === "repeated" ? 2 : wire);
  const rivals = Object.keys(fields).filter((other) => other !== key && field.oneof !== undefined && fields[other]?.oneof === field.oneof);
  return {
    key,
    protoName: protoNameOf(key),
    number: field.number,
    kind: field.kind,
    label: field.label,
    type: field.type,
    known: field.values === undefined ? undefined : new Set(Object.values(field.values)),
    wire,
    packable,
    tag,
    tagLength: field.number < 16 ? 1 : field.number < 2048 ? 2 : 3,
    rivals,
    initial: initialOf(field),
  };
}

function wireTypeOf(kind: FieldKind): number {
  if (kind === "double") return 1;
  return isPackable(kind) ? 0 : 2;
}

function initialOf(field: Field<unknown>): unknown {
  if (field.label === "repeated") return EMPTY_LIST;
  if (field.label === "optional") return undefined;
  switch (field.kind) {
    case "message":
    case "embedded":
    case "map":
      return undefined;
    case "bytes":
      return EMPTY_BYTES;
    case "string":
      return "";
    case "bool":
      return false;
    default:
      return 0;
  }
}
