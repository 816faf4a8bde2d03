import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { nodeSideThreads } from "../../src/host/side-thread.ts";

const program = (text: string): URL => new URL(`data:text/javascript,import { parentPort } from "node:worker_threads";${text}`);

describe("nodeSideThreads", () => {
  it("answers while this thread computes, and what it said is heard when this one has time", async () => {
    const threads = nodeSideThreads(
      program(
        'const flag = new Int32Array(8); parentPort.on("message", ({ shared }) => { Atomics.store(new Int32Array(shared), 0, 1); parentPort.postMessage("late"); });',
      ),
    );
    const heard: unknown[] = [];
    let wake = (): void => undefined;
    const said = new Promise<void>((resolve) => {
      wake = resolve;
    });
    const thread = threads.start(
      (message) => {
        heard.push(message);
        wake();
      },
      (reason) => assert.fail(reason),
    );
    const shared = new SharedArrayBuffer(8);
    thread.post({ shared });
    // This thread turns no event loop from here on, and the other one goes on.
    while (Atomics.load(new Int32Array(shared), 0) === 0) Atomics.wait(new Int32Array(shared), 1, 0, 1);
    assert.deepEqual(heard, []);
    await said;
    assert.deepEqual(heard, ["late"]);
    thread.close();
  });

  it("says once that a thread ended by itself, and nothing of one that was closed", async () => {
    const died = await new Promise<string>((resolve) => {
      nodeSideThreads(program('throw new Error("broken");')).start(() => undefined, resolve);
    });
    assert.match(died, /broken/);
    const closed = nodeSideThreads(program("setInterval(() => parentPort.postMessage(1), 1);")).start(
      () => closed.close(),
      (reason) => assert.fail(reason),
    );
  });
});
