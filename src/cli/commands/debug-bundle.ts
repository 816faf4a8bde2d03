import { gzipSync } from "node:zlib";
import type { Argv, CommandModule } from "yargs";
import { parseAddress } from "../../base/address.ts";
import { counted } from "../../base/plural.ts";
import { type AdminPlace, type Bundle, collect } from "../bundle/collect.ts";
import { tarOf } from "../bundle/tar.ts";
import { parseBrokers, withClient } from "../connect.ts";
import { CommandFailed, ExitCode, UsageError } from "../exit-code.ts";
import { durationFlag } from "../flags.ts";
import { writeNew } from "../new-file.ts";
import type { Terminal } from "../terminal.ts";
import { packageVersion } from "../version.ts";

interface BundleFlags {
  readonly brokers?: string | undefined;
  readonly out?: string | undefined;
  readonly admin?: string[] | undefined;
  readonly timeout: string;
}

/** A page of a broker is read so far; metrics of most partitions are a tenth of it. */
const PAGE_BYTES_MAX = 16 * 1024 * 1024;

export function bundleCommand(terminal: Terminal): CommandModule<object, BundleFlags> {
  return {
    command: "bundle",
    describe:
      "Collect what somebody needs who was not there: versions, topics, health, and settings, metrics and last events of each broker",
    builder: (yargs) =>
      yargs
        .option("out", { type: "string", requiresArg: true, describe: "File to write [millrace-bundle-TIME.tar.gz]; it must not exist" })
        .option("admin", {
          type: "string",
          array: true,
          requiresArg: true,
          describe: "ID@HOST:PORT, admin address of a broker; may be given again [each broker's client port and two]",
        })
        .option("timeout", { type: "string", default: "5s", requiresArg: true, describe: "Longest wait for one answer: 500ms, 60s, 5m" })
        .example("$0 debug bundle --out bundle.tar.gz", "")
        .epilogue(
          "Holds no record; settings that are secret are left out. What could not be had stands in missing.txt and on stderr. Exit 3 when no broker answered at all.",
        ) as Argv<BundleFlags>,
    handler: async (args) => {
      const admin = (args.admin ?? []).map(adminPlace);
      const timeoutMs = durationFlag("--timeout", args.timeout);
      const addresses = parseBrokers(args.brokers);
      const now = new Date();
      const out = args.out ?? `millrace-bundle-${now.toISOString().replaceAll(/[-:]|\..*/g, "")}.tar.gz`;
      const bundle = await withClient(args.brokers, (client) => collect(client, { addresses, admin, timeoutMs, get: getText }));
      for (const line of bundle.missing) terminal.say(`missing: ${line}`);
      if (bundle.pieces.length === 0) throw new CommandFailed(ExitCode.absent, "no broker answered: there is nothing to bundle");
      const bytes = gzipSync(archive(bundle, now));
      writeNew(out, bytes);
      await terminal.data(`${out}: ${counted(bundle.pieces.length, "file")}, ${counted(bytes.length, "byte")}\n`);
    },
  };
}

function archive({ pieces, missing }: Bundle, now: Date): Buffer {
  const about = { created: now.toISOString(), millrace: packageVersion(), node: process.version, platform: process.platform };
  const files = [
    { name: "about.json", text: `${JSON.stringify(about, undefined, 1)}\n` },
    { name: "missing.txt", text: missing.map((line) => `${line}\n`).join("") },
    ...pieces,
  ];
  return tarOf(
    files.map(({ name, text }) => ({ name: `bundle/${name}`, data: Buffer.from(text) })),
    now.getTime(),
  );
}

/** @throws {UsageError} */
/** @throws {UsageError} */
export function adminPlace(text: string): AdminPlace {
  const [, broker, address = ""] = /^(\d{1,10})@(.+)$/.exec(text) ?? [];
  if (broker === undefined || parseAddress(address) === undefined)
    throw new UsageError(`--admin must be ID@HOST:PORT, such as 1@127.0.0.1:7402: got "${text}"`);
  return { broker, address };
}

async function getText(url: string, timeoutMs: number): Promise<string> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(timeoutMs), redirect: "error" });
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of answer.body ?? []) {
    pieces.push(piece);
    bytes += piece.length;
    if (bytes > PAGE_BYTES_MAX) throw new Error(`the answer is longer than ${PAGE_BYTES_MAX} bytes`);
  }
  const text = Buffer.concat(pieces).toString("utf8");
  // A probe that says no is an answer; a page that is not there is none.
  if (answer.status !== 200 && answer.status !== 503) throw new Error(`status ${answer.status}: ${text.slice(0, 100).trim()}`);
  return text;
}
