const byteUnits: Readonly<Record<string, number>> = { "": 1, B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3, TiB: 1024 ** 4 };
const timeUnits: Readonly<Record<string, number>> = { "": 1, ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** "65536", "64KiB", "64 KiB" → bytes. @returns undefined for anything else, and for fractions of a byte */
export function parseBytes(text: string): number | undefined {
  return parseWithUnit(text, byteUnits);
}

/** "1500", "1500ms", "1.5s", "7d" → milliseconds. @returns undefined for anything else, and for fractions of a millisecond */
export function parseMilliseconds(text: string): number | undefined {
  return parseWithUnit(text, timeUnits);
}

function parseWithUnit(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const match = /^(\d{1,16}(?:\.\d{1,6})?) ?([A-Za-z]*)$/.exec(text.trim());
  const [, digits, unit = ""] = match ?? [];
  if (digits === undefined || !Object.hasOwn(units, unit)) return undefined;
  const value = Number(digits) * (units[unit] ?? 1);
  return Number.isSafeInteger(value) ? value : undefined;
}

/** 65536 → "64 KiB": the largest unit that divides it. */
export function formatBytes(bytes: number): string {
  return formatWithUnit(bytes, byteUnits, "B");
}

/** 90000 → "90 s". */
export function formatMilliseconds(ms: number): string {
  return formatWithUnit(ms, timeUnits, "ms");
}

function formatWithUnit(value: number, units: Readonly<Record<string, number>>, smallest: string): string {
  let best = smallest;
  for (const [unit, size] of Object.entries(units)) if (unit !== "" && value !== 0 && value % size === 0) best = unit;
  return `${value / (units[best] ?? 1)} ${best}`;
}
