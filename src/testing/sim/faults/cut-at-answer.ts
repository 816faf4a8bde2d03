import { AdminService, GroupService, LogService } from "../../../protocol/methods.ts";
import type { Machine } from "../machine.ts";
import { aLeader, type Fault, type FaultContext } from "./fault.ts";
import { watchLink } from "./watch-link.ts";

/** What operators and members of groups ask to be changed: answers that come seldom. */
const SELDOM: ReadonlySet<string> = new Set(
  [
    AdminService.TrimTopic,
    AdminService.CreateTopic,
    AdminService.DeleteTopic,
    GroupService.CommitOffsets,
    GroupService.SeekGroup,
    GroupService.DeleteGroup,
    GroupService.DeleteOffsets,
  ].map(({ path }) => path),
);
const WRITES: ReadonlySet<string> = new Set([...SELDOM, LogService.Produce.path, LogService.ProduceStream.path]);
/** A seldom answer is waited for so long, milliseconds; then any other one is taken. */
const SELDOM_MS = 1_500;
/** Longer than the others take to elect somebody else. */
const AWAY_MS = 2_500;

/**
 * As soon as a leader has answered a client it is cut off from its peers, for longer than they need to elect another one. Whoever answers what
 * the others do not have yet has told a lie, which their next leader brings to light.
 */
export const cutAtAnswer: Fault = {
  kind: "cut-at-answer",
  leastMs: SELDOM_MS + AWAY_MS,
  begin(context) {
    const { world, machines, random } = context;
    const leader = aLeader(context);
    const others = machines.filter((machine) => machine !== leader);
    if (others.length === 0) return undefined;
    const links = others.flatMap(({ name }) => [world.network.link(leader.name, name), world.network.link(name, leader.name)]);
    const choosyUntil = world.now + (random.chance(1, 2) ? 0 : SELDOM_MS);
    let answered = false;
    const heal = () => {
      for (const link of links) link.heal();
    };
    const unwatch = watchAnswers(context, leader, (path) => {
      if (answered || (world.now < choosyUntil && !SELDOM.has(path))) return;
      answered = true;
      world.note(`${leader.name} has answered ${path}, and is cut off`);
      for (const link of links) link.cut();
      world.scheduler.after(AWAY_MS, `${leader.name} is back`, heal);
    });
    return () => {
      answered = true;
      unwatch();
      heal();
    };
  },
};

/** Tells of each answer to a call that writes, as it leaves for a client. @returns ends it */
function watchAnswers({ world, clients }: FaultContext, from: Machine, told: (path: string) => void): () => void {
  const undo = clients.flatMap(({ name }) => {
    /** Path by connection and number of the call. */
    const open = new Map<string, string>();
    const asks = watchLink(world.network.link(name, from.name), (message, connection) => {
      if (message.type !== "rpc" || message.frame.kind !== "call" || !WRITES.has(message.frame.path)) return;
      open.set(`${connection} ${message.frame.id}`, message.frame.path);
    });
    const answers = watchLink(world.network.link(from.name, name), (message, connection) => {
      if (message.type !== "rpc" || message.frame.kind !== "message") return;
      const path = open.get(`${connection} ${message.frame.id}`);
      if (path !== undefined) told(path);
    });
    return [asks, answers];
  });
  return () => {
    for (const end of undo) end();
  };
}
