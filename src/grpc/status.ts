import { Metadata, type ServiceError, type StatusObject, status } from "@grpc/grpc-js";
import type { MillraceError } from "../base/errors.ts";
import { RpcFailure } from "../base/ports/rpc-client.ts";
import { decodeErrorDetails, encodeErrorDetails, statusNameOf } from "../protocol/rpc-status.ts";

/** Trailer with a serialized `google.rpc.Status`. */
export const DETAILS_KEY = "grpc-status-details-bin";
const MESSAGE_LENGTH_MAX = 1024;

/** An expected failure as the caller gets it: status, message, ErrorInfo. */
export function statusOfError(error: MillraceError): StatusObject {
  const metadata = new Metadata();
  metadata.set(DETAILS_KEY, asBuffer(encodeErrorDetails(error)));
  return { code: status[error.status], details: headerText(error.message), metadata };
}

/** A bug as the caller gets it: no text of ours, which could hold another caller's data (reliability.md §5.38). */
export function internalStatus(): StatusObject {
  return { code: status.INTERNAL, details: "Internal error; the broker's log has the details", metadata: new Metadata() };
}

/** grpc-js encodes it with `encodeURI`, which throws on half a surrogate pair. */
function headerText(text: string): string {
  const lone = /[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/g;
  return text.slice(0, MESSAGE_LENGTH_MAX).replace(lone, "\uFFFD");
}

/** What grpc-js reports for a call that failed, as this project's errors. */
export function failureOf(error: Pick<ServiceError, "code" | "details" | "metadata">): MillraceError | RpcFailure {
  const [details] = error.metadata.get(DETAILS_KEY);
  const ours = details instanceof Uint8Array ? decodeErrorDetails(details) : undefined;
  return ours ?? new RpcFailure(statusNameOf(error.code), plain(error.details), neverSent(error));
}

/**
 * Texts grpc-js 1.14 uses when no byte of the call left (channel down, name unknown), or when the other side refused the stream
 * before looking at it (RFC 9113 §8.7). Anything else may have been executed.
 */
const neverSentTexts = [
  "No connection established",
  "Name resolution failed",
  "Stream refused by server",
  "Channel closed before call started",
];

function neverSent(error: Pick<ServiceError, "code" | "details">): boolean {
  return error.code === status.UNAVAILABLE && neverSentTexts.some((text) => error.details.startsWith(text));
}

/** Without the words grpc-js puts around what the system said, and without the address, which the caller knows: "connect ECONNREFUSED". */
function plain(details: string): string {
  return details
    .replace(/^No connection established\. Last error: (?:Error: )?/, "")
    .replace(/\.?\s*Resolution note:\s*$/, "")
    .replace(/ \(\d{4}-\d\d-\d\dT[\d:.]+Z\)$/, "")
    .replace(/^(connect E[A-Z]+) \S+$/, "$1");
}

/** A view of the same bytes, never a copy. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Bytes in, bytes out (design §8). */
export const identity = (bytes: Buffer): Buffer => bytes;
