import type { From, Until } from "../client/index.ts";
import { UsageError } from "./exit-code.ts";

/** Where to read from, as it is written: `start`, `end`, an offset, `+n` after the start, `-n` before the end, `@time`. */
export type Position = From | { readonly afterStart: number } | { readonly beforeEnd: number };

/** @throws {UsageError} */
export function parsePosition(option: string, text: string): Position {
  if (text === "start" || text === "end") return text;
  if (/^\d+$/.test(text)) return { offset: whole(option, text) };
  if (/^\+\d+$/.test(text)) return { afterStart: whole(option, text.slice(1)) };
  if (/^-\d+$/.test(text)) return { beforeEnd: whole(option, text.slice(1)) };
  if (text.startsWith("@")) return { timeMs: parseTime(option, text.slice(1)) };
  throw new UsageError(`${option} must be start, end, an offset, +N, -N or @TIME: got "${text}"`);
}

/** Milliseconds since 1970, an ISO time, or `-90s`, `-15m`, `-2h`, `-7d` from now. */
function parseTime(option: string, text: string): number {
  if (/^\d+$/.test(text)) return whole(option, text);
  const ago = /^-(\d+)([smhd])$/.exec(text);
  const time =
    ago === null ? Date.parse(text) : Date.now() - Number(ago[1]) * { s: 1e3, m: 6e4, h: 36e5, d: 864e5 }[ago[2] as "s" | "m" | "h" | "d"];
  if (Number.isSafeInteger(time) && time >= 0) return time;
  throw new UsageError(`${option}: cannot read the time "${text}"; use @2026-11-01T00:00:00Z, @1767225600000 or @-1h`);
}

function whole(option: string, text: string): number {
  const n = Number(text);
  if (Number.isSafeInteger(n)) return n;
  throw new UsageError(`${option}: ${text} is too large`);
}

/** The position in a partition whose ends are known. */
export function resolvePosition(
  position: Position,
  ends: { readonly logStartOffset: number; readonly highWatermark: number },
): Until | From {
  if (typeof position === "string") return position;
  if ("afterStart" in position) return { offset: Math.min(ends.logStartOffset + position.afterStart, ends.highWatermark) };
  if ("beforeEnd" in position) return { offset: Math.max(ends.logStartOffset, ends.highWatermark - position.beforeEnd) };
  return position;
}
