import { type ClientHttp2Session, type ClientHttp2Stream, connect, type IncomingHttpHeaders, type OutgoingHttpHeaders } from "node:http2";
import type { MillraceError } from "../../src/base/errors.ts";
import { decodeErrorDetails } from "../../src/protocol/rpc-status.ts";
import { framed } from "./http2-frames.ts";

export interface RawAnswer {
  readonly httpStatus: number;
  /** gRPC status number; undefined when the stream ended without one. */
  readonly status: number | undefined;
  readonly text: string;
  /** What our details say; undefined: the answer has none. */
  readonly error: MillraceError | undefined;
  /** Its code. */
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
    return this.call({ ":path": path, ...headers }, framed(request));
  }

  /** One call whose body is `bytes` as they are. */
  call(headers: OutgoingHttpHeaders, bytes: Uint8Array): Promise<RawAnswer> {
    const stream = this.open(headers);
    const answer = answerOf(stream);
    stream.end(bytes);
    return answer;
  }

  /** When it is answered, the other side has seen everything sent before. */
  async ping(): Promise<void> {
    if (this.session.connecting) await new Promise<void>((resolve) => this.session.once("connect", () => resolve()));
    return new Promise<void>((resolve, reject) => this.session.ping((error) => (error === null ? resolve() : reject(error))));
  }

  close(): void {
    this.session.destroy();
  }
}

/** Unlike `once`, an error does not matter: `close` follows it. */
export function closed(stream: ClientHttp2Stream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed) resolve();
    else stream.once("close", () => resolve());
  });
}

/** How long one answer is waited for. */
const ANSWER_MS = 30_000;

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
    void closed(stream).then(() => {
      clearTimeout(timer);
      const from = trailers["grpc-status"] === undefined ? head : trailers;
      const status = from["grpc-status"];
      const details = from["grpc-status-details-bin"];
      const error = typeof details === "string" ? decodeErrorDetails(Buffer.from(details, "base64")) : undefined;
      resolve({
        httpStatus: Number(head[":status"] ?? 0),
        status: status === undefined ? undefined : Number(status),
        text: decodeURIComponent(String(from["grpc-message"] ?? "")),
        error,
        code: error?.code,
        metadata: error?.metadata ?? {},
        body: Buffer.concat(chunks).subarray(5),
        resetCode: stream.rstCode,
      });
    });
  });
}
