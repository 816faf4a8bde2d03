// plant: test/log/planted.test.ts
// expect: repo/test-clock:3, repo/test-clock:3, repo/test-clock:5, repo/test-clock:6, repo/test-clock:7, repo/test-clock:8
import { setTimeout as sleep } from "node:timers/promises";
export async function planted(clock: { setTimeout: (n: number) => void; Date: string }): Promise<unknown> {
  const began = Date.now();
  await new Promise((resolve) => setTimeout(resolve, 10));
  const draw = Math.random();
  const took = performance.now();
  clock.setTimeout(clock.Date.length);
  return [sleep, began, draw, took];
}
