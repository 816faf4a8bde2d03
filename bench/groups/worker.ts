import { connect, type GroupConsumer, type PartitionName } from "../../src/client-entry.ts";
import { now } from "./clock.ts";
import type { FromWorker, ToWorker } from "./worker-words.ts";

/**
 * A process of whole clients: `consumer.run` with a handler that takes a while for each record. It says what its members are given and give
 * back, and, of a time that is over, how long each partition that stayed in their hands went without a record.
 */
interface Lane {
  readonly since: number;
  /** When records were done with, the latest last; as far back as somebody may ask. */
  readonly done: number[];
  /** The newest record is near enough to the end that a silence could be for want of records. */
  dry: boolean;
}

const KEEP_MS = 120_000;
/** Records before the end of the log at which a lane counts no more. */
const DRY = 20;

const lanes = new Map<string, Lane>();
const consumers: GroupConsumer[] = [];
const say = (word: FromWorker): void => void process.send?.(word);

function start({ brokers, group, topic, count, handlerMs, records }: Extract<ToWorker, { kind: "start" }>): void {
  for (let n = 0; n < count; n += 1) {
    const member = `full-${n}`;
    const keyOf = ({ partition }: Pick<PartitionName, "partition">): string => `${member} ${partition}`;
    const client = connect({ brokers });
    const lost = (names: readonly PartitionName[]): void => {
      for (const name of names) lanes.delete(keyOf(name));
      say({ kind: "held", member, granted: [], asked: names.map(({ partition }) => partition), at: now() });
    };
    const consumer = client.consumer({
      group,
      onAssigned: (names: readonly PartitionName[]) => {
        for (const name of names) lanes.set(keyOf(name), { since: now(), done: [], dry: false });
        say({ kind: "held", member, granted: names.map(({ partition }) => partition), asked: [], at: now() });
      },
      onRevoked: lost,
      onLost: lost,
    });
    consumers.push(consumer);
    consumer
      .run({
        topics: [topic],
        concurrency: 1_000,
        handler: async (record) => {
          await new Promise((resolve) => setTimeout(resolve, handlerMs));
          const lane = lanes.get(keyOf(record));
          if (lane === undefined) return;
          lane.done.push(now());
          if (record.offset > records - DRY) lane.dry = true;
          while ((lane.done[0] ?? Infinity) < now() - KEEP_MS) lane.done.shift();
        },
      })
      .catch((error: unknown) => say({ kind: "broken", member, why: String(error) }));
  }
}

/** Longest time between two records of each partition that was in the same hands all the time, milliseconds. */
function gaps(from: number, to: number): readonly number[] {
  return [...lanes.values()].flatMap(({ since, done, dry }) => {
    if (since > from || dry) return [];
    // With the record before: the silence that the time began with counts whole.
    const first = done.findLastIndex((at) => at <= from);
    if (first < 0) return [];
    const times = [...done.slice(first).filter((at) => at <= to), to];
    return [Math.max(...times.slice(1).map((at, n) => at - (times[n] as number)))];
  });
}

process.on("message", (word: ToWorker) => {
  if (word.kind === "start") start(word);
  else if (word.kind === "gaps") say({ kind: "gaps", gaps: gaps(word.from, word.to) });
  else void Promise.all(consumers.map((consumer) => consumer.close({ timeoutMs: 2_000 }))).finally(() => process.exit(0));
});
