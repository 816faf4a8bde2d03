import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MillraceError } from "../../../src/base/errors.ts";
import type { SideThread, SideThreads } from "../../../src/base/ports/side-thread.ts";
import { serveKeeper } from "../../../src/client/group/start-keeper.ts";
import { Scene } from "./members.ts";

/** Threads that are none: what is posted arrives later, and any of them can be ended. */
class Threads implements SideThreads {
  readonly #scene: Scene;
  readonly #ends: ((reason: string) => void)[] = [];

  constructor(scene: Scene) {
    this.#scene = scene;
  }

  start(heard: (message: unknown) => void, died: (reason: string) => void): SideThread {
    const { cluster, world } = this.#scene;
    let open = true;
    const later = (run: () => void): void => void world.after(1, () => open && run());
    const serve = serveKeeper({ rpc: cluster, clock: world, random: world.random }, (news) => later(() => heard(news)));
    this.#ends.push((reason) => {
      open = false;
      died(reason);
    });
    return {
      post: (message) => later(() => serve(message)),
      close: () => {
        open = false;
      },
    };
  }

  kill(reason: string): void {
    for (const end of this.#ends.splice(0)) end(reason);
  }
}

const ended = (error: unknown): boolean =>
  error instanceof MillraceError && error.code === "INTERNAL" && /out of memory/.test(error.message);

describe("GroupConsumer whose keeper's thread ends", () => {
  it("rejects, fires the signals of handlers, and handles nothing more", async () => {
    const scene = new Scene(7, 2);
    scene.fill(50);
    const threads = new Threads(scene);
    const consumer = scene.client(undefined, threads).consumer({ group: "g" });
    let handled = 0;
    let fired = 0;
    const handler = async (_: unknown, { signal }: { readonly signal: AbortSignal }): Promise<void> => {
      handled++;
      signal.addEventListener("abort", () => fired++, { once: true });
      await scene.sleep(100);
    };
    const done = consumer.run({ topics: ["t"], handler });
    await scene.world.run(1_000, () => false);
    assert.ok(handled > 2);
    threads.kill("out of memory");
    const before = handled;
    assert.equal(fired, handled, "each handler has heard of it");
    await assert.rejects(scene.world.until(done, 1_000), ended);
    await scene.world.run(scene.world.now + 10_000, () => false);
    assert.equal(handled, before);
    await consumer.close();
  });

  it("rejects also while it is being closed", async () => {
    const scene = new Scene(8, 2);
    scene.fill(1);
    const threads = new Threads(scene);
    const consumer = scene.client(undefined, threads).consumer({ group: "g" });
    const done = consumer.run({ topics: ["t"], handler: () => scene.sleep(60_000) });
    await scene.world.run(1_000, () => false);
    const closed = consumer.close();
    threads.kill("out of memory");
    await assert.rejects(scene.world.until(done, 1_000), ended);
    await closed;
  });
});
