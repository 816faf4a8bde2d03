import { MillraceError } from "../../base/errors.ts";
import type { GroupNumbers, GroupPartitionNumbers } from "../../base/metrics.ts";
import type { Clock } from "../../base/ports/clock.ts";
import type { TopicDirectory } from "../../consumer-groups/decision.ts";
import type { GroupState } from "../../consumer-groups/group-state.ts";
import { lagOf, lagTimes } from "../../consumer-groups/lag.ts";
import { phaseOf } from "../../consumer-groups/reads.ts";
import type { OffsetsOf } from "../services/log-service.ts";
import type { KnownEnds, PartitionEnds } from "./calls/partition-ends.ts";
import type { Coordinator } from "./coordinator/coordinator.ts";
import { type GroupPlace, placesOf } from "./group-places.ts";
import type { Shard } from "./shards.ts";

/** Time that all leaders have together: a scrape is not held up by one that is gone. */
const ASK_MS = 2_000;
/** Partitions looked at for one scrape; groups that would need more are left out. */
const PLACES_MAX = 20_000;
/** Questions to leaders for one scrape, and at a time. What this broker leads and has no lag needs none. */
const ASKED_MAX = 2_000;
const AT_ONCE = 32;
/** Looked at in one go. */
const PLACES_PER_TURN = 500;

export interface GroupNumbersPorts {
  readonly clock: Clock;
  readonly shards: Iterable<Pick<Shard<Coordinator>, "leader" | "view">>;
  readonly topics: TopicDirectory;
  readonly ends: Pick<PartitionEnds, "here" | "of">;
  /** This broker leads it: what its replica says is so. */
  readonly leads: (place: GroupPlace) => boolean;
}

/** Groups this broker coordinates: only one at a time does, but while a coordinator that was cut off has not noticed it. */
export function coordinatedGroups(shards: GroupNumbersPorts["shards"]): number {
  let count = 0;
  for (const { leader, view } of shards) if (leader.active) count += view.image.groups.size;
  return count;
}

/** The groups this broker coordinates, as `/metrics` tells them: what `DescribeGroup` would say, without its round trip to be confirmed. */
export async function* groupNumbers(ports: GroupNumbersPorts, most: number): AsyncGenerator<GroupNumbers> {
  const { clock, topics } = ports;
  const scrape = { deadline: clock.monotonic() + ASK_MS, places: PLACES_MAX, asked: 0 };
  let told = 0;
  for (const { leader, view } of [...ports.shards]) {
    for (const id of leader.active ? [...view.image.groups.keys()] : []) {
      if (told === most) return;
      const group = view.image.groups.get(id);
      // Meanwhile it may be deleted, or another broker's.
      if (group === undefined || !leader.active) continue;
      const places = placesOf(topics, group);
      scrape.places -= places.length;
      if (scrape.places < 0) return;
      told += 1;
      yield { group: id, state: phaseOf(group), members: group.members.size, partitions: await lags(ports, leader, group, places, scrape) };
    }
  }
}

interface Scrape {
  readonly deadline: number;
  asked: number;
}

async function lags(
  ports: GroupNumbersPorts,
  leader: Pick<Coordinator, "verdictOf">,
  group: GroupState,
  places: readonly GroupPlace[],
  scrape: Scrape,
): Promise<readonly GroupPartitionNumbers[]> {
  const numbers: GroupPartitionNumbers[] = [];
  for (let at = 0; at < places.length; at += AT_ONCE) {
    const some = places.slice(at, at + AT_ONCE);
    const found = await Promise.all(some.map((place) => endsOf(ports, group, place, scrape)));
    for (const [n, place] of some.entries()) numbers.push(numbersOf(ports, leader, group, place, found[n]));
    if (at % PLACES_PER_TURN < AT_ONCE) await new Promise<void>((resolve) => ports.clock.soon(resolve));
  }
  return numbers;
}

type Ends = KnownEnds & Pick<OffsetsOf, "ages">;

/** From the leader, at one moment; where that one cannot be asked, what a replica here knows, which is no ages. */
async function endsOf(
  { clock, ends, leads }: GroupNumbersPorts,
  group: GroupState,
  place: GroupPlace,
  scrape: Scrape,
): Promise<Ends | undefined> {
  const { topicId, topic, partition } = place;
  const committed = group.offsets.get(topicId, partition)?.offset;
  const here = ends.here(topicId, partition);
  // A replica that has not heard of what is committed already says nothing of lag.
  const known: Ends | undefined =
    here === undefined || here.highWatermark < (committed ?? 0)
      ? undefined
      : { logStartOffset: here.logStartOffset, highWatermark: here.highWatermark };
  if (known !== undefined && leads(place) && lagOf({ committed, ...known }) === 0) return known;
  if (scrape.asked === ASKED_MAX || clock.monotonic() >= scrape.deadline) return known;
  scrape.asked += 1;
  try {
    return await ends.of(topic, partition, { topicId, agesFrom: committed ?? 0 }, { deadline: scrape.deadline });
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    return known;
  }
}

function numbersOf(
  { clock }: GroupNumbersPorts,
  leader: Pick<Coordinator, "verdictOf">,
  group: GroupState,
  { topicId, topic, partition }: GroupPlace,
  ends: Ends | undefined,
): GroupPartitionNumbers {
  if (ends === undefined) return { topic, partition, lagRecords: undefined, lagSeconds: undefined, verdict: "ok" };
  const { logStartOffset, highWatermark, ages } = ends;
  const lagRecords = lagOf({ committed: group.offsets.get(topicId, partition)?.offset, logStartOffset, highWatermark });
  const times = lagTimes(lagRecords, ages?.oldest, ages?.newest, clock.wall());
  const verdict = leader.verdictOf(group, topicId, partition, { logStartOffset, highWatermark });
  return { topic, partition, lagRecords, lagSeconds: times === undefined ? undefined : times.timeLagMs / 1_000, verdict };
}
