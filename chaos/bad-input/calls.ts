import { type ClientHttp2Session, type ClientHttp2Stream, connect, type IncomingHttpHeaders, type OutgoingHttpHeaders } from "node:http2";
import { decodeErrorDetails } from "../../src/protocol/rpc-status.ts";
import { message } from "./http2-frames.ts";

export interface RawAnswer {
  readonly httpStatus: number;
  /** gRPC status number; undefined when the stream ended without one. */
  readonly status: number | undefined;
  readonly text: string;
  /** `ErrorInfo.reason` of ours. */
  readonly code: string | undefined;
  readonly metadata: Readonly<Record<string, string>>;
  /** Of the first message, without its frame. */
  readonly body: Buffer;
  readonly resetCode: number | undefined;
}

/** HTTP/2 without a gRPC library: what is sent is what a case says. */
export class RawCalls {
  readonly session: ClientHttp2Session;

  constructor(address: string) {
    this.session = connect(`http://${address}`);
    this.session.on("error", () => {});
  }

  open(headers: OutgoingHttpHeaders): ClientHttp2Stream {
    const stream = this.session.request({ ":method": "POST", "content-type": "application/grpc", te: "trailers", ...headers });
    stream.on("error", () => {});
    return stream;
  }

  /** One call of one message to its end. */
  unary(path: string, request: Uint8Array, headers: OutgoingHttpHeaders = {}): Promise<RawAnswer> {
    return this.raw({ ":path": path, ...headers }, message(request));
  }

  /** One call whose body is `bytes` as they are. */
  raw(headers: OutgoingHttpHeaders, bytes: Uint8Array): Promise<RawAnswer> {
    const stream = this.open(headers);
    const answer = answerOf(stream);
    stream.end(bytes);
    return answer;
  }

  close(): void {
    this.session.destroy();
  }
}

/** How long a case waits for one answer. */
const ANSWER_MS = 10_000;

export function answerOf(stream: ClientHttp2Stream): Promise<RawAnswer> {
  let head: IncomingHttpHeaders = {};
  let trailers: IncomingHttpHeaders = {};
  const chunks: Buffer[] = [];
  stream.on("response", (headers) => {
    head = headers;
  });
  stream.on("trailers", (headers) => {
    trailers = headers;
  });
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      stream.close(8);
      reject(new Error(`no answer within ${ANSWER_MS} ms`));
    }, ANSWER_MS);
    stream.once("close", () => {
      clearTimeout(timer);
      const from = trailers["grpc-status"] === undefined ? head : trailers;
      const status = from["grpc-status"];
      const details = from["grpc-status-details-bin"];
      const error = typeof details === "string" ? decodeErrorDetails(Buffer.from(details, "base64")) : undefined;
      resolve({
        httpStatus: Number(head[":status"] ?? 0),
        status: status === undefined ? undefined : Number(status),
        text: decodeURIComponent(String(from["grpc-message"] ?? "")),
        code: error?.code,
        metadata: error?.metadata ?? {},
        body: Buffer.concat(chunks).subarray(5),
        resetCode: stream.rstCode,
      });
    });
  });
}
