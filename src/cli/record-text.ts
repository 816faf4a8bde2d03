import { isUtf8 } from "node:buffer";
import type { ConsumedRecord, RecordHeader } from "../client/index.ts";

/** Text as a JSON string; bytes that are not UTF-8 as `{"base64":"…"}`; absent as null. */
function jsonOf(bytes: Uint8Array | undefined): string {
  if (bytes === undefined) return "null";
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return isUtf8(buffer) ? JSON.stringify(buffer.toString("utf8")) : `{"base64":"${buffer.toString("base64")}"}`;
}

/**
 * `{"partition":0,"offset":12,"timestamp":…,"key":"…","value":"…","headers":{…}}` and a line feed. `produce --format json` makes the
 * same record of it again (`envelope.ts`).
 */
export function recordJson(record: ConsumedRecord): string {
  return `{"partition":${record.partition},"offset":${record.offset},"timestamp":${record.timestampMs},"key":${jsonOf(record.key)},"value":${jsonOf(record.value)},"headers":${headersJson(record.headers)}}\n`;
}

/**
 * As `kcat -C -J` prints it, in its order: `{"topic":"t","partition":0,"offset":12,"ts":…,"headers":["name","value",…],"key":"…","payload":"…"}` and a line
 * feed; no `headers` when there are none. Bytes that are not UTF-8, which kcat prints as they are, are `{"base64":"…"}` here too: what is printed is JSON.
 */
export function recordKcat({ topic, partition, offset, timestampMs, key, value, headers }: ConsumedRecord): string {
  const list = headers.map((header) => `${JSON.stringify(header.key)},${jsonOf(header.value)}`).join(",");
  const place = `"topic":${JSON.stringify(topic)},"partition":${partition},"offset":${offset},"ts":${timestampMs}`;
  return `{${place}${list === "" ? "" : `,"headers":[${list}]`},"key":${jsonOf(key)},"payload":${jsonOf(value)}}\n`;
}

/**
 * An object, where a header given twice becomes a list of its values. Headers whose order an object would lose are one flat list
 * instead, name and value in turn: those of one name that do not stand together, and names that are numbers, which objects sort.
 */
function headersJson(headers: readonly RecordHeader[]): string {
  const byName = new Map<string, string[]>();
  let keepsOrder = true;
  let last: string | undefined;
  for (const { key, value } of headers) {
    const values = byName.get(key);
    if (values === undefined) byName.set(key, [jsonOf(value)]);
    else values.push(jsonOf(value));
    if ((values !== undefined && key !== last) || /^\d+$/.test(key)) keepsOrder = false;
    last = key;
  }
  if (!keepsOrder) return `[${headers.map(({ key, value }) => `${JSON.stringify(key)},${jsonOf(value)}`).join(",")}]`;
  const fields = [...byName].map(([key, values]) => `${JSON.stringify(key)}:${values.length === 1 ? values[0] : `[${values.join(",")}]`}`);
  return `{${fields.join(",")}}`;
}
