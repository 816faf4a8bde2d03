import { MillraceError } from "../../../../base/errors.ts";
import type { FinalGroup } from "../../../checkers/groups/rows.ts";
import { simClient, wait } from "../../clients.ts";
import { LIVENESS_MS } from "../../phases/liveness.ts";
import type { Run } from "../../run.ts";
import { channelsTo } from "../stub.ts";
import { describeOnce } from "./describe.ts";
import { type GroupOf, placesOf } from "./groups.ts";

/** After this members have left, and what was under way has ended. */
const LEAVE_MS = 30_000;

/** C8: nothing troubles the groups any more; each must come to rest. Then their members leave. @throws {Error} one does not leave */
export async function settleGroups(run: Run): Promise<readonly FinalGroup[]> {
  const { world, groups, brokers } = run;
  if (!groups.used) return [];
  const ports = world.machine("c4").boot();
  const channels = channelsTo(ports, brokers);
  const admin = simClient(world, ports, brokers).admin();
  const finals: FinalGroup[] = [];
  const look = async (group: GroupOf): Promise<FinalGroup | undefined> => {
    const members = [...groups.members].flatMap(({ group: { id }, member, tenure }) =>
      id === group.id ? [{ id: member, holds: tenure?.places.map(({ name }) => name) ?? [], steady: tenure?.steady === true }] : [],
    );
    const said = await describeOnce({ world, history: run.history, groups }, world.random.pick(channels), group, "c8");
    if (said === undefined) return undefined;
    const described = said === "no group" ? [] : said.members.map(({ id, assignment }) => ({ id, assignment }));
    const partitions: { partition: string; committed?: number; end: number }[] = [];
    const places = placesOf(group);
    for (const topic of new Set(places.map((place) => place.topic)))
      for (const { partition, logStartOffset, highWatermark, error } of await admin.listOffsets(topic, [], { timeoutMs: 2_000 })) {
        const place = places.find((one) => one.topic === topic && one.partition === partition)?.name;
        if (error !== undefined || place === undefined) return undefined;
        const held = [...groups.members].flatMap(({ tenure }) => tenure?.holdOf(group.id, place) ?? [])[0];
        // What was let go of is nothing that is left to do: a member that finds nothing else has nothing to commit.
        const committed = held === undefined ? {} : { committed: Math.max(held.committed, logStartOffset) };
        partitions.push({ partition: place, end: highWatermark, ...committed });
      }
    if (partitions.length !== places.length) return undefined;
    const there = new Set(partitions.map(({ partition }) => partition));
    const calm = (members.length === 0 || (said !== "no group" && said.state === "stable")) && members.every(({ steady }) => steady);
    const agree =
      described.length === members.length &&
      described.every(({ assignment }) => assignment.every((place) => there.has(place))) &&
      members.every(({ id, holds }) => {
        const its = described.find((one) => one.id === id)?.assignment;
        return its !== undefined && its.length === holds.length && holds.every((place) => its.includes(place));
      });
    // A topic that has just grown may have partitions of which no member has heard yet, and no records in them.
    const held = new Set(members.flatMap(({ holds }) => holds));
    const whole =
      members.length === 0 || partitions.every(({ partition, committed, end }) => held.has(partition) && (committed ?? 0) >= end);
    return { group: group.id, settled: calm && agree && whole, members, described, partitions };
  };
  const rest = async (group: GroupOf): Promise<FinalGroup> => {
    const deadline = world.now + LIVENESS_MS;
    let last: FinalGroup | undefined;
    while (world.now < deadline && last?.settled !== true) {
      try {
        last = (await look(group)) ?? last;
      } catch (error) {
        if (!(error instanceof MillraceError)) throw error;
      }
      if (last?.settled !== true) await wait(ports, 200);
    }
    if (last?.settled !== true) world.note(`C8: ${JSON.stringify(last)}`);
    return last ?? { group: group.id, settled: false, members: [], described: [], partitions: [] };
  };
  await run.within(
    2 * LIVENESS_MS,
    "C8: groups were not looked at",
    Promise.all(groups.all.map(async (group) => void finals.push(await rest(group)))),
  );
  groups.end();
  if (!(await run.until(() => groups.settled && groups.members.size === 0, LEAVE_MS)))
    throw new Error(`C8: ${groups.members.size} members have not left ${LEAVE_MS} ms after they were to`);
  return finals.toSorted((a, b) => (a.group < b.group ? -1 : 1));
}
