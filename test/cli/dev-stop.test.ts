import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type DevBroker, devBroker } from "../../src/cli/dev/layout.ts";
import { stopBrokers } from "../../src/cli/dev/supervisor.ts";
import { CommandFailed, ExitCode } from "../../src/cli/exit-code.ts";

const brokers = [1, 2].map((id) => devBroker({ folder: "/nowhere", brokers: 2, port: 1 }, id));

/** Processes by number of their broker. @param ends whether a signal ends the process of a broker */
function world(ends: (broker: number, name: string) => boolean, startedAgain: (broker: number) => boolean) {
  const pids = new Map([
    [1, 100],
    [2, 200],
  ]);
  const sent: string[] = [];
  const told: string[] = [];
  const signal = (pid: number, name: NodeJS.Signals): void => {
    const broker = Math.floor(pid / 100);
    sent.push(`${name} ${pid}`);
    assert.ok(sent.length < 100, "it is given up some time");
    if (!ends(broker, name)) return;
    if (startedAgain(broker)) pids.set(broker, pid + 1);
    else pids.delete(broker);
  };
  const folder = { pidOf: ({ id }: DevBroker) => pids.get(id), removePid: ({ id }: DevBroker) => void told.push(`removed ${id}`) };
  const isAlive = (pid: number): boolean => [...pids.values()].includes(pid);
  const stop = (): Promise<void> =>
    stopBrokers(folder, brokers, { say: (line) => void told.push(line) }, { patienceMs: 60, killMs: 60, isAlive, signal });
  return { sent, told, stop };
}

function failure(pattern: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof CommandFailed && error.exitCode === ExitCode.failure, String(error));
    assert.match(error.message, pattern);
    return true;
  };
}

// case 73
describe("Stopping the brokers of a folder", () => {
  it("gives up one that somebody starts again and again, says each time that it stops it too, and stops the others", async () => {
    const { sent, told, stop } = world(
      () => true,
      (broker) => broker === 1,
    );
    await assert.rejects(stop(), failure(/started broker 1 again 6 times .* now as pid 106: end who does that/));
    assert.deepEqual(
      sent.filter((one) => one.includes(" 1")),
      [0, 1, 2, 3, 4, 5].map((n) => `SIGTERM ${100 + n}`),
    );
    assert.deepEqual(
      told.filter((line) => line.startsWith("broker 1")),
      [1, 2, 3, 4, 5].map((n) => `broker 1 was started again as pid ${100 + n}: stopping it too`),
    );
    assert.ok(told.includes("removed 2") && !told.includes("removed 1"));
  });

  it("fails by name when one does not end even killed, and its number stays for the next who looks", async () => {
    const { sent, told, stop } = world(
      (broker) => broker === 2,
      () => false,
    );
    await assert.rejects(stop(), failure(/broker 1 \(pid 100\) is still there 0\.06 s after it was killed/));
    assert.deepEqual(sent, ["SIGTERM 100", "SIGTERM 200", "SIGKILL 100"]);
    assert.deepEqual(told, ["removed 2", "broker 1 (pid 100) did not stop within 0.06 s: killed"]);
  });
});
