import { MillraceError } from "../../../base/errors.ts";
import type { Admin } from "../../../client/index.ts";
import { wait } from "../clients.ts";
import type { Topic } from "../topic.ts";
import type { WorkloadContext } from "./workload.ts";

/** Steps in the life of a topic that one process makes by itself. Each is repeated until its outcome is known. */

const TIMEOUT_MS = 2_000;

type Context = Pick<WorkloadContext, "world" | "history" | "ports">;

/** @returns the id of the topic that is there now */
export async function createTopic({ world, history, ports }: Context, admin: Admin, topic: Topic, proc: string): Promise<string> {
  for (;;) {
    const tInv = world.now;
    const row = { f: "topic", proc, name: topic.name, op: "create" } as const;
    try {
      const made = await admin.createTopic(topic, { timeoutMs: TIMEOUT_MS });
      if (made !== undefined) {
        history.topic({ ...row, id: made.topicId }, tInv, "ok");
        return made.topicId;
      }
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      if (error.code === "TOPIC_EXISTS") {
        const found = await described(admin, topic.name);
        if (found !== undefined) return found.topicId;
      }
      history.topic({ ...row, error: error.code }, tInv, error.outcomeKnown ? "fail" : "info");
    }
    await wait(ports, 100);
  }
}

/** Gives it partitions until it has so many. */
export async function growTopic(
  { world, history, ports }: Context,
  admin: Admin,
  { name, id, partitions }: { readonly name: string; readonly id: string; readonly partitions: number },
  proc: string,
): Promise<void> {
  for (;;) {
    const tInv = world.now;
    const row = { f: "topic", proc, name, op: "grow", id, partitions } as const;
    try {
      await admin.addPartitions(name, partitions, { topicId: id, timeoutMs: TIMEOUT_MS });
      history.topic(row, tInv, "ok");
      return;
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      history.topic({ ...row, error: error.code }, tInv, error.outcomeKnown ? "fail" : "info");
      // An earlier try may have done it.
      const found = await described(admin, name);
      if (found?.topicId === id && found.partitions.length >= partitions) return;
    }
    await wait(ports, 100);
  }
}

export async function deleteTopic(
  { world, history, ports }: Context,
  admin: Admin,
  { name, id }: { readonly name: string; readonly id: string },
  proc: string,
): Promise<void> {
  for (;;) {
    const tInv = world.now;
    const row = { f: "topic", proc, name, op: "delete", id } as const;
    try {
      await admin.deleteTopic(name, id, { timeoutMs: TIMEOUT_MS });
      history.topic(row, tInv, "ok");
      return;
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      if (error.code === "UNKNOWN_TOPIC") return;
      history.topic({ ...row, error: error.code }, tInv, error.outcomeKnown ? "fail" : "info");
    }
    await wait(ports, 100);
  }
}

async function described(admin: Admin, name: string) {
  try {
    const [found] = await admin.describeTopics([name], { timeoutMs: TIMEOUT_MS });
    return found;
  } catch (error) {
    if (error instanceof MillraceError) return undefined;
    throw error;
  }
}
