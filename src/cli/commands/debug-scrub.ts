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
          "Each broker does this by itself within `scrub.interval.ms`. Exit 1 when something is still damaged at the end; 3 when a broker could not be asked.",
        ) as Argv<ScrubFlags>,
    handler: async (args) => {
      const given = (args.admin ?? []).map(adminPlace);
      const places = given.length > 0 ? given : await placesOf(args.brokers);
      const running = new Map<string, ScrubStatus>();
      const told = (broker: string, status: ScrubStatus): void => {
        running.set(broker, status);
        terminal.progress?.(progressOf([...running.values()]));
      };
      const passes = await Promise.allSettled(places.map((place) => scrubOne(place, (status) => told(place.broker, status))));
      terminal.progress?.(undefined);
      let left = 0;
      const absent: string[] = [];
      for (const [i, pass] of passes.entries()) {
        // One that does not answer does not take away what the others found.
        if (pass.status === "rejected") {
          if (!(pass.reason instanceof CommandFailed)) throw pass.reason;
          absent.push(pass.reason.message);
          continue;
        }
        const status = pass.value;
        const broker = (places[i] as AdminPlace).broker;
        left += status.holes.length;
        await terminal.data(args.format === "json" ? `${JSON.stringify({ broker: Number(broker), ...status })}\n` : textOf(broker, status));
      }
      await terminal.flush();
      const [first] = absent;
      if (left === 0 && absent.length === 1 && first !== undefined) throw new CommandFailed(ExitCode.absent, first);
      for (const line of absent) terminal.say(line);
      if (left > 0) throw new CommandFailed(ExitCode.failure, `${counted(left, "place")} still damaged`);
      if (absent.length > 0) throw new CommandFailed(ExitCode.absent, `${counted(absent.length, "broker")} could not be asked`);
    },
  };
}

async function placesOf(brokers: string | undefined): Promise<readonly AdminPlace[]> {
  const cluster = await withClient(brokers, (client) => client.admin(ADMIN).describeCluster());
  return cluster.brokers.map(({ brokerId, address }) => ({ broker: String(brokerId), address: adminOf(address) }));
}

/** Begins a pass and waits for its end. @param told how far it has come, now and then */
async function scrubOne({ broker, address }: AdminPlace, told: (status: ScrubStatus) => void): Promise<ScrubStatus> {
  let status = await ask(broker, address, "POST");
  while (status.running) {
    told(status);
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

function progressOf(passes: readonly ScrubStatus[]): string {
  const bytes = passes.reduce((sum, pass) => sum + pass.bytes, 0);
  const total = passes.reduce((sum, pass) => sum + pass.bytesTotal, 0);
  return `${counted(bytes, "byte")} of ${total} read on ${counted(passes.length, "broker")}`;
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
