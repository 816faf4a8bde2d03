import { crc32c } from "../../src/base/crc32c.ts";
import type { GroupLog, LogStore } from "../../src/log/types.ts";
import type { Frame } from "../../src/records/frame-types.ts";
import { append, draft, EMPTY, framesAfter, fromProducer, group, index, noop, offset, replica, term, text } from "../log/frames.ts";
import type { Machine } from "../log/machine.ts";
import { writeMore } from "./write-more.ts";

export interface MoreOfGroup {
  /** Log start offset. */
  readonly startOffset: number;
  /** It may have forgotten what it promised. */
  readonly doubted: boolean;
  /** Configurations above the synced index, and where they stand. */
  readonly configs: readonly (readonly [index: number, config: string])[];
  /** Of each producer of the log: base sequences of the batches it is known by. */
  readonly producers: Readonly<Record<string, readonly number[]>>;
}

/** What a group must be when a later version opens it. */
export interface ExpectedGroup {
  readonly groupId: number;
  readonly replicaId: number;
  readonly term: number;
  readonly votedFor: number | null;
  readonly start: { readonly index: number; readonly term: number; readonly offset: number };
  readonly config: string;
  /** Since v2. */
  readonly more?: MoreOfGroup;
  /** Of every frame: index, term, base offset, type, CRC of all its bytes. */
  readonly frames: readonly (readonly [number, number, number, number, number])[];
}

/**
 * Writes a log with something of every kind: sealed and growing segments, producers, frames that are only in the ring, a truncation, votes,
 * a group that begins elsewhere and was extended past the ring, one that was dropped. The process then dies.
 */
export async function writeLog(machine: Machine): Promise<readonly ExpectedGroup[]> {
  const store = await machine.open();
  const make = (id: number, start = EMPTY): Promise<GroupLog> =>
    machine.run(store.create(group(id), replica(10 + id), start, text(`config of ${id}`)));
  const write = (log: GroupLog, at: number, count: number, bytes: number): Promise<void> =>
    machine.run(
      new Promise<void>((durable) => {
        const drafts = Array.from({ length: count }, (_, n) =>
          n % 5 === 4 ? noop() : n % 3 === 0 ? fromProducer(n % 2, 10 * log.lastIndex + n, n, bytes) : draft(10 * log.lastIndex + n, bytes),
        );
        append(log, term(at), drafts, durable);
      }),
    );
  const logs = [await make(1), await make(2), await make(4, { index: index(10), term: term(1), offset: offset(17) })];
  const [first, second, elsewhere] = logs as [GroupLog, GroupLog, GroupLog];
  for (let n = 0; n < 60; n += 1) {
    await write(first, 1 + Math.floor(n / 20), 1, 4_000);
    first.commit(index(Math.max(0, first.lastIndex - 2)));
    await machine.settle();
  }
  await write(second, 1, 6, 300);
  second.commit(index(2));
  await machine.run(
    new Promise<void>((durable) => {
      second.write({ state: { term: term(3), votedFor: replica(99) }, truncateFrom: index(4), frames: [] }, durable);
    }),
  );
  await write(second, 3, 2, 200);
  await machine.run(
    elsewhere.extend(framesAfter({ groupId: group(4), index: 10, offset: 17, appendTime: 5 }, [term(1), term(2), term(2), term(5)])),
  );
  const dropped = await make(3);
  await write(dropped, 1, 2, 100);
  await machine.run(store.drop(group(3)));
  await machine.run(
    new Promise<void>((durable) => {
      first.write({ state: { term: term(7), votedFor: undefined }, truncateFrom: undefined, frames: [] }, durable);
    }),
  );
  const more = await writeMore(machine, store);
  const states = new Map([
    [1, { term: 7, votedFor: null }],
    [2, { term: 3, votedFor: 99 }],
    [4, { term: 0, votedFor: null }],
  ]);
  const expected: ExpectedGroup[] = [];
  for (const log of [...logs, ...more]) {
    const { term: at = 0, votedFor = null } = states.get(log.groupId) ?? {};
    const { start } = log;
    expected.push({
      groupId: log.groupId,
      replicaId: log.replicaId,
      term: at,
      votedFor,
      start: { index: start.index, term: start.term, offset: start.offset },
      config: new TextDecoder().decode(log.asRecovered.config),
      more: moreOf(log),
      frames: await framesOf(machine, log),
    });
  }
  machine.crash(true);
  return expected;
}

export function moreOf(log: GroupLog): MoreOfGroup {
  const { configs } = log.asRecovered;
  const known = [0, 1, 7].map((id) => [id, log.producers.get(id)?.batches.map(({ baseSequence }) => baseSequence) ?? []] as const);
  return {
    startOffset: log.startOffset,
    doubted: log.doubted,
    configs: configs.map((one) => [one.index, new TextDecoder().decode(one.config)]),
    producers: Object.fromEntries(known.filter(([, sequences]) => sequences.length > 0)),
  };
}

/** The whole log, in the words of `ExpectedGroup.frames`. */
export async function framesOf(machine: Machine, log: GroupLog): Promise<ExpectedGroup["frames"]> {
  const frames: Frame[] = [];
  for (let next = log.start.index + 1; next <= log.lastIndex; next = (frames.at(-1) as Frame).index + 1) {
    const result = await machine.run(Promise.resolve(log.read(index(next), 64 * 1024, log.lastIndex)));
    if (result.kind !== "frames" || result.frames.length === 0) throw new Error(`nothing is read at ${next}`);
    frames.push(...result.frames);
  }
  return frames.map((frame) => [frame.index, frame.term, frame.baseOffset, frame.type, crc32c(frame.bytes)]);
}

export function stateOf(store: LogStore, groupId: number): Omit<ExpectedGroup, "frames"> | undefined {
  const found = store.recovered.find((one) => one.groupId === groupId);
  if (found === undefined) return undefined;
  const { replicaId, term: at, votedFor, start, config } = found;
  const { index: first, term: before, offset: from } = start;
  return {
    groupId,
    replicaId,
    term: at,
    votedFor: votedFor ?? null,
    start: { index: first, term: before, offset: from },
    config: new TextDecoder().decode(config),
  };
}
