import { wait } from "../../clients.ts";
import type { WorkloadContext } from "../workload.ts";
import type { GroupOf, MemberEnding } from "./groups.ts";
import { GroupMember } from "./member.ts";
import { RealMember } from "./real-member.ts";

const endings: readonly MemberEnding[] = ["leaves", "leaves", "dies", "leaves for a while"];

/** Members of the groups of the run, on every client: they come, work, go in one way or another, and come back as another process. */
export async function consume(context: WorkloadContext): Promise<void> {
  const { groups, random, n } = context;
  const places = groups.all.flatMap((group) =>
    Array.from({ length: random.between(1, 2) }, (_, k) => ({
      group,
      name: `m${n}${String.fromCharCode(97 + k)}`,
      keeps: n === 1 && k === 0 && group.lasting,
    })),
  );
  await Promise.all(places.map((place) => comeAndGo(context, place)));
}

/** @param keeps it comes back as long as the run goes on: its group is never without it for long */
async function comeAndGo(
  context: WorkloadContext,
  { group, name, keeps }: { readonly group: GroupOf; readonly name: string; readonly keeps: boolean },
): Promise<void> {
  const { groups, activity, random, ports, pace } = context;
  const instance = random.chance(1, 3) ? `${group.id}-${name}` : "";
  const Member = random.chance(groups.real, 4) ? RealMember : GroupMember;
  for (let life = 1; ; life++) {
    await wait(ports, random.below(life === 1 ? 500 : group.lasting ? pace.memberMs / 2 : 2 * pace.memberMs));
    if (groups.over || (activity.stopped && !keeps)) return;
    const member = new Member(context, group, { name: `${group.id}-${name}`, life, instance });
    groups.members.add(member);
    const lifeMs = group.lasting && random.chance(1, 3) ? Number.POSITIVE_INFINITY : pace.memberMs / 4 + random.below(pace.memberMs);
    await member.run(lifeMs, random.pick(endings));
    groups.members.delete(member);
  }
}
