import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { connect } from "../src/client-entry.ts";
import { parseSegment } from "../src/log/model/segment-name.ts";
import { Brokers, type LogLine } from "./brokers.ts";
import { run } from "./cluster.ts";
import { compareDumps } from "./damage/dumps.ts";
import { Ledger } from "./damage/ledger.ts";
import { naming, quickCells, type Row, rows, type State } from "./damage/matrix.ts";
import { folderOf, type Groups, places, snapshotsOf } from "./damage/places.ts";
import { DAMAGES, type Damage, type Spot, type Wound, wound } from "./damage/wounds.ts";
import { Draws } from "./draws.ts";
import { drawSeed, Flags } from "./flags.ts";
import { freePort } from "./free-ports.ts";
import { header, Report, sleep } from "./report.ts";

/**
 * `npm run damage`: every place on a broker's disk × every damage, on one of three brokers after the other. Each must be found (at the
 * start, by a read, or by `millrace debug scrub`), named in the broker's log by file and position, and repaired from the others without
 * a command; then `millrace debug log-dump --hash` prints the same on all three. `meta.json` is the exception: the broker refuses to
 * start, says why, and comes back by `--new-incarnation`. At the end everything acknowledged is read, byte for byte.
 *
 *   --quick: each place and each damage once   --place NAME --damage NAME: only those   --seed N: which bytes, brokers and states
 */
const KiB = 1024;
const TOPIC = "t";
const PARTITIONS = 2;
const BROKERS = 3;
const METADATA_GROUP = 1;
const METADATA = `${METADATA_GROUP}`;
const RECORD_BYTES = 48 * KiB;
/** To each partition, before anything is broken: some sealed segments of 1 MiB. */
const FILL_RECORDS = 72;
const PATIENCE_MS = 60_000;
const SETTINGS = ["segment.bytes=1MiB", "hot.tail.bytes=4MiB", "metadata.snapshot.bytes=4KiB", "wal.file.bytes=16MiB", "wal.files.max=8"];
/** What a broker may complain of here. */
const EXPECTED = new Set(["log.hole_found", "log.wal_found_damaged"]);

const flags = new Flags(["seed", "place", "damage"], ["quick"]);
const seed = flags.number("seed", drawSeed());
const draws = new Draws(seed);
const report = new Report();
const main = fileURLToPath(new URL("../src/main.js", import.meta.url));

console.log(header("damage", seed));
const folder = mkdtempSync(join(tmpdir(), "millrace-damage-"));
const brokers = new Brokers({ folder, port: await freePort(BROKERS), count: BROKERS, settings: [...SETTINGS, "disk.reserve.bytes=16MiB"] });
const client = connect({ brokers: brokers.addresses });
const admin = client.admin({ timeoutMs: 5_000 });
const ledger = new Ledger(client, TOPIC, PARTITIONS, draws);
const folders = brokers.numbers.map((n) => brokers.data(n));
/** As `log-dump` takes them. */
const groups = [...Array.from({ length: PARTITIONS }, (_, i) => `${TOPIC}/${i}`), METADATA];
/** Index up to which the replicas of each were the same. */
const reached = new Map<string, number>();
let victim = draws.below(BROKERS);

try {
  for (const n of brokers.numbers) {
    mkdirSync(brokers.data(n));
    brokers.start(n);
  }
  await fill();
  for (const row of rows) for (const damage of DAMAGES) await cell(row, damage);
  await close();
} catch (error) {
  report.check("damage", false, () => `${(error as Error).stack}`);
} finally {
  brokers.killAll();
  if (report.failed > 0) console.log(`data and logs of the brokers stay in ${folder}`);
  else rmSync(folder, { recursive: true, force: true });
}
process.exit(report.close());

/** Sealed segments, an unsealed one, and a metadata log that begins behind a snapshot. */
async function fill(): Promise<void> {
  await healthy("the cluster forms");
  await admin.createTopic({ name: TOPIC, partitions: PARTITIONS });
  await ledger.write(FILL_RECORDS, RECORD_BYTES);
  const trimmed = (n: number): boolean => {
    const group = folderOf(brokers.data(n), METADATA_GROUP);
    const segments = group === undefined ? [] : readdirSync(join(brokers.data(n), group)).map(parseSegment);
    return Math.min(...segments.flatMap((name) => (name === undefined ? [] : [name.baseIndex as number]))) > 1;
  };
  await passTopics("the metadata log is trimmed behind snapshots", () => brokers.numbers.every(trimmed));
}

/** Fills the metadata log, until it is enough. */
async function passTopics(what: string, enough: () => boolean): Promise<void> {
  for (let n = 0; !enough(); n++) {
    if (n === 100) throw new Error(`${what}: not after ${n} topics`);
    await admin.createTopic({ name: `passing-${n}`, partitions: 8 });
    await admin.deleteTopic(`passing-${n}`);
  }
}

