import { type ErrorCode, type ErrorMetadata, errors, MillraceError, type StatusName } from "../base/errors.ts";
import { bytes, int32, int64, type MessageOf, map, message, repeated, string, submessage } from "./codec/index.ts";

/** `google.protobuf.Any`. */
export const Any = message("google.protobuf.Any", { typeUrl: string(1), value: bytes(2) });
export type Any = MessageOf<typeof Any>;

/** `google.rpc.Status`: how errors travel, in trailers (`grpc-status-details-bin`) and inside stream messages. */
export const Status = message("google.rpc.Status", { code: int32(1), message: string(2), details: repeated(submessage(3, Any)) });
export type Status = MessageOf<typeof Status>;

export const ErrorInfo = message("google.rpc.ErrorInfo", { reason: string(1), domain: string(2), metadata: map(3) });
export type ErrorInfo = MessageOf<typeof ErrorInfo>;

export const Duration = message("google.protobuf.Duration", { seconds: int64(1), nanos: int32(2) });

export const RetryInfo = message("google.rpc.RetryInfo", { retryDelay: submessage(1, Duration) });
export type RetryInfo = MessageOf<typeof RetryInfo>;

export const FieldViolation = message("google.rpc.BadRequest.FieldViolation", { field: string(1), description: string(2) });

export const BadRequest = message("google.rpc.BadRequest", { fieldViolations: repeated(submessage(1, FieldViolation)) });
export type BadRequest = MessageOf<typeof BadRequest>;

/** `ErrorInfo.domain` of every error of ours. */
export const ERROR_DOMAIN = "millrace";

/** Trailers are headers: a peer may refuse more than 8 KiB of them, so the message is cut here (UTF-16 units). */
export const ERROR_MESSAGE_MAX = 1024;
/** And each metadata value here. */
export const ERROR_METADATA_VALUE_MAX = 256;

/** Numbers of the gRPC status codes (https://grpc.github.io/grpc/core/md_doc_statuscodes.html). */
export const statusNumbers = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const satisfies Record<StatusName | "OK" | "UNAUTHENTICATED", number>;

export type AnyStatusName = keyof typeof statusNumbers;

const statusNames = Object.keys(statusNumbers) as AnyStatusName[];

/** @returns the name of a status number; "UNKNOWN" for numbers gRPC does not have */
export function statusNameOf(code: number): AnyStatusName {
  return statusNames[code] ?? "UNKNOWN";
}

/** The error as a `Status`: ErrorInfo always, RetryInfo when it says when to try again, BadRequest when it names a field. */
export function statusOf(error: MillraceError): Status {
  const metadata = Object.entries(error.metadata).map(([key, value]): [string, string] => [key, value.slice(0, ERROR_METADATA_VALUE_MAX)]);
  const info = ErrorInfo.encode({ reason: error.code, domain: ERROR_DOMAIN, metadata: new Map(metadata) });
  const details = [anyOf(ErrorInfo.name, info)];
  if (error.retryAfterMs !== undefined) {
    details.push(anyOf(RetryInfo.name, RetryInfo.encode({ retryDelay: durationOf(error.retryAfterMs) })));
  }
  const text = error.message.slice(0, ERROR_MESSAGE_MAX);
  const field = error.metadata["field"];
  if (error.status === "INVALID_ARGUMENT" && field !== undefined && field !== "") {
    const violation = { field: field.slice(0, ERROR_METADATA_VALUE_MAX), description: text.slice(0, ERROR_METADATA_VALUE_MAX) };
    details.push(anyOf(BadRequest.name, BadRequest.encode({ fieldViolations: [violation] })));
  }
  return { code: statusNumbers[error.status], message: text, details };
}

/** @returns the error a `Status` of ours carries; undefined when it has no ErrorInfo of ours, or a reason this version does not know */
export function errorOf(status: Status): MillraceError | undefined {
  let info: ErrorInfo | undefined;
  let retryAfterMs: number | undefined;
  try {
    for (const any of status.details) {
      if (isAny(any, ErrorInfo.name)) info = ErrorInfo.decode(any.value);
      if (isAny(any, RetryInfo.name)) retryAfterMs = millisecondsOf(RetryInfo.decode(any.value));
    }
  } catch (error) {
    if (error instanceof MillraceError) return undefined;
    throw error;
  }
  if (info === undefined || info.domain !== ERROR_DOMAIN || !isErrorCode(info.reason)) return undefined;
  // `fromEntries` makes own properties only: a key `__proto__` is a key like any other.
  const metadata: ErrorMetadata = Object.fromEntries(info.metadata);
  return new MillraceError(info.reason, status.message, metadata, retryAfterMs);
}

/** Bytes for `grpc-status-details-bin`. */
export function encodeErrorDetails(error: MillraceError): Uint8Array {
  return Status.encode(statusOf(error));
}

/** The reverse; undefined also for bytes that are no `Status`. Never throws for what a peer sent. */
export function decodeErrorDetails(details: Uint8Array): MillraceError | undefined {
  try {
    return errorOf(Status.decode(details));
  } catch (error) {
    if (error instanceof MillraceError) return undefined;
    throw error;
  }
}

function isErrorCode(reason: string): reason is ErrorCode {
  return Object.hasOwn(errors, reason);
}

function anyOf(name: string, value: Uint8Array): Any {
  return { typeUrl: `type.googleapis.com/${name}`, value };
}

/** The part after the last slash names the type; what stands before is free. */
function isAny(any: Any, name: string): boolean {
  return any.typeUrl.slice(any.typeUrl.lastIndexOf("/") + 1) === name;
}

function durationOf(ms: number): { seconds: number; nanos: number } {
  const whole = Math.max(0, Math.ceil(ms));
  const seconds = Math.floor(whole / 1000);
  return { seconds, nanos: (whole - seconds * 1000) * 1_000_000 };
}

function millisecondsOf(info: RetryInfo): number | undefined {
  const delay = info.retryDelay;
  return delay === undefined ? undefined : delay.seconds * 1000 + Math.ceil(delay.nanos / 1_000_000);
}
