import { MillraceError } from "../../base/errors.ts";
import { type AnyMessageType, type Fields, oneof, submessage } from "./field.ts";
import { type MessageOf, type MessageType, message } from "./message.ts";

/** Name of the case → its field number (for ever) and its message. */
export type Variants = Readonly<Record<string, readonly [number: number, type: AnyMessageType]>>;

/** The TypeScript union: the message of each case with `kind` = the case's name. */
export type UnionOf<U> =
  U extends UnionType<infer V> ? { [K in keyof V & string]: { readonly kind: K } & MessageOf<V[K][1]> }[keyof V & string] : never;

/** A protobuf message that is one oneof, seen as a TypeScript union. */
export class UnionType<V extends Variants> {
  readonly name: string;
  /** For nesting in other messages, beside `wrap` and `unwrap`. */
  readonly envelope: MessageType<Fields>;
  readonly #kinds: readonly string[];

  constructor(name: string, variants: V) {
    this.name = name;
    this.#kinds = Object.keys(variants);
    const fields: Fields = Object.fromEntries(
      Object.entries(variants).map(([kind, [number, type]]) => [kind, oneof("kind", submessage(number, type))]),
    );
    this.envelope = message(name, fields);
  }

  wrap(value: UnionOf<UnionType<V>>): Readonly<Record<string, unknown>> {
    return { [value.kind]: value };
  }

  /** It is of a case this version knows. */
  knows(envelope: object): boolean {
    const values = envelope as Readonly<Record<string, object | undefined>>;
    return this.#kinds.some((kind) => values[kind] !== undefined);
  }

  /** @throws {MillraceError} INVALID_REQUEST for a case this version does not know */
  unwrap(envelope: object): UnionOf<UnionType<V>> {
    const values = envelope as Readonly<Record<string, object | undefined>>;
    for (const kind of this.#kinds) {
      const value = values[kind];
      if (value !== undefined) return { kind, ...value } as UnionOf<UnionType<V>>;
    }
    throw new MillraceError("INVALID_REQUEST", `Cannot read ${this.name}: it is of a kind this version does not know`, {
      message: this.name,
    });
  }

  encode(value: UnionOf<UnionType<V>>): Uint8Array {
    return this.envelope.encode(this.wrap(value));
  }

  decode(bytes: Uint8Array): UnionOf<UnionType<V>> {
    return this.unwrap(this.envelope.decode(bytes));
  }
}