async function cell(row: Row, damage: Damage): Promise<void> {
  const { place } = row;
  if (flags.has("quick") && quickCells[place] !== damage) return;
  if ((flags.text("place") ?? place) !== place || (flags.text("damage") ?? damage) !== damage) return;
  const name = `${place.padEnd(17)}  ${(row.means?.[damage] ?? damage).padEnd(46)}`;
  const reason = row.none?.[damage];
  if (reason !== undefined) return console.log(`--    ${name}  cannot be (${reason})`);
  victim = (victim % BROKERS) + 1;
  const state = draws.pick(row.states);
  const began = performance.now();
  let said = "";
  let wrong = "";
  try {
    said = await attempt(row, damage, state);
  } catch (error) {
    wrong = (error as Error).message;
  }
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  report.check(`${place}, ${damage}`, wrong === "", () => wrong);
  console.log(`${wrong === "" ? "ok  " : "FAIL"}  ${name}  broker ${victim} ${state.padEnd(7)}  ${said}  (${seconds} s)`);
  // What comes after stands on three whole replicas.
  if (wrong !== "") await healthy("after a failure: the cluster is well again");
}

/** @returns how it was found and named @throws what did not happen */
async function attempt(row: Row, damage: Damage, state: State): Promise<string> {
  await ledger.write(4, RECORD_BYTES);
  const own = await groupsNow();
  if (state === "running") await lead(0, victim);
  // A new term, which every replica writes down, with more behind it.
  if (row.place === "term and vote") for (const to of [1 + (victim % BROKERS), victim]) await lead(0, to);
  // A disk that was emptied has one of a peer's at first.
  if (row.place === "metadata snapshot") await passTopics("two snapshots", () => snapshotsOf(brokers.data(victim)).length > 1);
  if (state === "killed") for (let n = 0; n < 4; n++) await ledger.write(1, RECORD_BYTES);
  if (state !== "running") {
    const how = await brokers.end(victim, state === "killed" ? "SIGKILL" : "SIGTERM");
    if (state === "stopped" && how !== "exit 0") throw new Error(`broker ${victim} ended by SIGTERM with ${how}`);
  }
  const spot = await spotOf(row, own, state);
  const mark = brokers.mark(victim);
  const done = wound(brokers.data(victim), spot, damage, draws);
  if (row.place === "meta.json") return refusal(mark);
  if (state !== "running") brokers.start(victim);
  const [how, line] = await found(row, done, state, mark);
  const since = performance.now();
  await healthy(`${row.place}, ${damage}: every replica is in sync`);
  await whole(row);
  await equalHashes(row);
  const position = `${line["path"]} at byte ${line["position"]}`;
  return `${how}: ${line.event} ${position}; hit at ${done.at}; whole after ${((performance.now() - since) / 1000).toFixed(1)} s`;
}

/** A broker that runs may be in the middle of a file, whose first bytes are then missing: what is unreadable must be readable soon. */
async function spotOf({ place }: Row, own: Groups, state: State): Promise<Spot> {
  let spot: Spot | undefined;
  const look = async (): Promise<boolean> => {
    spot = await places[place](brokers.data(victim), own, draws);
    return true;
  };
  if (state === "running") await until(`where the ${place} of broker ${victim} lies`, look);
  else await look();
  if (spot === undefined) throw new Error(`broker ${victim} has no ${place} just now`);
  return spot;
}

/** At the start, by a read, by a scrub: whichever comes first. */
async function found(row: Row, done: Wound, state: State, mark: number): Promise<readonly [string, LogLine]> {
  const named = (): LogLine | undefined => naming(brokers.lines(victim, mark), row, done);
  if (state !== "running") {
    await until(`broker ${victim} runs again`, async () => brokers.lines(victim, mark).some(({ event }) => event === "broker.running"));
    const line = named();
    if (line !== undefined) return ["start", line];
  } else {
    const wrong = await ledger.check(0);
    if (wrong !== "") throw new Error(`read of what is damaged: ${wrong}`);
    const line = named();
    if (line !== undefined) return ["read", line];
  }
  await scrub();
  const line = named();
  if (line !== undefined) return ["scrub", line];
  const said = brokers.lines(victim, mark).filter(({ event, level }) => level !== "info" || event.startsWith("log."));
  throw new Error(`nobody names ${done.path} at byte ${done.at}: ${JSON.stringify(said.slice(0, 5))}`);
}

/** Nothing is left that a scrub finds. */
async function whole(row: Row): Promise<void> {
  await until(`${row.place}: a scrub finds nothing more`, async () => {
    const { exitCode, stdout } = await scrub();
    return exitCode === 0 && /damaged: 0, not repaired yet: 0\n(?! )/.test(`${stdout.toString("utf8")}\n`);
  });
}

