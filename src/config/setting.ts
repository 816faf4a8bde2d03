import { z } from "zod";
import { parseAddress } from "../base/address.ts";
import { formatBytes, formatMilliseconds, parseBytes, parseMilliseconds } from "./units.ts";

/** Who must agree on a value (style 11): each broker for itself, or all of a cluster. */
export type Scope = "broker" | "cluster" | "topic";

/** One row of the table: what a key is, how its text is read, and what its value may be. */
export interface Setting<T> {
  readonly kind: "bytes" | "ms" | "count" | "text" | "address" | "flag" | "choice" | "seeds";
  /** Undefined: required, or left out without a value. */
  readonly default: T | undefined;
  readonly required: boolean;
  /** For people: "4 KiB to 16 MiB". */
  readonly range: string;
  /** One sentence. */
  readonly doc: string;
  readonly scope: Scope;
  /** Takes effect without a restart. */
  readonly reloadable: boolean;
  /** Reads text; undefined when it is no value of this kind at all ("what" says what is expected). */
  readonly read: (text: string) => unknown;
  readonly expects: string;
  readonly schema: z.ZodType<T>;
  readonly show: (value: T) => string;
}

interface Common {
  readonly doc: string;
  readonly scope?: Scope;
  readonly reloadable?: boolean;
  /** A broker does not start without it. */
  readonly required?: boolean;
}

interface Numeric extends Common {
  readonly default?: number;
  readonly min: number;
  readonly max: number;
}

function numeric(
  kind: "bytes" | "ms" | "count",
  row: Numeric,
  read: (text: string) => number | undefined,
  show: (n: number) => string,
): Setting<number> {
  const range = `${show(row.min)} to ${show(row.max)}`;
  const expects = { bytes: "bytes, such as 65536 or 64KiB", ms: "a time, such as 1500, 1500ms or 2s", count: "a whole number" }[kind];
  const schema = z.number().int().min(row.min, `must be ${range}`).max(row.max, `must be ${range}`);
  return { ...common(row), kind, default: row.default, range, read, expects, schema, show };
}

export const bytes = (row: Numeric): Setting<number> => numeric("bytes", row, parseBytes, formatBytes);
export const ms = (row: Numeric): Setting<number> => numeric("ms", row, parseMilliseconds, formatMilliseconds);
export const count = (row: Numeric): Setting<number> =>
  numeric("count", row, (text) => (/^\d{1,16}$/.test(text) ? Number(text) : undefined), String);

/** A text without control characters; `default` undefined: optional. */
export function text(row: Common & { readonly default?: string }): Setting<string> {
  const schema = z
    .string()
    .min(1, "must not be empty")
    .max(4096, "must be at most 4096 characters")
    .refine((value) => !/[\p{Cc}]/u.test(value), "must not hold control characters");
  return {
    ...common(row),
    kind: "text",
    default: row.default,
    range: "1 to 4096 characters",
    read: (value) => value,
    expects: "a text",
    schema,
    show: String,
  };
}

export function address(row: Common & { readonly default?: string }): Setting<string> {
  const schema = z
    .string()
    .refine((value) => parseAddress(value) !== undefined, 'must be "host:port", such as 127.0.0.1:7400 or [::1]:7400');
  return {
    ...common(row),
    kind: "address",
    default: row.default,
    range: "host:port",
    read: (value) => value,
    expects: "host:port",
    schema,
    show: String,
  };
}

export function flag(row: Common & { readonly default: boolean }): Setting<boolean> {
  const read = (value: string): boolean | undefined => (value === "true" ? true : value === "false" ? false : undefined);
  const expects = "true or false";
  return { ...common(row), kind: "flag", default: row.default, range: expects, read, expects, schema: z.boolean(), show: String };
}

export function choice<const C extends readonly [string, ...string[]]>(
  row: Common & { readonly default: C[number]; readonly choices: C },
): Setting<C[number]> {
  const range = row.choices.join(", ");
  const schema = z.enum(row.choices, `must be one of ${range}`);
  return {
    ...common(row),
    kind: "choice",
    default: row.default,
    range,
    read: (value) => value,
    expects: `one of ${range}`,
    schema,
    show: String,
  };
}

/** One voter of the metadata group. */
export interface Seed {
  readonly id: number;
  readonly address: string;
}

/** "1@host:port,2@host:port,…": 1, 3 or 5 of them. */
export function seeds(row: Common): Setting<readonly Seed[]> {
  const schema = z
    .array(z.object({ id: z.number(), address: z.string() }))
    .refine((list) => [1, 3, 5].includes(list.length), "must name 1, 3 or 5 seeds")
    .refine((list) => distinct(list.map(({ id }) => id)), "must not name one id twice")
    .refine((list) => distinct(list.map((seed) => seed.address)), "must not name one address twice");
  return {
    ...common(row),
    kind: "seeds",
    default: undefined,
    range: "1, 3 or 5 of id@host:port",
    read: readSeeds,
    expects: "id@host:port, separated by commas",
    schema,
    show: (list) => list.map((seed) => `${seed.id}@${seed.address}`).join(","),
  };
}

function readSeeds(value: string): readonly Seed[] | undefined {
  const list: Seed[] = [];
  for (const part of value.split(",")) {
    const [, id, place] = /^([1-9]\d{0,8})@(.+)$/.exec(part.trim()) ?? [];
    if (id === undefined || place === undefined || (parseAddress(place)?.port ?? 0) === 0) return undefined;
    list.push({ id: Number(id), address: place });
  }
  return list;
}

function distinct(values: readonly (string | number)[]): boolean {
  return new Set(values).size === values.length;
}

function common({
  doc,
  scope = "broker",
  reloadable = false,
  required = false,
}: Common): Pick<Setting<unknown>, "doc" | "scope" | "reloadable" | "required"> {
  return { doc, scope, reloadable, required };
}
