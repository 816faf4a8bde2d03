import { counted } from "../../base/plural.ts";
import { CommandFailed, ExitCode } from "../exit-code.ts";
import type { Terminal } from "../terminal.ts";
import type { DevFolder } from "./dev-folder.ts";
import { type DevBroker, type DevLayout, devBrokers } from "./layout.ts";
import { isAlive, signal, waitFor } from "./processes.ts";
import { becomeReady } from "./ready.ts";
import { isListening, spawnBroker } from "./spawn-broker.ts";

/** A broker that stops hands its leadership over first; after this it is killed. Milliseconds. */
export const STOP_MS = 30_000;
/** A broker that stops sooner is not talked about. */
const SILENT_MS = 3_000;
/** A killed process is gone in this time, unless it waits for a disk. */
const KILL_MS = 5_000;
/** A broker that is started again so often while it is being stopped is given up: somebody means it to run. */
const STARTS_MAX = 5;
/** How often processes are looked at. */
const LOOK_EVERY_MS = 250;

/** What is said to whoever started it. */
export type Talk = Pick<Terminal, "data" | "flush" | "say">;

/** How a broker is started again, as printed. */
export function startCommand(folder: DevFolder, broker: DevBroker): string {
  const data = folder.folder === `${process.cwd()}/.millrace` ? "" : ` --data ${folder.folder}`;
  return `npx millrace dev start ${broker.id}${data}`;
}

/**
 * `millrace dev`: starts all brokers, says when the cluster is healthy, says who dies and comes back, restarts nothing, and on a
 * signal stops every broker of the folder, whoever started it.
 *
 * @throws {CommandFailed} when the cluster of this folder runs already, or a broker cannot start
 */
export async function superviseDev(folder: DevFolder, layout: DevLayout, terminal: Talk): Promise<void> {
  refuseSecond(folder, layout);
  // Before the folder is claimed: what could not start must not bind it to these ports.
  await refusePortsInUse(layout);
  await folder.claim({ ...layout, pid: process.pid }, () => refuseSecond(folder, layout));
  let stopping = false;
  const signalled = new Promise<void>((resolve) => {
    const stop = (): void => {
      if (stopping) return;
      stopping = true;
      resolve();
    };
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, stop);
  });
  const pids = new Map<number, number | undefined>();
  try {
    for (const broker of devBrokers(layout)) {
      const pid = spawnBroker(folder, layout, broker);
      pids.set(broker.id, pid);
      await terminal.data(`broker ${broker.id}  ${broker.address}  pid ${pid}  start again: ${startCommand(folder, broker)}\n`);
    }
    await terminal.flush();
    await Promise.race([signalled, becomeReady(folder, layout, terminal, () => stopping)]);
    let gone = false;
    const watch = setInterval(() => {
      tellChanges(folder, layout, pids, terminal);
      if (!gone && folder.gone)
        terminal.say(`${folder.folder} was deleted: the brokers lose all they store when they stop; Ctrl-C stops them, then start anew`);
      gone ||= folder.gone;
    }, LOOK_EVERY_MS);
    await signalled;
    clearInterval(watch);
    terminal.say("stopping");
  } finally {
    await stopBrokers(folder, devBrokers(layout), terminal).finally(() => {
      // What somebody deleted is not made again.
      if (!folder.gone) folder.write({ ...layout, pid: 0 });
    });
  }
}

function refuseSecond(folder: DevFolder, layout: DevLayout): void {
  const state = folder.read();
  if (state === undefined) return;
  const { keeper } = folder;
  if (keeper !== undefined) {
    throw new CommandFailed(ExitCode.failure, `already running: process ${keeper} looks after ${folder.folder}; Ctrl-C there stops it`);
  }
  const alive = folder.alive(state);
  if (alive.length > 0) {
    const names = alive.map(({ broker, pid }) => `${broker.id} (pid ${pid})`).join(", ");
    throw new CommandFailed(ExitCode.failure, `already running: broker ${names} of ${folder.folder}; \`millrace dev stop N\` stops one`);
  }
  if (state.brokers !== layout.brokers || state.port !== layout.port) {
    throw new CommandFailed(
      ExitCode.failure,
      `${folder.folder} holds a cluster of ${counted(state.brokers, "broker")} from port ${state.port}: start it with --brokers ${state.brokers} --port ${state.port}, or choose another --data`,
    );
  }
}

