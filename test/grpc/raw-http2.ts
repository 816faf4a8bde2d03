import { type ClientHttp2Session, type ClientHttp2Stream, connect, type IncomingHttpHeaders, type OutgoingHttpHeaders } from "node:http2";
import { connect as connectTcp, type Socket } from "node:net";
import type { MillraceError } from "../../src/base/errors.ts";
import { decodeErrorDetails } from "../../src/protocol/rpc-status.ts";

/** A gRPC message as it goes over the wire: flag, u32 big-endian length, bytes. */
export function framed(bytes: Uint8Array, flag = 0): Buffer {
  const header = Buffer.alloc(5);
  header.writeUInt8(flag, 0);
  header.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([header, bytes]);
}

export interface RawAnswer {
  readonly httpStatus: number;
  /** From the trailers, or from the headers of an answer without a body. */
  readonly grpcStatus: number | undefined;
  readonly grpcMessage: string;
  /** What its details say; undefined: there are none of ours. */
  readonly error: MillraceError | undefined;
  readonly body: Buffer;
}

/** HTTP/2 without a gRPC library, to send what no library sends. */
export class RawHttp2 {
  readonly session: ClientHttp2Session;

  constructor(address: string) {
    this.session = connect(`http://${address}`);
    this.session.on("error", () => {});
  }

  request(headers: OutgoingHttpHeaders): ClientHttp2Stream {
    const stream = this.session.request({ ":method": "POST", "content-type": "application/grpc", te: "trailers", ...headers });
    stream.on("error", () => {});
    return stream;
  }

  /** One call to its end. */
  async call(headers: OutgoingHttpHeaders, body: Uint8Array): Promise<RawAnswer> {
    const stream = this.request(headers);
    stream.end(body);
    return answerOf(stream);
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

export async function answerOf(stream: ClientHttp2Stream): Promise<RawAnswer> {
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
  await closed(stream);
  const status = trailers["grpc-status"] ?? head["grpc-status"];
  const details = trailers["grpc-status-details-bin"] ?? head["grpc-status-details-bin"];
  return {
    httpStatus: Number(head[":status"]),
    grpcStatus: status === undefined ? undefined : Number(status),
    grpcMessage: decodeURI(String(trailers["grpc-message"] ?? head["grpc-message"] ?? "")),
    error: details === undefined ? undefined : decodeErrorDetails(Buffer.from(String(details), "base64")),
    body: Buffer.concat(chunks),
  };
}

/** Unlike `once`, an error does not matter: `close` follows it. */
export function closed(stream: ClientHttp2Stream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed) resolve();
    else stream.once("close", () => resolve());
  });
}

/** A TCP connection that sends `bytes` and is over when the other side closes it. */
export async function sendRaw(address: string, bytes: Uint8Array): Promise<Buffer> {
  const [host = "", port = ""] = address.split(":");
  const socket: Socket = connectTcp(Number(port), host);
  const received: Buffer[] = [];
  socket.on("error", () => {});
  socket.on("data", (chunk) => received.push(chunk));
  socket.write(bytes);
  await new Promise<void>((resolve) => socket.once("close", () => resolve()));
  return Buffer.concat(received);
}
