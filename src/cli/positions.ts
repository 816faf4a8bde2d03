import type { From, Until } from "../client/index.ts";
import { UsageError } from "./exit-code.ts";

/** A place in a partition, as it is written: `start`, `end`, an offset, `+n` after the start, `-n` before the end, `@time`. */
export type Position = From | { readonly afterStart: number } | { readonly beforeEnd: number };

export const TIME_HELP =
  "TIME is 2026-11-01, 2026-11-01T08:30 or 2026-11-01T08:30:00.250 (UTC unless Z or +01:00 follows), milliseconds since 1970, or -90s, -15m, -2h, -7d from now.";

/** @param nowMs milliseconds since 1970: what times such as `@-1h` count from @throws {UsageError} */
export function parsePosition(option: string, text: string, nowMs: number): Position {
  if (text === "start" || text === "end") return text;
  if (/^\d+$/.test(text)) return { offset: whole(option, text) };
  if (/^\+\d+$/.test(text)) return { afterStart: whole(option, text.slice(1)) };
  if (/^-\d+$/.test(text)) return { beforeEnd: whole(option, text.slice(1)) };
  if (text.startsWith("@")) return { timeMs: parseTime(option, text.slice(1), nowMs) };
  throw new UsageError(`${option} must be start, end, an offset, +N, -N or @TIME: got "${text}"`);
}

const unitMs = { s: 1e3, m: 6e4, h: 36e5, d: 864e5 } as const;

/** Milliseconds since 1970, an ISO time, or `-90s`, `-15m`, `-2h`, `-7d` from now. */
function parseTime(option: string, text: string, nowMs: number): number {
  if (/^\d+$/.test(text)) return whole(option, text);
  const ago = /^-(\d{1,9})([smhd])$/.exec(text);
  const time = ago === null ? isoTime(text) : nowMs - Number(ago[1]) * unitMs[ago[2] as keyof typeof unitMs];
  if (time !== undefined && Number.isSafeInteger(time) && time >= 0) return time;
  throw new UsageError(`${option}: cannot read the time "${text}"; use @2026-11-01T00:00, @2026-11-01T00:00:00Z, @1767225600000 or @-1h`);
}

/**
 * A day, or a day and a time. Read here, because `Date.parse` takes a time without a zone for that of the machine, a day for UTC,
 * and much else for whatever it resembles. @returns undefined for what is none, also for the 30th of February
 */
function isoTime(text: string): number | undefined {
  const match = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,3}))?)?(Z|[+-]\d\d:\d\d)?)?$/i.exec(text);
  if (match === null) return undefined;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1, 7).map((part) => Number(part ?? 0));
  // Date.UTC takes the years 0 to 99 for 1900 to 1999; records have no time before 1970.
  if (year < 1970 || hour > 23 || minute > 59 || second > 59) return undefined;
  const fraction = Number((match[7] ?? "").padEnd(3, "0"));
  const date = new Date(Date.UTC(year, month - 1, day, hour, minute, second, fraction));
  if (date.getUTCMonth() !== month - 1) return undefined;
  const zone = zoneMs(match[8]);
  return zone === undefined ? undefined : date.getTime() - zone;
}

/** @param zone `Z`, `+01:00` or nothing @returns undefined for one that does not exist */
function zoneMs(zone: string | undefined): number | undefined {
  if (zone === undefined || zone.toUpperCase() === "Z") return 0;
  const [hours, minutes] = [Number(zone.slice(1, 3)), Number(zone.slice(4))];
  if (hours > 14 || minutes > 59) return undefined;
  return (zone.startsWith("-") ? -1 : 1) * (hours * unitMs.h + minutes * unitMs.m);
}

function whole(option: string, text: string): number {
  const n = Number(text);
  if (Number.isSafeInteger(n)) return n;
  throw new UsageError(`${option}: ${text} is too large`);
}

/** The position in a partition whose ends are known; what is counted from an end stays between the two. */
export function resolvePosition(
  position: Position,
  ends: { readonly logStartOffset: number; readonly highWatermark: number },
): Until | From {
  if (typeof position === "string") return position;
  if ("afterStart" in position) return { offset: Math.min(ends.logStartOffset + position.afterStart, ends.highWatermark) };
  if ("beforeEnd" in position) return { offset: Math.max(ends.logStartOffset, ends.highWatermark - position.beforeEnd) };
  return position;
}