/** Said at once and by name, rather than found in a log. */
async function refusePortsInUse(layout: DevLayout): Promise<void> {
  for (const broker of devBrokers(layout)) {
    for (const address of [broker.address, broker.peerAddress, broker.adminAddress]) {
      if (await isListening(address)) {
        throw new CommandFailed(ExitCode.failure, `port in use: somebody listens on ${address}; stop it, or choose another --port`);
      }
    }
  }
}

function tellChanges(folder: DevFolder, layout: DevLayout, pids: Map<number, number | undefined>, terminal: Talk): void {
  for (const broker of devBrokers(layout)) {
    const before = pids.get(broker.id);
    const pid = folder.pidOf(broker);
    if (pid === before) continue;
    pids.set(broker.id, pid);
    if (before !== undefined) terminal.say(`broker ${broker.id} (pid ${before}) is gone; start it again: ${startCommand(folder, broker)}`);
    if (pid !== undefined) terminal.say(`broker ${broker.id} runs as pid ${pid}`);
  }
}

/** What `stopBrokers` looks at and waits for; tests have processes of their own. */
export interface StopOptions {
  /** For a broker to stop by itself, ms. */
  readonly patienceMs: number;
  /** For a killed one to be gone, ms. */
  readonly killMs: number;
  readonly isAlive: typeof isAlive;
  readonly signal: typeof signal;
}

/**
 * SIGTERM to all at once, then patience, then SIGKILL; also to those that somebody starts again meanwhile, a few times. Says what it waits for.
 *
 * @throws {CommandFailed} one is there all the same: not even killed it ends, or somebody starts it again and again. The others are stopped
 */
export async function stopBrokers(
  folder: Pick<DevFolder, "pidOf" | "removePid">,
  brokers: readonly DevBroker[],
  terminal: Pick<Terminal, "say">,
  options: Partial<StopOptions> = {},
): Promise<void> {
  const all = { patienceMs: STOP_MS, killMs: KILL_MS, isAlive, signal, ...options };
  const stopped = await Promise.allSettled(brokers.map((broker) => stopBroker(folder, broker, terminal, all)));
  const failures = stopped.flatMap((one) => (one.status === "rejected" ? [one.reason as unknown] : []));
  const [first, ...others] = failures;
  if (first === undefined) return;
  if (others.length === 0 || !failures.every((one) => one instanceof CommandFailed)) throw first;
  throw new CommandFailed(ExitCode.failure, failures.map((one) => one.message).join("; "));
}

async function stopBroker(
  folder: Pick<DevFolder, "pidOf" | "removePid">,
  broker: DevBroker,
  terminal: Pick<Terminal, "say">,
  options: StopOptions,
): Promise<void> {
  let starts = 0;
  for (let pid = folder.pidOf(broker); pid !== undefined; pid = folder.pidOf(broker)) {
    if (starts > 0) {
      if (starts > STARTS_MAX) {
        const again = `somebody started broker ${broker.id} again ${starts} times while it was being stopped, now as pid ${pid}`;
        throw new CommandFailed(ExitCode.failure, `${again}: end who does that, then stop the broker`);
      }
      terminal.say(`broker ${broker.id} was started again as pid ${pid}: stopping it too`);
    }
    starts += 1;
    await stopProcess(pid, broker, terminal, options);
  }
  folder.removePid(broker);
}

/** @throws {CommandFailed} it is still there */
async function stopProcess(pid: number, broker: DevBroker, terminal: Pick<Terminal, "say">, options: StopOptions): Promise<void> {
  const { patienceMs, killMs } = options;
  const name = `broker ${broker.id} (pid ${pid})`;
  // By what it runs, not by its number alone, which may be another one's the moment it is gone.
  const isGone = (): boolean => !options.isAlive(pid, broker.data);
  options.signal(pid, "SIGTERM");
  const silentMs = Math.min(SILENT_MS, patienceMs);
  if (await waitFor(isGone, silentMs)) return;
  if (patienceMs > silentMs) {
    terminal.say(`waiting for ${name} to hand over and stop, up to ${patienceMs / 1000} s`);
    if (await waitFor(isGone, patienceMs - silentMs)) return;
  }
  terminal.say(`${name} did not stop within ${patienceMs / 1000} s: killed`);
  if (!isGone()) options.signal(pid, "SIGKILL");
  if (await waitFor(isGone, killMs)) return;
  throw new CommandFailed(
    ExitCode.failure,
    `${name} is still there ${killMs / 1000} s after it was killed: it may wait for its disk (\`ps -o stat,wchan -p ${pid}\`); it ends when the disk answers`,
  );
}
