import { readFileSync } from "node:fs";

/**
 * Whether the process is alive and is the one meant: numbers are used again, so where the system tells command lines (Linux)
 * `mark` must stand in this one's.
 */
export function isAlive(pid: number, mark: string): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: alive, and somebody else's, so not ours.
    if ((error as NodeJS.ErrnoException).code !== undefined) return false;
    throw error;
  }
  try {
    const command = readFileSync(`/proc/${pid}/cmdline`, "utf8");
    // A zombie has no command line: it is dead, its parent has not looked yet.
    return command.split("\0").includes(mark);
  } catch {
    return process.platform !== "linux";
  }
}

/** Tells a process from a later one of its number: when it began, as the system counts. @returns undefined: it is gone, or the system does not tell */
export function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // proc(5): the third field and on; the second one, the program's name in brackets, may hold spaces and brackets itself.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[22 - 3];
  } catch {
    return undefined;
  }
}

/** Sends a signal; a process that is gone is no mistake. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** Looks every 50 ms. @returns whether `holds` became true in time */
export async function waitFor(holds: () => boolean, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (!holds()) {
    if (performance.now() >= deadline) return false;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return true;
}
