import { spawn } from "node:child_process";
import { closeSync, fstatSync, mkdirSync, openSync, readSync } from "node:fs";
import { connect } from "node:net";
import { fileURLToPath } from "node:url";
import { parseAddress } from "../../base/address.ts";
import { threadPoolEnvironment } from "../../host/thread-pool.ts";
import type { DevFolder } from "./dev-folder.ts";
import { brokerArguments, type DevBroker, type DevLayout } from "./layout.ts";

/** dist/src/main.js */
const main = fileURLToPath(new URL("../../main.js", import.meta.url));
/** How much of its log is shown of a broker that died. */
const TAIL_BYTES = 2_000;

/**
 * Starts a broker in a session of its own, so that Ctrl-C reaches `millrace dev` only, which then stops the brokers one and all.
 * Its output is added to its log file.
 */
export function spawnBroker(folder: DevFolder, layout: DevLayout, broker: DevBroker): number {
  mkdirSync(folder.folder, { recursive: true, mode: 0o700 });
  const log = openSync(broker.logFile, "a", 0o600);
  try {
    const child = spawn(process.execPath, [main, ...brokerArguments(layout, broker)], {
      detached: true,
      stdio: ["ignore", log, log],
      env: threadPoolEnvironment(process.env),
    });
    child.unref();
    if (child.pid === undefined) throw new Error(`Cannot start ${process.execPath}`);
    folder.writePid(broker, child.pid);
    return child.pid;
  } finally {
    closeSync(log);
  }
}

/** Whether somebody takes connections at this address. */
export function isListening(address: string): Promise<boolean> {
  const place = parseAddress(address);
  if (place === undefined) return Promise.resolve(false);
  return new Promise((resolve) => {
    const socket = connect({ host: place.host, port: place.port });
    const answer = (listening: boolean): void => {
      socket.destroy();
      resolve(listening);
    };
    socket.once("connect", () => answer(true));
    socket.once("error", () => answer(false));
    socket.setTimeout(1_000, () => answer(false));
  });
}

/** The last lines a broker wrote. */
export function logTail(broker: DevBroker): string {
  try {
    const file = openSync(broker.logFile, "r");
    try {
      const { size } = fstatSync(file);
      const tail = Buffer.alloc(Math.min(size, TAIL_BYTES));
      readSync(file, tail, 0, tail.length, size - tail.length);
      const text = tail.toString("utf8").trimEnd();
      return size > TAIL_BYTES ? text.slice(text.indexOf("\n") + 1) : text;
    } finally {
      closeSync(file);
    }
  } catch {
    return "";
  }
}
