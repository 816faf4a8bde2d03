import { join } from "node:path";
import { connect } from "../src/client-entry.ts";
import { AckedWriter } from "./acked-writer.ts";
import { Brokers } from "./brokers.ts";
import { drawSeed, Flags } from "./flags.ts";
import { freePort } from "./free-ports.ts";
import { header, Report, sleep } from "./report.ts";
import { mebibytes, smallVolumes, type Volume } from "./volume.ts";

/**
 * `npm run disk-full`: three brokers, each on an ext4 image of its own of 200 MiB. Somebody else fills the disk of a leader, a follower,
 * all, to the reserve and to the last byte; then the log itself does. Space returns, and with it the service: without a restart, without
 * a command, and with everything that was acknowledged.
 *
 *   --quick: each state once and short   --seed N (for the header; nothing is drawn)
 */
const MiB = 1024 * 1024;
const BROKERS = 3;
const PARTITIONS = 3;
const VOLUME_BYTES = 200 * MiB;
const RESERVE_BYTES = 24 * MiB;
const RECORD_BYTES = 2_000;
/** Three partitions write 0.3 MB/s at most: what the whole run keeps must not itself fill the image, however fast the machine is. */
const PAUSE_MS = 20;
const PATIENCE_MS = 60_000;
const SETTINGS = ["wal.file.bytes=16MiB", "wal.files.max=5", `disk.reserve.bytes=${RESERVE_BYTES}`, "segment.bytes=8MiB"];

const flags = new Flags(["seed"], ["quick"]);
const quick = flags.has("quick");
const report = new Report();

console.log(header("disk-full", flags.number("seed", drawSeed())));
const made = smallVolumes(BROKERS, VOLUME_BYTES);
if (typeof made === "string") {
  // Not passed, not failed: nothing was shown.
  console.log(`could not run: disk-full (${made})`);
  process.exit(0);
}
const { folder, volumes } = made;
const volume = (n: number): Volume => volumes[n - 1] as Volume;
const brokers = new Brokers({
  folder,
  port: await freePort(BROKERS),
  count: BROKERS,
  settings: SETTINGS,
  data: (n) => join(volume(n).path, "data"),
});
const { addresses } = brokers;

try {
  for (const n of brokers.numbers) brokers.start(n);
  await run();
} catch (error) {
  report.check("disk-full", false, () => `${(error as Error).stack}`);
} finally {
  const { surprises } = brokers;
  report.check("no broker ended, or was started again", surprises.length === 0, () => surprises.join("; "));
  const complaints = brokers.numbers.flatMap((n) => brokers.lines(n).filter(({ level }) => level === "error" || level === "fatal"));
  report.check("no broker logs an error", complaints.length === 0, () => JSON.stringify(complaints.slice(0, 5)));
  if (report.failed > 0) for (const n of brokers.numbers) console.log(brokers.said(n).trimEnd().split("\n").slice(-15).join("\n"));
  brokers.killAll();
  await sleep(200);
}
process.exit(report.close());

