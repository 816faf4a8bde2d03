import { MillraceError } from "../base/errors.ts";
import type { Inflate } from "../base/ports/inflate.ts";
import { ConsumedRecord } from "../client/consumer/consumed-record.ts";
import { verifyPayload } from "../records/frame.ts";
import { Codec, type Frame, FrameType, PayloadFormat } from "../records/frame-types.ts";
import { records } from "../records/log-record.ts";
import { recordJson } from "./record-text.ts";

/** More than a batch may hold when it is inflated: such a one is damaged. */
const INFLATED_BYTES_MAX = 256 * 1024 * 1024;

/**
 * The records of a frame as `consume --format json` prints them; none for a frame that holds none.
 *
 * @returns lines; a string: why they cannot be read
 */
export async function recordLines(frame: Frame, partition: number, inflate: Inflate): Promise<readonly string[] | string> {
  if (frame.type !== FrameType.data || frame.format !== PayloadFormat.records) return [];
  if (!verifyPayload(frame)) return `the payload of frame ${frame.index} does not match its CRC`;
  const payload = await plainOf(frame, inflate);
  if (typeof payload === "string") return payload;
  const { appendTime: appendTimeMs, appendTimed = false, term } = frame;
  const batch = { topic: "", partition, appendTimeMs, appendTimed, term };
  const lines: string[] = [];
  try {
    for (const view of records(payload)) lines.push(recordJson(new ConsumedRecord(batch, frame.baseOffset + lines.length, view)));
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    return `the records of frame ${frame.index} cannot be read: ${error.message}`;
  }
  return lines.length === frame.recordCount ? lines : `frame ${frame.index} holds ${lines.length} records, and says ${frame.recordCount}`;
}

async function plainOf({ codec, payload, index }: Frame, inflate: Inflate): Promise<Uint8Array | string> {
  if (codec === Codec.none) return payload;
  if (codec !== Codec.gzip) return `frame ${index} is compressed with codec ${codec}, which is not known here`;
  const result = await inflate.gunzip(payload, INFLATED_BYTES_MAX);
  return "failed" in result ? `the records of frame ${index} cannot be inflated: ${result.failed}` : result.bytes;
}