function scrub(): ReturnType<typeof run> {
  return run(process.execPath, [main, "debug", "scrub", "--admin", `${victim}@${brokers.adminAddress(victim)}`], PATIENCE_MS);
}

/** It says which file is not what it was, ends, and comes back as a new disk. */
async function refusal(mark: number): Promise<string> {
  brokers.start(victim);
  const how = await brokers.refusal(victim).catch(async (error: Error) => {
    // It took the file for a good one.
    await brokers.end(victim);
    throw error;
  });
  const said = brokers.said(victim, mark).trimEnd().split("\n").at(-1) ?? "";
  const told = new RegExp(`broker ${victim} cannot start: .*meta\\.json`).test(said);
  brokers.start(victim, ["--new-incarnation", "unreadable"]);
  const since = performance.now();
  await healthy("--new-incarnation brings it back");
  if (how !== "exit 1" || !told) throw new Error(`it ended with ${how}: ${said}`);
  for (const row of rows) if (row.place === "meta.json") await equalHashes(row);
  const back = ((performance.now() - since) / 1000).toFixed(1);
  return `start: refused: ${said.replace(/^.*cannot start: /, "").replace(folder, "…")}; in sync as a new disk after ${back} s`;
}

/** Of the partitions, and of the metadata where that was hit. */
async function equalHashes({ place }: Row): Promise<void> {
  await ledger.write(1, RECORD_BYTES);
  for (const what of groups) if (what !== METADATA || place === "metadata snapshot" || place === "meta.json") await equal(what);
}

/** Brokers that run may write while they are read: again, then, until they rest. */
async function equal(what: string): Promise<void> {
  let wrong = "";
  for (let tries = 0; tries < 10; tries++) {
    const compared = await compareDumps(main, folders, what, { begins: what === METADATA });
    reached.set(what, compared.last);
    wrong = compared.wrong;
    if (wrong === "") return;
    await sleep(500);
  }
  throw new Error(`log-dump --hash differs: ${wrong}`);
}

async function close(): Promise<void> {
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const wrong = await ledger.check(partition);
    report.check("everything acknowledged is read back, byte for byte", wrong === "", () => wrong);
  }
  for (const n of brokers.numbers) {
    const how = await brokers.end(n);
    report.check(`broker ${n} stops`, how === "exit 0", () => how);
  }
  // Now that nobody writes, once more and everything.
  for (const what of groups) {
    const { wrong } = await compareDumps(main, folders, what, { begins: what === METADATA, endsBehind: reached.get(what) ?? 1 });
    report.check(`log-dump --hash of ${what} is the same on all stopped brokers`, wrong === "", () => wrong);
  }
  const complaints = brokers.numbers.flatMap((n) =>
    brokers.lines(n).filter(({ level, event }) => level === "error" && !EXPECTED.has(event)),
  );
  report.check("no broker complains of anything else", complaints.length === 0, () => JSON.stringify(complaints.slice(0, 5)));
  report.check("no broker ended by itself", brokers.surprises.length === 0, () => brokers.surprises.join("; "));
  console.log(`${ledger.records} records acknowledged, and read back`);
  await client.close();
}

async function groupsNow(): Promise<Groups> {
  const [topic] = await admin.describeTopics([TOPIC]);
  const [group, sibling] = (topic?.partitions ?? []).map(({ groupId }) => groupId);
  return { group: group as number, sibling: sibling as number };
}

async function lead(partition: number, to: number): Promise<void> {
  await until(`broker ${to} leads partition ${partition}`, async () => {
    const [topic] = await admin.describeTopics([TOPIC]);
    if (topic?.partitions[partition]?.leaderId === to) return true;
    await admin.transferLeader(TOPIC, partition, to).catch(() => undefined);
    return false;
  });
}

/** Every broker lives, every partition has all its replicas in sync. */
function healthy(what: string): Promise<void> {
  return until(what, async () => {
    const health = await admin.clusterHealth();
    if (brokers.surprises.length > 0) throw new Error(brokers.surprises.join("; "));
    if (!health.healthy || health.brokersLive < BROKERS) throw new Error(health.reasons.map(({ text }) => text).join("; "));
    const topics = await admin.describeTopics([]);
    return topics.every(({ partitions }) => partitions.every(({ isrBrokerIds }) => isrBrokerIds.length === BROKERS));
  });
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  let last = "";
  while (performance.now() < deadline) {
    try {
      if (await holds()) return;
    } catch (error) {
      last = (error as Error).message;
    }
    await sleep(50);
  }
  throw new Error(`${what}: not within ${PATIENCE_MS / 1000} s ${last}`);
}
