import { isLoopback, parseAddress } from "../base/address.ts";
import type { ConfigProblem } from "./config-error.ts";
import type { SettingKey } from "./table.ts";
import type { SettingValues } from "./values.ts";

/** Pairs where the first must not be larger than the second (where `strict`: must be smaller). */
const ordered: readonly { readonly small: NumberKey; readonly large: NumberKey; readonly strict?: boolean; readonly why: string }[] = [
  { small: "heartbeat.ms", large: "election.min.ms", strict: true, why: "a follower must hear its leader before it gives up" },
  {
    small: "election.min.ms",
    large: "election.max.ms",
    strict: true,
    why: "the time is drawn between the two, so that candidates do not tie",
  },
  { small: "election.max.ms", large: "broker.session.ms", why: "an election must not fence a live broker" },
  { small: "max.message.bytes", large: "produce.pending.max.bytes", why: "one batch must fit" },
  { small: "max.message.bytes", large: "stream.credit.bytes", why: "one batch must fit" },
  { small: "stream.credit.bytes", large: "stream.pending.max.bytes", why: "one stream must have its credit" },
  { small: "fetch.max.bytes", large: "reply.pending.max.bytes", why: "one answer must fit" },
  { small: "max.message.bytes", large: "forward.pending.max.bytes", why: "one batch must fit" },
  {
    small: "group.heartbeat.interval.ms",
    large: "group.session.timeout.ms",
    strict: true,
    why: "a member must be heard before its session ends",
  },
  { small: "group.rebalance.timeout.ms", large: "group.rebalance.timeout.max.ms", why: "the default is within the maximum" },
  { small: "fetch.default.bytes", large: "fetch.max.bytes", why: "the default is within the maximum" },
];

type NumberKey = { [K in SettingKey]: SettingValues extends { get(key: K): number } ? K : never }[SettingKey] & SettingKey;

const listeners = ["listen", "peer.listen", "admin.listen"] as const;
const wildcards = new Set(["0.0.0.0", "::"]);

/** Values that are right alone and wrong together (reliability.md §5.54). Where one of them is missing, nothing is said. */
export function findConflicts(values: SettingValues): readonly ConfigProblem[] {
  return [...orderProblems(values), ...placeProblems(values), ...listenProblems(values)];
}

function orderProblems(values: SettingValues): readonly ConfigProblem[] {
  return ordered.flatMap(({ small, large, strict = false, why }) => {
    const [a, b] = [numberOf(values, small), numberOf(values, large)];
    if (a === undefined || b === undefined || a < b || (a === b && !strict)) return [];
    return [{ key: small, source: undefined, message: `${a} must be ${strict ? "less than" : "at most"} ${large} (${b}): ${why}` }];
  });
}

function numberOf(values: SettingValues, key: NumberKey): number | undefined {
  const value = values.find(key);
  return value === undefined ? undefined : Number(value);
}

function placeProblems(values: SettingValues): readonly ConfigProblem[] {
  const id = values.find("broker.id");
  const seeds = values.find("cluster.seeds");
  if (id === undefined || seeds === undefined) return [];
  if (seeds.some((seed) => seed.id === id) || values.find("cluster.join") !== undefined) return [];
  return [
    {
      key: "cluster.join",
      source: undefined,
      message: `must be given: broker ${id} is not one of cluster.seeds, so it needs a live broker to join through`,
    },
  ];
}

function listenProblems(values: SettingValues): readonly ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const taken = new Map<string, string>();
  for (const key of listeners) {
    const address = values.find(key);
    const place = address === undefined ? undefined : parseAddress(address);
    if (address === undefined || place === undefined) continue;
    const other = taken.get(address);
    if (other !== undefined && place.port !== 0) problems.push({ key, source: undefined, message: `is ${address}, and so is ${other}` });
    taken.set(address, key);
    if (!isLoopback(place.host) && values.find("insecure.listen") === false) {
      const message = `${address} can be reached from other machines, and nothing is encrypted or authenticated yet: use a loopback address, or --insecure-listen`;
      problems.push({ key, source: undefined, message });
    }
    const advertise = key === "listen" ? "advertise" : key === "peer.listen" ? "peer.advertise" : undefined;
    if (advertise !== undefined && wildcards.has(place.host) && values.find(advertise) === undefined) {
      problems.push({ key: advertise, source: undefined, message: `must be given: ${key} is ${address}, which nobody can connect to` });
    }
  }
  return problems;
}

/** One line per listener others can reach. */
export function listenWarnings(values: SettingValues): readonly string[] {
  return listeners.flatMap((key) => {
    const address = values.find(key);
    const place = address === undefined ? undefined : parseAddress(address);
    if (place === undefined || isLoopback(place.host)) return [];
    return [`${key} ${address} can be reached from other machines, without encryption or authentication (--insecure-listen)`];
  });
}
