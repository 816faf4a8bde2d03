import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { jsonField } from "../src/cli/json-field.ts";
import { checkHistory } from "../src/testing/checkers/index.ts";
import { Cluster } from "./cluster.ts";
import { compare, differencesText, isClean, Ledger } from "./compare.ts";
import { Draws } from "./draws.ts";
import { type FaultKind, type FaultLog, faultKinds, inject } from "./fault.ts";
import { drawSeed, Flags } from "./flags.ts";
import { cutLines, flightLines, flights, type Input, nastyFile } from "./input.ts";
import { Pour, readBack } from "./pour.ts";
import { header, Report, sleep } from "./report.ts";
import { Tail } from "./tail.ts";

/**
 * `npm run acceptance`: pours files into three real brokers, kills some of them on the way, and compares what a fresh consumer reads
 * with what was sent.
 *
 *   --runs N      of each kind of kill (20)        --records N  in the run at full speed (2,000,000; 0 leaves it out)
 *   --lines N     of the flights (all 20,000)      --rate N     records per second (2,000)
 *   --kinds a,b   of leader, follower, controller, all
 *   --seed N      to ask for a run again           --quick      1 run of each kind, 2,000 lines, nothing at full speed
 *   --file PATH   instead of the flights
 */
const TOPIC_PARTITIONS = 6;
/** A pour that gets no further for so long has failed. */
const STALLED_MS = 60_000;
const flags = new Flags(["runs", "records", "lines", "rate", "seed", "kinds", "file"], ["quick", "keep"]);
const quick = flags.has("quick");
const seed = flags.number("seed", drawSeed());
const runs = flags.number("runs", quick ? 1 : 20);
const records = flags.number("records", quick ? 0 : 2_000_000);
const rate = flags.number("rate", quick ? 1_000 : 2_000);
const lines = flags.number("lines", quick ? 2_000 : 0);
const kinds = (flags.text("kinds")?.split(",") as FaultKind[] | undefined) ?? faultKinds;
const draws = new Draws(seed);
const report = new Report();

console.log(header("acceptance", seed));
const input = flights(lines === 0 ? undefined : lines, seed, flags.text("file"));
console.log(`input: ${input.name}, keyed by origin at ${rate}/s; ${TOPIC_PARTITIONS} partitions, 3 replicas, acks=all, default settings`);
const cluster = await Cluster.start({ keep: flags.has("keep") });
try {
  for (const kind of kinds) {
    let counted = 0;
    let run = 0;
    while (counted < runs && run < 2 * runs) if (await killedRun(kind, ++run, input)) counted++;
    console.log(`${kind}: ${counted} of ${run} runs count`);
    report.check(`${kind}: ${runs} runs count`, counted === runs, () => `${counted} of ${run}`);
  }
  if (records > 0) await fullSpeed();
  await nasty();
} catch (error) {
  report.check("acceptance", false, () => `${(error as Error).stack}`);
} finally {
  report.check("no broker logs an error", cluster.complaints().length === 0, () => cluster.complaints().slice(0, 5).join("; "));
  if (report.failed > 0) console.log(`data and logs of the brokers stay in ${cluster.keepData()}`);
  await cluster.stop();
}
// What a failed run left open must not keep us.
process.exit(report.close());

