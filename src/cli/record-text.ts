import { isUtf8 } from "node:buffer";
import type { ConsumedRecord } from "../client/index.ts";

/** Text as a JSON string; bytes that are not UTF-8 as `{"base64":"…"}`; absent as null. */
function jsonOf(bytes: Uint8Array | undefined): string {
  if (bytes === undefined) return "null";
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return isUtf8(buffer) ? JSON.stringify(buffer.toString("utf8")) : `{"base64":"${buffer.toString("base64")}"}`;
}

/** `{"partition":0,"offset":12,"timestamp":…,"key":"…","value":"…","headers":{…}}`; a header given twice becomes a list. */
export function recordJson(record: ConsumedRecord): string {
  const headers = new Map<string, string[]>();
  for (const { key, value } of record.headers) {
    const values = headers.get(key);
    if (values === undefined) headers.set(key, [jsonOf(value)]);
    else values.push(jsonOf(value));
  }
  const fields = [...headers].map(([key, values]) => `${JSON.stringify(key)}:${values.length === 1 ? values[0] : `[${values.join(",")}]`}`);
  return `{"partition":${record.partition},"offset":${record.offset},"timestamp":${record.timestampMs},"key":${jsonOf(record.key)},"value":${jsonOf(record.value)},"headers":{${fields.join(",")}}}\n`;
}
