import { delimiter } from "node:path";
import { type Block, type Command, commandsOf } from "./blocks.ts";
import { DevCluster, killBrokers } from "./dev-cluster.ts";
import { firstDifference } from "./expected.ts";
import { PageShell } from "./page-shell.ts";
import { makeScratch, npxWorks } from "./scratch.ts";

/** What became of one command of a page. */
export interface Ran {
  readonly page: string;
  readonly line: number;
  readonly command: string;
  readonly result:
    | { readonly kind: "passed" }
    | { readonly kind: "failed"; readonly why: string; readonly output: string }
    | { readonly kind: "skipped"; readonly reason: string };
}

export interface PageOptions {
  /** Of the repository. */
  readonly root: string;
  /** Client port of broker 1, in place of the 7400 that pages name. */
  readonly port: number;
}

/** The port that pages and the command line take for granted. */
const PAGE_PORT = 7400;

/** Runs every command of a page, in order, in a folder of its own; `npm start` runs on until the page ends. A failure ends the page. */
export async function runPage(blocks: readonly Block[], { root, port }: PageOptions): Promise<readonly Ran[]> {
  const scratch = makeScratch(root);
  const env = {
    ...process.env,
    PATH: `${scratch.bin}${delimiter}${process.env["PATH"] ?? ""}`,
    MILLRACE_BROKERS: `127.0.0.1:${port}`,
    NO_COLOR: "1",
    npm_config_update_notifier: "false",
    npm_config_loglevel: "error",
  };
  const shell = new PageShell({ cwd: scratch.clone, folder: scratch.own, env });
  const clusters: DevCluster[] = [];
  const ran: Ran[] = [];

  /** @returns what it printed, and why it failed if it did */
  const run = async (command: Command, { mark }: Block): Promise<{ output: string; why?: string }> => {
    const args = /^npm start(?: --([^#]*))?\s*(?:#.*)?$/.exec(command.text);
    if (args !== null) {
      const words = (args[1] ?? "").split(" ").filter((word) => word !== "");
      const cluster = new DevCluster({ cwd: scratch.clone, env, port, args: words });
      clusters.push(cluster);
      return (await cluster.ready()) ? { output: "" } : { output: cluster.output, why: "never printed the ready line" };
    }
    const { exitCode, output } = await shell.run(
      command.text.replaceAll(PAGE_ADDRESS, (_, at: string) => `127.0.0.1:${port + Number(at)}`),
    );
    const shown = output.replaceAll(/127\.0\.0\.1:(\d+)/g, (whole, at: string) => pageAddress(Number(at), port) ?? whole);
    const why = wrongExit(exitCode, mark);
    return why === undefined ? { output: shown } : { output: shown, why };
  };

  try {
    const first = blocks.find(({ text }) => NPX.test(text));
    if (first !== undefined) {
      const { exitCode, output } = await shell.run(npxWorks(scratch));
      if (exitCode !== 0) {
        const result = { kind: "failed", why: "npx does not find millrace", output } as const;
        return [{ page: first.page, line: first.line, command: "npx millrace version", result }];
      }
    }
    for (const block of blocks) {
      let printed = "";
      const commands = commandsOf(block);
      for (const [at, command] of commands.entries()) {
        const told = { page: block.page, line: command.line, command: command.text };
        if (block.mark.kind === "skipped") {
          ran.push({ ...told, result: { kind: "skipped", reason: block.mark.reason } });
          continue;
        }
        const { output, why } = await run(command, block);
        printed += output;
        const different = at < commands.length - 1 || block.output === undefined ? undefined : firstDifference(block.output, printed);
        const wrong = why ?? (different === undefined ? undefined : `the page shows what it did not print: ${different}`);
        ran.push({ ...told, result: wrong === undefined ? { kind: "passed" } : { kind: "failed", why: wrong, output: printed } });
        if (wrong !== undefined) return ran;
      }
    }
    return ran;
  } finally {
    shell.end();
    for (const cluster of clusters) await cluster.stop();
    killBrokers(scratch.clone);
    scratch.remove();
  }
}

/** A page may also do so by an alias. */
const NPX = /\bnpx millrace\b/;

const PAGE_ADDRESS = /127\.0\.0\.1:74(\d\d)\b/g;

function pageAddress(at: number, port: number): string | undefined {
  return at >= port && at < port + 100 ? `127.0.0.1:${PAGE_PORT + at - port}` : undefined;
}

function wrongExit(exitCode: number | undefined, mark: Block["mark"]): string | undefined {
  if (exitCode === undefined) return "did not end in time";
  if (mark.kind !== "fails") return exitCode === 0 ? undefined : `exit ${exitCode}`;
  if (mark.exitCode === undefined) return exitCode === 0 ? "exit 0, where the page says it fails" : undefined;
  return exitCode === mark.exitCode ? undefined : `exit ${exitCode}, where the page says ${mark.exitCode}`;
}