/** One pour with one kill. @returns whether it counts: acknowledgements on both sides of the kill */
async function killedRun(kind: FaultKind, run: number, { lines: wanted }: Input): Promise<boolean> {
  const topic = `flights-${kind}-${run}`;
  await cluster.healthy();
  await cluster.admin.createTopic({ name: topic, partitions: TOPIC_PARTITIONS });
  const writer = cluster.client();
  const reader = cluster.client();
  const pour = new Pour();
  const tail = new Tail(reader, topic, TOPIC_PARTITIONS, 1_000_000_000);
  // A short input would be over before three brokers are back.
  const gate = gateAt(Math.floor(wanted.length * 0.9));
  const poured = pour.run(writer, wanted, { topic, keyField: "origin", rate, history: true, gate });
  // Somewhere from a tenth to two thirds of the way.
  await acknowledged(pour, Math.floor((0.1 + 0.56 * draws.next()) * wanted.length));
  const fault = await inject(cluster, topic, kind, draws, () => pour.written);
  gate.pass();
  await poured;
  await writer.close();
  await cluster.healthy();
  const fresh = cluster.client();
  const back = await readBack(fresh, topic, true);
  await waitForTail(tail, back.records);
  await tail.end();
  await reader.close();
  await fresh.close();

  const name = `${kind} ${run}`;
  const counts = acksAround(pour, fault);
  const found = compare(pour.sent, back.ledger);
  console.log(
    `${name}: ${faultText(fault)}; acks of partition ${fault.partition}: ${counts.text}; ${differencesText(found)}; ${pour.retries} batches sent again`,
  );
  if (counts.before === 0 || counts.after === 0) console.log(`${name}: does not count`);
  report.check(`${name}: no send fails`, pour.errors.length === 0, () => `${pour.errors.length}: ${pour.errors.slice(0, 3).join("; ")}`);
  report.check(`${name}: per key`, isClean(found), () => `${differencesText(found)}: ${found.examples.join("; ")}`);
  report.check(
    `${name}: the following consumer saw each record once, in order`,
    tail.errors.length === 0 && tail.records === back.records,
    () => [`${tail.records} of ${back.records} records`, ...tail.errors.slice(0, 5)].join("; "),
  );
  const finals = [...back.finals].map(([partition, read]) => ({ partition, logStart: 0, records: read }));
  const history = [...pour.history, ...tail.history].sort((a, b) => a.i - b.i);
  for (const verdict of checkHistory({ history, finals, dumps: [] })) {
    report.check(`${name}: ${verdict.row}`, verdict.violations.length === 0, () => verdict.violations.slice(0, 5).join("; "));
  }
  await cluster.admin.deleteTopic(topic);
  return counts.before > 0 && counts.after > 0;
}

/** What comes from this line on waits until the kills were made, so that each has acknowledgements after it. */
function gateAt(line: number): { readonly line: number; readonly open: Promise<void>; readonly pass: () => void } {
  let pass = (): void => {};
  const open = new Promise<void>((resolve) => {
    pass = resolve;
  });
  return { line, open, pass };
}

/** Resolves once so many records have been acknowledged. */
async function acknowledged(pour: Pour, count: number): Promise<void> {
  const deadline = performance.now() + STALLED_MS;
  while (pour.acknowledged < count) {
    if (performance.now() > deadline)
      throw new Error(`${pour.acknowledged} of ${count} records acknowledged after ${STALLED_MS} ms: ${pour.errors[0] ?? "no error"}`);
    await sleep(5);
  }
}

function acksAround(pour: Pour, fault: FaultLog): { readonly before: number; readonly after: number; readonly text: string } {
  const times = pour.ackTimes[fault.partition] ?? [];
  const before = times.filter((time) => time < fault.killedAt).length;
  const after = times.filter((time) => time > fault.electedAt).length;
  const first = times.find((time) => time > fault.killedAt);
  const elected = Math.round(fault.electedAt - fault.killedAt);
  const gap = first === undefined ? "never" : `${Math.round(first - fault.killedAt)} ms`;
  return { before, after, text: `${before} before the kill, ${after} after the leader was seen at +${elected} ms, first at +${gap}` };
}

function faultText(fault: FaultLog): string {
  const { leaderBefore, leaderAfter, termBefore, termAfter, controllerBefore, controllerAfter } = fault;
  return `SIGKILL broker ${fault.victims.join(",")}; leader ${leaderBefore}→${leaderAfter} (term ${termBefore}→${termAfter}), controller ${controllerBefore}→${controllerAfter}`;
}

async function waitForTail(tail: Tail, wanted: number): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (tail.records < wanted && tail.errors.length === 0 && performance.now() < deadline) await sleep(20);
}

