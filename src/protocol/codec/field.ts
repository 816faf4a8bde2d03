import { invariant } from "../../base/invariant.ts";
import type { MessageType } from "./message.ts";

declare const decoded: unique symbol;
declare const input: unique symbol;

export type ScalarKind = "int32" | "int64" | "uint32" | "bool" | "double" | "string" | "bytes" | "enum";
export type FieldKind = ScalarKind | "message" | "embedded" | "map";
/** How often a field may stand: `plain` has a default and is left out when it has it; `optional` knows absence. */
export type FieldLabel = "plain" | "optional" | "repeated";

/** What `message()` accepts as a type of a sub-message, whatever its fields. */
export type AnyMessageType = MessageType<Fields>;
/** Names and numbers of an enum: `{ unspecified: 0, none: 1 }`. */
export type EnumObject = Readonly<Record<string, number>>;

/** One declared field. `Value` is what decode gives (with `undefined` where absence exists), `Input` what encode takes. */
export interface Field<Value, Input = Value> {
  readonly number: number;
  readonly kind: FieldKind;
  readonly label: FieldLabel;
  /** Set for "message", "embedded" (its name only is checked against the .proto) and "map" (its entry). */
  readonly type: AnyMessageType | undefined;
  /** Set for "enum". */
  readonly values: EnumObject | undefined;
  /** Name of the oneof this field belongs to: at most one member may be sent. */
  readonly oneof: string | undefined;
  readonly [decoded]?: Value;
  readonly [input]?: Input;
}

export type Fields = Readonly<Record<string, Field<unknown>>>;

export type DecodedOf<F> = { readonly [K in keyof F]: F[K] extends Field<infer Value, infer _Input> ? Value : never };
export type InputOf<F> = {
  readonly [K in keyof F]?: (F[K] extends Field<infer _Value, infer Input> ? Input : never) | undefined;
};

function field<Value, Input = Value>(number: number, kind: FieldKind, rest: Partial<Field<unknown>> = {}): Field<Value, Input> {
  invariant(Number.isInteger(number) && number >= 1 && number < 2 ** 15, () => `field number ${number}`);
  return { number, kind, label: "plain", type: undefined, values: undefined, oneof: undefined, ...(rest as object) };
}

export const int32 = (number: number): Field<number> => field(number, "int32");
/** A JS number: values beyond ±2^53 are refused, never rounded. */
export const int64 = (number: number): Field<number> => field(number, "int64");
export const uint32 = (number: number): Field<number> => field(number, "uint32");
export const bool = (number: number): Field<boolean> => field(number, "bool");
/** Finite numbers only. */
export const double = (number: number): Field<number> => field(number, "double");
export const string = (number: number): Field<string> => field(number, "string");
/** Decoded as a view of the input: whoever keeps it keeps the whole buffer. */
export const bytes = (number: number): Field<Uint8Array> => field(number, "bytes");

/** An unknown number is refused. */
export function enumeration<E extends EnumObject>(number: number, values: E): Field<E[keyof E]> {
  return field(number, "enum", { values });
}

/** Absent = undefined. A second occurrence is refused (nobody writes one; merging two would copy). */
export function submessage<F extends Fields>(number: number, type: MessageType<F>): Field<DecodedOf<F> | undefined, InputOf<F>> {
  return field(number, "message", { type: type });
}

/**
 * A message field handled as raw bytes, which is the same on the wire: `RecordSet records` (design §4).
 * Absent = undefined, which is not the same as empty; a second occurrence is refused.
 */
export function embedded(number: number): Field<Uint8Array | undefined, Uint8Array> {
  return field(number, "embedded", { label: "optional" });
}

/** Knows absence: `undefined` is not written, the default is. */
export function optional<Value, Input>(of: Field<Value, Input>): Field<Value | undefined, Input> {
  invariant(of.label === "plain" && of.kind !== "message" && of.kind !== "map", "optional() takes a scalar");
  return field(of.number, of.kind, { ...of, label: "optional" });
}

/** A member of the oneof `name`; two members in one message are refused. */
export function oneof<Value, Input>(name: string, of: Field<Value, Input>): Field<Value | undefined, Input> {
  return field(of.number, of.kind, { ...of, label: of.kind === "message" ? "plain" : "optional", oneof: name });
}

/** Scalars are written packed and read both ways. */
export function repeated<Value, Input>(of: Field<Value, Input>): Field<readonly Exclude<Value, undefined>[], readonly Input[]> {
  invariant(of.label === "plain" && of.kind !== "map", "repeated() takes a plain field");
  return field(of.number, of.kind, { ...of, label: "repeated" });
}

/** `true` for kinds whose repeated form is one packed byte string. */
export function isPackable(kind: FieldKind): boolean {
  return kind !== "string" && kind !== "bytes" && kind !== "message" && kind !== "embedded" && kind !== "map";
}

/** Sent as messages of key and value; decoded into a `Map`, so that no key (`__proto__`) is special. Of two equal keys the last counts. */
export function map(number: number, entry: MessageType<EntryFields>): Field<ReadonlyMap<string, string>> {
  return field(number, "map", { type: entry });
}

export type EntryFields = { readonly key: Field<string>; readonly value: Field<string> };
