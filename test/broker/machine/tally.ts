import { MillraceError } from "../../../src/base/errors.ts";
import type { LogIndex } from "../../../src/base/ids.ts";
import type { Machine, MachineGroup } from "../../../src/broker/machine/machine.ts";
import { group } from "../../log/frames.ts";

/** The smallest machine worth the name: sums by name, which never exceed what the command allows. */
export interface Add {
  readonly name: string;
  readonly by: number;
  readonly atMost?: number;
}
export interface Added {
  readonly name: string;
  readonly by: number;
}

const toBytes = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
const fromBytes = (bytes: Uint8Array): unknown => JSON.parse(new TextDecoder().decode(bytes));

export class Tally {
  #sums: Map<string, number>;
  version = 0;

  constructor(sums: Iterable<readonly [string, number]> = []) {
    this.#sums = new Map(sums);
  }

  sum(name: string): number {
    return this.#sums.get(name) ?? 0;
  }

  replay({ name, by }: Added, index: LogIndex): void {
    this.#sums.set(name, this.sum(name) + by);
    this.version = index;
  }

  clone(): Tally {
    return new Tally(this.#sums);
  }

  /** In two slices: one is not enough to prove anything. */
  *slices(): Generator<Uint8Array> {
    const all = JSON.stringify([...this.#sums]);
    yield new TextEncoder().encode(all.slice(0, 1));
    yield new TextEncoder().encode(all.slice(1));
  }

  become(snapshot: Uint8Array): void {
    this.#sums = new Map(fromBytes(snapshot) as [string, number][]);
  }
}

export const tallyGroup: MachineGroup = { groupId: group(7), name: "tally" };

export const tallyMachine: Machine<Tally, Add, Added, number> = {
  facts: {
    encode: (facts) => toBytes(facts),
    decode: (payload) => fromBytes(payload) as Added[],
    // Two each, so that nobody relies on one.
    records: (facts) => 2 * facts.length,
  },
  refusals: {
    notLeading: () => new MillraceError("NOT_LEADER", "not here"),
    steppingDown: () => new MillraceError("NOT_READY", "not any more"),
    outcomeUnknown: () => new MillraceError("LEADERSHIP_LOST", "perhaps"),
  },
  decide: (tally, { name, by, atMost = Number.MAX_SAFE_INTEGER }) => {
    const sum = tally.sum(name) + by;
    if (sum > atMost) return { error: new MillraceError("INVALID_REQUEST", `${name} would be ${sum}`) };
    return { facts: by === 0 ? [] : [{ name, by }], reply: sum };
  },
};
