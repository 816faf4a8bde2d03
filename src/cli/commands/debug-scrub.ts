import type { Argv, CommandModule } from "yargs";
import { counted } from "../../base/plural.ts";
import type { ScrubStatus } from "../../broker/repair/scrubber.ts";
import { type AdminPlace, adminOf, reasonOf } from "../bundle/collect.ts";
import { ADMIN, withClient } from "../connect.ts";
import { CommandFailed, ExitCode } from "../exit-code.ts";
import type { Terminal } from "../terminal.ts";
import { adminPlace } from "./debug-bundle.ts";

interface ScrubFlags {
  readonly brokers?: string | undefined;
  readonly admin?: string[] | undefined;
  readonly format: string;
}

const POLL_MS = 200;
const ANSWER_MS = 10_000;

export function scrubCommand(terminal: Terminal): CommandModule<object, ScrubFlags> {
  return {
    command: "scrub",
    describe: "Read and check everything that the brokers have stored, now; what is damaged is repaired from other replicas",
    builder: (yargs) =>
      yargs
        .option("admin", {
          type: "string",
          array: true,
          requiresArg: true,
          describe: "ID@HOST:PORT, admin address of a broker; may be given again [each broker's client port and two]",
        })
        .option("format", { choices: ["text", "json"], default: "text", requiresArg: true, describe: "How to print" })
        .epilogue(
          "Each broker does this by itself within `scrub.interval.ms`. Exit 1 when something is still damaged at the end.",
        ) as Argv<ScrubFlags>,
    handler: async (args) => {
      const given = (args.admin ?? []).map(adminPlace);
      const places = given.length > 0 ? given : await placesOf(args.brokers);
      const passes = await Promise.all(places.map((place) => scrubOne(place)));
      let left = 0;
      for (const [i, status] of passes.entries()) {
        const broker = (places[i] as AdminPlace).broker;
        left += status.holes.length;
        await terminal.data(args.format === "json" ? `${JSON.stringify({ broker: Number(broker), ...status })}\n` : textOf(broker, status));
      }
      await terminal.flush();
      if (left > 0) throw new CommandFailed(ExitCode.failure, `${counted(left, "place")} still damaged`);
    },
  };
}

async function placesOf(brokers: string | undefined): Promise<readonly AdminPlace[]> {
  const cluster = await withClient(brokers, (client) => client.admin(ADMIN).describeCluster());
  return cluster.brokers.map(({ brokerId, address }) => ({ broker: String(brokerId), address: adminOf(address) }));
}

/** Begins a pass and waits for its end. */
async function scrubOne({ broker, address }: AdminPlace): Promise<ScrubStatus> {
  let status = await ask(broker, address, "POST");
  while (status.running) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    status = await ask(broker, address, "GET");
  }
  return status;
}

/** @throws {CommandFailed} */
async function ask(broker: string, address: string, method: "GET" | "POST"): Promise<ScrubStatus> {
  const url = `http://${address}/debug/scrub`;
  try {
    const answer = await fetch(url, { method, signal: AbortSignal.timeout(ANSWER_MS), redirect: "error" });
    const status = answer.ok ? ((await answer.json()) as ScrubStatus | null) : null;
    if (status !== null) return status;
  } catch (error) {
    throw new CommandFailed(ExitCode.absent, `broker ${broker} does not answer at ${url}: ${reasonOf(error)}`);
  }
  throw new CommandFailed(ExitCode.absent, `broker ${broker} cannot scrub now: it has not joined its cluster, or is of another version`);
}

function textOf(broker: string, { groups, segments, bytes, found, rebuilt, holes }: ScrubStatus): string {
  const lines = [
    `broker ${broker}: ${counted(bytes, "byte")} of ${counted(segments, "segment")} in ${counted(groups, "group")}; damaged: ${found.length}, not repaired yet: ${holes.length}`,
    ...found.map(
      (hole) => `  ${hole.path} at byte ${hole.position}: frames ${hole.first} to ${hole.last} of group ${hole.groupId}: ${hole.what}`,
    ),
    ...rebuilt.map((path) => `  ${path}: made again from the frames`),
  ];
  return `${lines.join("\n")}\n`;
}
