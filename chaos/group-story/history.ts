/** A record that a worker had in its hands: one line of `consume -g`. */
export interface Handled {
  readonly worker: number;
  readonly partition: number;
  readonly offset: number;
  /** By the worker's clock, milliseconds since 1970. */
  readonly at: number;
  /** Its value is the one that was poured there. */
  readonly intact: boolean;
}

/** What a worker said of its partitions. */
export interface Told {
  readonly worker: number;
  /** When that was read, milliseconds since 1970. */
  readonly at: number;
  readonly kind: "assigned" | "gave back" | "lost";
  readonly partitions: readonly number[];
}

export interface Span {
  readonly from: number;
  readonly until: number;
}

/** What happened in one run, for the judge. Times are milliseconds since 1970. */
export interface Story {
  /** Records of each partition. */
  readonly ends: readonly number[];
  readonly handlerDelayMs: number;
  /** Those of one worker in the order it printed them. */
  readonly handled: readonly Handled[];
  readonly told: readonly Told[];
  readonly killed: ReadonlyMap<number, number>;
  readonly stopped: ReadonlyMap<number, Span>;
  /** When a broker was killed, and the partitions it led. */
  readonly brokerKilled: { readonly at: number; readonly led: readonly number[] } | undefined;
}

/** As `consume -f` is told to print records for `parseHandled`. */
export const RECORD_TEMPLATE = "%p %o %N %v\\n";

/** @param valueAt what was poured @returns undefined for a line that is none of these */
export function parseHandled(
  line: string,
  worker: number,
  valueAt: (partition: number, offset: number) => string | undefined,
): Handled | undefined {
  const parts = /^(\d+) (\d+) (\d+) (.*)$/s.exec(line);
  if (parts === null) return undefined;
  const [partition, offset, at] = [Number(parts[1]), Number(parts[2]), Number(parts[3])];
  return { worker, partition, offset, at, intact: valueAt(partition, offset) === parts[4] };
}

/** @returns undefined for whatever else a worker says */
export function parseTold(line: string, worker: number, at: number): Told | undefined {
  const parts = /^(assigned|gave back|lost) \S+ ([\d ]+)$/.exec(line);
  if (parts === null) return undefined;
  return { worker, at, kind: parts[1] as Told["kind"], partitions: (parts[2] as string).split(" ").map(Number) };
}
