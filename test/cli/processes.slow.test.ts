import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, it } from "node:test";
import { isAlive } from "../../src/cli/dev/processes.ts";

/** Only Linux tells the command line of a process; elsewhere its number has to do. */
const told = process.platform === "linux";

describe("whether a broker's process is alive", () => {
  it("knows a process by a word of its command line, and no other by it", () => {
    assert.equal(isAlive(process.pid, process.argv0), true);
    assert.equal(isAlive(process.pid, "not-a-word-of-this-command-line"), !told);
  });

  it("takes a process for dead that has ended and that its parent never asked about", { timeout: 20_000 }, async () => {
    // The shell's child ends when the shell is one no more (a shell would ask about it); what the shell became never does, as the
    // first process of a bare container may not.
    const parent = spawn("sh", ["-c", "sleep 1 & echo $!; exec sleep 30"], { stdio: ["ignore", "pipe", "ignore"] });
    try {
      const [line] = (await once(parent.stdout, "data")) as [Buffer];
      const pid = Number(line.toString());
      while (told && isAlive(pid, "sleep")) await new Promise((resolve) => setTimeout(resolve, 10));
      process.kill(pid, 0);
      assert.equal(isAlive(pid, "sleep"), !told);
    } finally {
      parent.kill("SIGKILL");
    }
  });
});