async function run(): Promise<void> {
  const client = connect({ brokers: addresses });
  const admin = client.admin({ timeoutMs: 5_000 });
  await until("the cluster is healthy", async () => (await admin.clusterHealth()).healthy);
  await admin.createTopic({ name: "t", partitions: PARTITIONS });
  await until("partitions are in sync", async () => (await admin.clusterHealth()).healthy);
  const writer = new AckedWriter(client, "t", PARTITIONS, RECORD_BYTES, PAUSE_MS);
  await goesOn("before anything", [0, 1, 2], writer);

  const full = async (): Promise<readonly number[]> =>
    (await admin.clusterHealth()).reasons
      .filter(({ code }) => code === "DISK_FULL")
      .map(({ text }) => Number(/broker (\d+)/.exec(text)?.[1]));
  const leaders = async (): Promise<readonly number[]> => {
    const [topic] = await admin.describeTopics(["t"]);
    return (topic?.partitions ?? []).map(({ leaderId }) => leaderId);
  };

  for (const leaveBytes of quick ? [4 * MiB] : [20 * MiB, 4 * MiB, 0]) {
    const left = `${mebibytes(leaveBytes)} left`;
    for (const target of ["leader", "follower", "all"] as const) {
      const name = `${target} with ${left}`;
      // Each leads a partition, so that a full leader has partitions that others lead beside it.
      for (let partition = 0; partition < PARTITIONS; partition++) {
        const to = target === "follower" ? 1 + (partition % 2) : 1 + partition;
        await until(`partition ${partition} is led by ${to}`, async () => {
          if ((await leaders())[partition] === to) return true;
          await admin.transferLeader("t", partition, to).catch(() => undefined);
          return false;
        });
      }
      const victims = target === "all" ? [1, 2, 3] : target === "leader" ? [1] : [3];
      const fine = (await leaders()).flatMap((leader, partition) => (victims.includes(leader) ? [] : [partition]));
      for (const n of victims) volume(n).fill(leaveBytes);
      await until(`${name}: health names ${victims.join(", ")}`, async () => equal(await full(), victims));
      if (target === "all") await standsStill(`${name}: records are refused`, [0, 1, 2], writer);
      else {
        await goesOn(`${name}: what others lead goes on`, fine, writer);
        await until(`${name}: leads nothing any more`, async () => (await leaders()).every((leader) => !victims.includes(leader)));
        await goesOn(`${name}: what it led goes on elsewhere`, [0, 1, 2], writer);
      }
      await sleep(quick ? 1_000 : 4_000);
      report.check(`${name}: what was acknowledged is read`, (await writer.check(client)) === "");
      for (const n of victims) volume(n).drain();
      await until(`${name}: over by itself`, async () => (await admin.clusterHealth()).healthy);
      await goesOn(`${name}: everything goes on`, [0, 1, 2], writer);
    }
  }

  // The log itself: nothing is ever removed from a topic without retention, until the topic is.
  await admin.createTopic({ name: "junk", partitions: 3 });
  const junk = new AckedWriter(client, "junk", 3, 200_000, 0);
  await until("the log itself fills all disks", async () => (await full()).length === BROKERS, 4 * PATIENCE_MS);
  await standsStill("the log fills the disks: records are refused", [0, 1, 2], writer);
  console.log(`filled by the log: ${volumes.map(({ freeBytes }) => mebibytes(freeBytes)).join(", ")} free of ${mebibytes(VOLUME_BYTES)}`);
  report.check(
    "filled by the log: the reserve is not eaten",
    volumes.every(({ freeBytes }) => freeBytes > RESERVE_BYTES / 4),
  );
  await junk.abandon();
  await admin.deleteTopic("junk");
  await until("a deleted topic gives room", async () => (await admin.clusterHealth()).healthy);
  await goesOn("after the deletion: everything goes on", [0, 1, 2], writer);

  await writer.end();
  const wrong = await writer.check(client);
  report.check("every acknowledged record is read back, once, where it was acknowledged", wrong === "", () => wrong);
  report.check("no send failed", writer.errors.length === 0, () => writer.errors.slice(0, 3).join("; "));
  console.log(`${writer.acknowledged} records acknowledged, ${writer.errors.length} failed`);
  await client.close();
}

function equal(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && [...a].sort().every((n, i) => n === b[i]);
}

async function until(what: string, holds: () => Promise<boolean>, patienceMs: number = PATIENCE_MS): Promise<void> {
  const began = performance.now();
  let last = "";
  while (performance.now() - began < patienceMs) {
    try {
      if (await holds()) {
        report.check(what, true);
        console.log(`${what}: ${((performance.now() - began) / 1000).toFixed(1)} s`);
        return;
      }
    } catch (error) {
      last = (error as Error).message;
    }
    await sleep(100);
  }
  report.check(what, false, () => `not within ${patienceMs} ms ${last}`);
  console.log(await state().catch((error: unknown) => String(error)));
  throw new Error(`${what}: not within ${patienceMs} ms ${last}`);
}

/** What a person would look at. */
async function state(): Promise<string> {
  const client = connect({ brokers: addresses });
  const admin = client.admin({ timeoutMs: 5_000 });
  const { reasons } = await admin.clusterHealth();
  const [topic] = await admin.describeTopics(["t"]);
  const partitions = (topic?.partitions ?? []).map(
    ({ partition, leaderId, isrBrokerIds, highWatermark }) =>
      `t-${partition}: leader ${leaderId}, ISR ${isrBrokerIds.join()}, HW ${highWatermark}`,
  );
  const gauges = await Promise.all(
    brokers.numbers.map(async (n) => {
      const text = await (await fetch(`http://${brokers.adminAddress(n)}/metrics`)).text();
      return [
        ...text.matchAll(/^millrace_(?:wal_files_used|uncommitted_bytes|disk_free_bytes|disk_full|produce_pending_bytes) .*$/gm),
      ].join(" ");
    }),
  );
  await client.close();
  return [...reasons.map(({ text }) => text), ...partitions, ...gauges].join("\n");
}

async function goesOn(what: string, partitions: readonly number[], writer: AckedWriter): Promise<void> {
  const before = writer.sizes;
  await until(what, async () => partitions.every((partition) => (writer.sizes[partition] ?? 0) >= (before[partition] ?? 0) + 20));
}

async function standsStill(what: string, partitions: readonly number[], writer: AckedWriter): Promise<void> {
  await until(what, async () => {
    const before = writer.sizes;
    await sleep(500);
    return partitions.every((partition) => writer.sizes[partition] === before[partition]);
  });
}