/** Millions of records as fast as they are taken, with one kill of each kind on the way. */
async function fullSpeed(): Promise<void> {
  const topic = "full-speed";
  await cluster.healthy();
  await cluster.admin.createTopic({ name: topic, partitions: TOPIC_PARTITIONS });
  const writer = cluster.client();
  const pour = new Pour();
  let over = false;
  const gate = gateAt(Math.floor(records * 0.9));
  const poured = pour.run(writer, flightLines(records, seed), { topic, keyField: "origin", history: false, gate }).finally(() => {
    over = true;
  });
  const faults: FaultLog[] = [];
  for (const [index, kind] of faultKinds.entries()) {
    const from = Math.floor(records * (0.05 + 0.18 * index + 0.06 * draws.next()));
    while (!over && pour.acknowledged < from) await sleep(5);
    if (over) break;
    faults.push(await inject(cluster, topic, kind, draws, () => pour.written));
    await cluster.healthy();
  }
  gate.pass();
  await poured;
  await writer.close();
  await cluster.healthy();
  const fresh = cluster.client();
  const back = await readBack(fresh, topic, false);
  await fresh.close();
  const found = compare(pour.sent, back.ledger);
  for (const fault of faults) {
    const counts = acksAround(pour, fault);
    console.log(`full speed, ${fault.kind}: ${faultText(fault)}; acks of partition ${fault.partition}: ${counts.text}`);
    report.check(`full speed: ${fault.kind} counts`, counts.before > 0 && counts.after > 0, () => counts.text);
  }
  console.log(
    `full speed: ${pour.acknowledged} records acknowledged in ${pour.seconds.toFixed(1)} s with ${faults.length} kills (${Math.round(pour.acknowledged / pour.seconds)}/s), ${pour.retries} batches sent again; read back in ${back.seconds.toFixed(1)} s (${Math.round(back.records / back.seconds)}/s, hashing included); ${differencesText(found)}`,
  );
  report.check("full speed: one kill of each kind", faults.length === faultKinds.length, () => `${faults.length} kills before the end`);
  report.check("full speed: no send fails", pour.errors.length === 0, () => `${pour.errors.length}: ${pour.errors.slice(0, 3).join("; ")}`);
  report.check("full speed: per key", isClean(found), () => `${differencesText(found)}: ${found.examples.join("; ")}`);
  await cluster.admin.deleteTopic(topic);
}

/** The second file, through `millrace produce` and `millrace consume`: byte for byte. */
async function nasty(): Promise<void> {
  const file = nastyFile(seed);
  const path = join(cluster.folder, "nasty.jsonl");
  writeFileSync(path, file);
  const wanted = cutLines(file);
  const big = Math.max(...wanted.map((line) => line.length));
  await cluster.healthy();
  const produce = async (topic: string, partitions: number): Promise<void> => {
    await cluster.admin.createTopic({ name: topic, partitions });
    const produced = await cluster.cli(["produce", topic, "--file", path, "--key-field", "origin"]);
    report.check(`second file: produce ${topic}`, produced.exitCode === 0, () => produced.stderr);
  };
  await produce("nasty-one", 1);
  const text = await cluster.cli(["consume", "nasty-one"]);
  // `consume` ends each record with a line feed; the file has none at its end.
  const same = text.stdout.equals(Buffer.concat([file, Buffer.from("\n")]));
  console.log(
    `second file: ${wanted.length} lines, ${file.length} bytes, longest ${big}; through one partition ${same ? "byte for byte" : "CHANGED"}`,
  );
  report.check("second file: byte for byte", text.exitCode === 0 && same, () => `${text.stdout.length} bytes came back; ${text.stderr}`);

  await produce("nasty-six", TOPIC_PARTITIONS);
  const sent = new Ledger();
  for (const [index, line] of wanted.entries()) sent.add(keyOf(line), index + 1, line);
  const fresh = cluster.client();
  const back = await readBack(fresh, "nasty-six", false);
  await fresh.close();
  // Lines without a key may take any partition, so between them there is no order to keep.
  const found = compare(sent, back.ledger);
  const wrong = found.missing + found.extra + found.changed;
  console.log(`second file: through six partitions: ${differencesText(found)} (lines without a key have no order)`);
  report.check("second file: per key", wrong === 0, () => found.examples.join("; "));
}

function keyOf(line: Buffer): string | undefined {
  try {
    return jsonField(new TextDecoder("utf-8", { fatal: true }).decode(line), "origin");
  } catch {
    return undefined;
  }
}
