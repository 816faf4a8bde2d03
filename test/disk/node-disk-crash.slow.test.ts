import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { openDisk } from "../../src/disk/index.ts";
import { judge, Progress } from "./crash-contract.ts";
import { inDirectory } from "./in-directory.ts";

const CHILD = fileURLToPath(new URL("./crash-child.js", import.meta.url));

/** @returns how far a child got that kills itself at its n-th operation, and whether it got killed */
function cutChild(directory: string, at: number): Promise<{ progress: Progress; killed: boolean }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [CHILD, directory, String(at)], { stdio: ["ignore", "pipe", "inherit"] });
    let said = "";
    child.stdout.setEncoding("utf8").on("data", (part: string) => {
      said += part;
    });
    child.on("error", reject);
    child.on("close", (code, signal) => {
      const progress = new Progress();
      for (const line of said.split("\n")) {
        const [event, step] = line.split("\t");
        if (step !== undefined && (event === "begin" || event === "end")) progress.note(event, step);
      }
      if (signal === "SIGKILL" || code === 0) resolve({ progress, killed: signal === "SIGKILL" });
      else reject(new Error(`the child ended with code ${code}, signal ${signal}`));
    });
  });
}

describe("Disk crash contract: node:fs", () => {
  it("keeps every promise of a process killed at any of its operations (FP4)", async () => {
    let judged = 0;
    let kills = 0;
    for (let at = 1; ; at++) {
      let killed = false;
      await inDirectory(async (directory) => {
        const child = await cutChild(directory, at);
        killed = child.killed;
        if (!killed) return;
        const verdict = await judge(openDisk(directory), child.progress, "process crash");
        assert.deepEqual(verdict.broken, [], `killed at operation ${at}`);
        judged += verdict.judged;
      });
      if (!killed) break;
      kills++;
    }
    assert.ok(kills >= 20, `only ${kills} kills`);
    assert.ok(judged > 80, `only ${judged} promises judged`);
  });
});
