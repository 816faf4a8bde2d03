import type { Cluster } from "../../chaos/cluster.ts";
import { percentiles } from "../../chaos/report.ts";
import { Assignment } from "./assignment.ts";
import { type Connections, fill } from "./calls.ts";
import { now, until } from "./clock.ts";
import type { Figures } from "./figures.ts";
import { RawMember } from "./raw-member.ts";
import { Workers } from "./worker-words.ts";

export interface RebalanceOptions {
  readonly members: number;
  /** Of them, whole clients. */
  readonly full: number;
  readonly partitions: number;
  /** One joins, one leaves, in turn. */
  readonly events: number;
  /** Once all have joined: leaderships, caches and compilers come to rest. */
  readonly settleMs: number;
}

const TOPIC = "bench-rebalance";
const GROUP = "bench-rebalance";
const HANDLER_MS = 40;
const RECORDS = 4_000;
const REST_MS = 30_000;
/** Between two events; of a half of it the gaps without any event are told. */
const QUIET_MS = 1_000;
const PAUSE_MS_MAX = 200;

/**
 * A group of so many members; one joins or leaves, again and again. Most members are bare sessions in this process, `full` are clients with
 * handlers in another one, which never leave: of the partitions that stay in their hands, the time between two records is what a pause is.
 */
export async function rebalance(cluster: Cluster, connections: Connections, options: RebalanceOptions, figures: Figures): Promise<void> {
  const { members, full, partitions, events } = options;
  await cluster.admin.createTopic({ name: TOPIC, partitions }, { timeoutMs: 60_000 });
  await cluster.healthy();
  await fill(connections, TOPIC, partitions, RECORDS);

  const assignment = new Assignment(partitions);
  const broken: string[] = [];
  const workers = new Workers((word) => {
    if (word.kind === "held") assignment.held(word.member, word.granted, word.asked, word.at, false);
    else broken.push(`${word.member}: ${word.why}`);
  });
  const sessions: RawMember[] = [];
  let named = 0;
  const join = (): void => {
    named += 1;
    const channel = connections.of((named % connections.count) + 1);
    const member = new RawMember(channel, GROUP, TOPIC, `raw-${String(named).padStart(4, "0")}`, {
      held: (id, granted, asked, at) => assignment.held(id, granted, asked, at),
      broken: (id, why) => void broken.push(`${id}: ${why}`),
    });
    sessions.push(member);
  };

  let resting = assignment.rest(members, 120_000);
  workers.start({ brokers: cluster.addresses, group: GROUP, topic: TOPIC, count: full, handlerMs: HANDLER_MS, records: RECORDS });
  for (let n = full; n < members; n += 1) join();
  await resting;
  await until(now() + options.settleMs);

  const times: { readonly ms: number; readonly what: string }[] = [];
  const gaps: number[] = [];
  const quiet: number[] = [];
  let [judged, disturbed, moved] = [0, 0, 0];
  for (let event = 0; event < events; event += 1) {
    assignment.mark();
    const count = event % 2 === 0 ? members - 1 : members;
    resting = assignment.rest(count, REST_MS);
    const from = now();
    if (count < members) {
      const leaver = sessions.splice((event * 7) % sessions.length, 1)[0] as RawMember;
      assignment.gone(leaver.id);
      await leaver.leave();
    } else join();
    const { at, last } = await resting;
    times.push({ ms: at - from, what: `${count < members ? "one left" : "one joined"}, ${last} was the last to hear` });
    const stayed = assignment.stayed();
    [judged, disturbed, moved] = [judged + stayed.judged, disturbed + stayed.disturbed, moved + stayed.moved];
    // What comes of the event may come a little after it.
    await until(now() + QUIET_MS / 2);
    gaps.push(...(await workers.gaps(from, now())));
    const calm = now();
    await until(calm + QUIET_MS / 2);
    quiet.push(...(await workers.gaps(calm, now())));
  }
  await workers.stop();
  for (const session of sessions) session.drop();
  if (broken.length > 0) throw new Error(`members were lost: ${broken.slice(0, 3).join("; ")}`);

  const took = percentiles(times.map(({ ms }) => ms));
  const slowest = times.toSorted((a, b) => b.ms - a.ms).slice(0, 3);
  const pause = percentiles(gaps);
  const calm = percentiles(quiet);
  const who = `${members} members, ${full} of them whole clients, ${partitions} partitions`;
  const count = times.length;
  figures.add(
    { name: "rebalance: new assignment at every member, p50", value: took.p50, unit: "ms", of: count, note: who },
    {
      name: "rebalance: new assignment at every member, p99",
      value: took.p99,
      unit: "ms",
      bar: { most: 1_000 },
      of: count,
      note: `slowest: ${slowest.map(({ ms, what }) => `${ms.toFixed(0)} ms (${what})`).join(", ")}`,
    },
    { name: "rebalance: partitions moved by an event, mean", value: moved / events, unit: "", of: count },
    { name: "rebalance: asked back from a member that keeps it", value: disturbed, unit: "", bar: { most: 0 }, of: judged },
    { name: "rebalance: two owners at once", value: assignment.doubles.length, unit: "", bar: { most: 0 }, of: judged },
    {
      name: "rebalance: longest time between records of a kept partition",
      value: pause.max,
      unit: "ms",
      bar: { most: PAUSE_MS_MAX },
      of: gaps.length,
      note: `p50 ${pause.p50.toFixed(0)}, p99 ${pause.p99.toFixed(0)}; without an event max ${calm.max.toFixed(0)}, p99 ${calm.p99.toFixed(0)} of ${quiet.length}; a handler takes ${HANDLER_MS} ms`,
    },
  );
}
