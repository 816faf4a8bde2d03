import { fdatasyncSync, openSync, writeSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import type { Stall } from "./stall-watch.ts";

const STALL_MS = 50;
/** Between two calls: far fewer than the brokers make, so that watching is no load. */
const PAUSE_MS = 20;
const WRITTEN = 4096;
const FILE_BLOCKS = 256;

/** `performance.now()` of a thread starts with the thread. */
const origin = performance.timeOrigin;
const file = openSync(workerData as string, "w");
writeSync(file, Buffer.alloc(FILE_BLOCKS * WRITTEN));
fdatasyncSync(file);
const block = Buffer.alloc(WRITTEN, 1);
let n = 0;
setInterval(() => {
  const from = performance.now();
  writeSync(file, block, 0, WRITTEN, (n++ % FILE_BLOCKS) * WRITTEN);
  fdatasyncSync(file);
  const until = performance.now();
  if (until - from >= STALL_MS) parentPort?.postMessage({ from: origin + from, until: origin + until } satisfies Stall);
}, PAUSE_MS);
