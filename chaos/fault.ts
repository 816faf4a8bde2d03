import type { Cluster } from "./cluster.ts";
import type { Draws } from "./draws.ts";
import { sleep } from "./report.ts";

/** Who is killed: FP1 of docs/reliability.md. */
export type FaultKind = "leader" | "follower" | "controller" | "all";
export const faultKinds: readonly FaultKind[] = ["leader", "follower", "controller", "all"];

/** What a kill did, by `performance.now()`. */
export interface FaultLog {
  readonly kind: FaultKind;
  /** The partition whose acknowledgements decide whether the run counts. */
  readonly partition: number;
  readonly victims: readonly number[];
  readonly leaderBefore: number;
  readonly termBefore: number;
  readonly controllerBefore: number;
  readonly killedAt: number;
  readonly leaderAfter: number;
  readonly termAfter: number;
  readonly controllerAfter: number;
  /** When we first saw the leader (or controller) after the kill; later than the election itself. */
  readonly electedAt: number;
  readonly restartedAt: number;
}

const ELECTION_MS = 60_000;
const LOOK_EVERY_MS = 20;
/** How long brokers stay dead at least, so that something happens without them. */
const DEAD_MS = 500;

/**
 * Kills by SIGKILL while a topic is being written, waits for the new leader, and starts the dead again by the printed command.
 *
 * @param written partitions with acknowledgements so far; the one that is judged is among them
 */
export async function inject(
  cluster: Cluster,
  topic: string,
  kind: FaultKind,
  draws: Draws,
  written: () => readonly number[],
): Promise<FaultLog> {
  const before = await cluster.leaders(topic);
  const controllerBefore = await cluster.controller();
  const led = written().filter((partition) => (before[partition]?.leader ?? 0) > 0);
  const byController = led.filter((partition) => before[partition]?.leader === controllerBefore);
  const partition = draws.pick(kind === "controller" && byController.length > 0 ? byController : led);
  const { leader: leaderBefore, term: termBefore } = before[partition] as { leader: number; term: number };
  const all = cluster.brokers.map((broker) => broker.id);
  const victims =
    kind === "all"
      ? all
      : kind === "leader"
        ? [leaderBefore]
        : kind === "controller"
          ? [controllerBefore]
          : [follower(all, leaderBefore, controllerBefore, draws)];
  const killedAt = await cluster.kill(victims);
  let restarted: Promise<unknown> | undefined;
  if (kind === "all") {
    await sleep(DEAD_MS);
    // Looked at while they start: the first acknowledgements come as soon as two of them are back.
    restarted = Promise.all(victims.map((id) => cluster.startAgain(id)));
    restarted.catch(() => undefined);
  }
  const elects = victims.includes(leaderBefore);
  const recontrols = victims.includes(controllerBefore);
  const after = await waitForElection(
    cluster,
    topic,
    partition,
    elects ? termBefore : undefined,
    recontrols ? controllerBefore : undefined,
  );
  await restarted;
  if (kind !== "all") {
    await sleep(Math.max(0, killedAt + DEAD_MS - performance.now()));
    for (const id of victims) await cluster.startAgain(id);
  }
  return { kind, partition, victims, leaderBefore, termBefore, controllerBefore, killedAt, ...after, restartedAt: performance.now() };
}

/** One that is not the controller either, if there is one. */
function follower(all: readonly number[], leader: number, controller: number, draws: Draws): number {
  const followers = all.filter((id) => id !== leader);
  const plain = followers.filter((id) => id !== controller);
  return draws.pick(plain.length > 0 ? plain : followers);
}

async function waitForElection(
  cluster: Cluster,
  topic: string,
  partition: number,
  above: number | undefined,
  notController: number | undefined,
): Promise<{ leaderAfter: number; termAfter: number; controllerAfter: number; electedAt: number }> {
  const deadline = performance.now() + ELECTION_MS;
  let said = "";
  while (performance.now() < deadline) {
    try {
      const now = (await cluster.leaders(topic))[partition];
      const { controllerId } = await cluster.admin.describeCluster({ timeoutMs: 2_000 });
      const elected = now !== undefined && now.leader > 0 && (above === undefined || now.term > above);
      // With all three gone and back, the same broker may be elected again.
      const controlled = controllerId > 0 && (notController === undefined || controllerId !== notController || above !== undefined);
      if (elected && controlled) {
        return { leaderAfter: now.leader, termAfter: now.term, controllerAfter: controllerId, electedAt: performance.now() };
      }
      said = `leader ${now?.leader} of term ${now?.term}, controller ${controllerId}`;
    } catch (error) {
      said = (error as Error).message;
    }
    await sleep(LOOK_EVERY_MS);
  }
  throw new Error(`no election within ${ELECTION_MS} ms: ${said}`);
}
