import { parseAddress } from "../../base/address.ts";
import { type Client, MillraceError } from "../../client/index.ts";
import { ADMIN } from "../connect.ts";

/** A file of a bundle. */
export interface Piece {
  readonly name: string;
  readonly text: string;
}

export interface Bundle {
  readonly pieces: readonly Piece[];
  /** What could not be had, and why: one line each. */
  readonly missing: readonly string[];
}

/** Where a broker serves probes, metrics and its last lines. */
export interface AdminPlace {
  readonly broker: string;
  readonly address: string;
}

export interface CollectOptions {
  /** As given with --brokers. */
  readonly addresses: readonly string[];
  /** As given with --admin: instead of guessing them from the addresses of clients. */
  readonly admin: readonly AdminPlace[];
  readonly timeoutMs: number;
  /** Text behind a URL. @throws when there is none */
  readonly get: (url: string, timeoutMs: number) => Promise<string>;
}

/** What is asked of each broker. */
const PAGES: readonly (readonly [path: string, file: string])[] = [
  ["/readyz", "ready.txt"],
  ["/metrics", "metrics.txt"],
  ["/debug/config", "config.jsonl"],
  ["/debug/log", "log.jsonl"],
];
/** The admin port of a broker that was not told otherwise: two above that for clients (design §10). */
const ADMIN_ABOVE_CLIENT = 2;

/** Asks the cluster and then each of its brokers; what does not answer is named, and the rest goes on. */
export async function collect(client: Client, { addresses, admin, timeoutMs, get }: CollectOptions): Promise<Bundle> {
  const pieces: Piece[] = [];
  const missing: string[] = [];
  const json = async <T>(name: string, ask: () => Promise<T>): Promise<T | undefined> => {
    try {
      const answer = await ask();
      pieces.push({ name: `${name}.json`, text: `${JSON.stringify(answer, undefined, 1)}\n` });
      return answer;
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      missing.push(`${name}: ${error.code}: ${error.message}`);
      return undefined;
    }
  };
  const api = client.admin(ADMIN);
  const cluster = await json("cluster", () => api.describeCluster());
  if (cluster !== undefined) {
    await json("health", () => api.clusterHealth({ timeoutMs }));
    await json("topics", () => api.describeTopics([]));
  }
  const known = cluster?.brokers.map(({ brokerId, address }) => ({ broker: String(brokerId), address }));
  const guessed = known ?? addresses.map((address, at) => ({ broker: `at-${at + 1}`, address }));
  for (const place of admin.length > 0 ? admin : guessed.map(({ broker, address }) => ({ broker, address: adminOf(address) }))) {
    for (const [path, file] of PAGES) {
      try {
        pieces.push({ name: `brokers/${place.broker}/${file}`, text: await get(`http://${place.address}${path}`, timeoutMs) });
      } catch (error) {
        missing.push(`brokers/${place.broker}/${file}: http://${place.address}${path}: ${reasonOf(error)}`);
        // One that does not answer is not asked four times.
        if (path === "/readyz") break;
      }
    }
  }
  return { pieces, missing };
}

/** Where a broker that was not told otherwise answers probes. */
export function adminOf(address: string): string {
  const place = parseAddress(address);
  return place === undefined ? address : `${address.slice(0, address.lastIndexOf(":"))}:${place.port + ADMIN_ABOVE_CLIENT}`;
}

export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // What fetch says is "fetch failed"; why stands behind it.
  return error.cause instanceof Error ? error.cause.message : error.message;
}
