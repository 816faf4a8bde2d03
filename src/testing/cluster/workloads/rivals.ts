import { MillraceError } from "../../../base/errors.ts";
import type { TopicRow } from "../../checkers/history.ts";
import { wait } from "../clients.ts";
import type { WorkloadContext } from "./workload.ts";

/** Names that several make and delete at the same time, and do nothing else with. */
const NAMES = ["y", "z"] as const;
const ACTORS = 2;
const TIMEOUT_MS = 1_500;

/** Some that know nothing of each other make topics of the same few names, and delete them. */
export async function rivals(context: WorkloadContext): Promise<void> {
  await Promise.all(Array.from({ length: ACTORS }, (_, i) => rival(context, `z${context.n}.${i + 1}`)));
}

async function rival({ world, history, activity, random, client, ports, brokers, pace }: WorkloadContext, proc: string): Promise<void> {
  const admin = client.admin();
  /** What it made last, or was shown. */
  const ids = new Map<string, string>();
  while (!activity.stopped) {
    await wait(ports, random.below(pace.stubMs * 3));
    if (activity.stopped) return;
    const ended = activity.begin();
    const name = random.pick(NAMES);
    const op = random.pick(["create", "delete"] as const);
    const meant = op === "delete" && random.chance(1, 2) ? ids.get(name) : undefined;
    const row = { f: "topic", proc, name, op } as const;
    const tInv = world.now;
    const note = (type: TopicRow["type"], id: string | undefined, error?: string) =>
      history.topic({ ...row, ...(id === undefined ? {} : { id }), ...(error === undefined ? {} : { error }) }, tInv, type);
    try {
      if (op === "create") {
        const made = await admin.createTopic({ name, partitions: 1, replicas: Math.min(3, brokers) }, { timeoutMs: TIMEOUT_MS });
        if (made !== undefined) ids.set(name, made.topicId);
        note("ok", made?.topicId);
      } else {
        await admin.deleteTopic(name, meant, { timeoutMs: TIMEOUT_MS });
        note("ok", meant);
      }
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      note(error.outcomeKnown ? "fail" : "info", meant, error.code);
    } finally {
      ended();
    }
  }
}
