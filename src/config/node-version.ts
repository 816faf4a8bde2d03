/** Days (UTC) after which a release line gets no more security fixes (https://github.com/nodejs/release#release-schedule). */
const endOfLife: Readonly<Record<number, string>> = { 18: "2025-04-30", 20: "2026-04-30", 22: "2027-04-30", 24: "2028-04-30" };

/**
 * @param version as `process.versions.node`: "20.20.2"
 * @param wallMs milliseconds since 1970 UTC
 * @returns one line to say at start, when this Node is past its end of life
 */
export function nodeVersionWarning(version: string, wallMs: number): string | undefined {
  const major = Number(version.split(".")[0]);
  const day = endOfLife[major];
  // Odd lines live half a year and are not in the table; nothing is said of lines this version does not know.
  if (day === undefined || wallMs < Date.parse(`${day}T24:00:00Z`)) return undefined;
  return `Node ${version} gets no security fixes since ${day}: run Millrace on Node 22 or 24`;
}
