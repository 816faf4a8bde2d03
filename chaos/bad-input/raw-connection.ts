import { connect, type Socket } from "node:net";
import { FrameKind, frame, PREFACE, settings } from "./http2-frames.ts";

const MARK = Buffer.from("the-mark", "latin1");

export interface SeenFrame {
  readonly kind: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** One TCP connection to a broker, over which frames go by hand. Everything the broker sends is remembered by kind. */
export class RawConnection {
  readonly socket: Socket;
  readonly frames: SeenFrame[] = [];
  closed = false;
  /** The ping of `mark` was answered: what was sent before it was looked at. */
  marked = false;
  #rest: Buffer = Buffer.alloc(0);

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("error", () => {});
    socket.on("close", () => {
      this.closed = true;
    });
    socket.on("data", (bytes: Buffer) => this.#received(bytes));
  }

  static async open(address: string): Promise<RawConnection> {
    const [host = "", port = ""] = address.split(":");
    const socket = connect(Number(port), host);
    socket.setNoDelay(true);
    const connection = new RawConnection(socket);
    await new Promise<void>((resolve) => {
      socket.once("connect", () => resolve());
      socket.once("close", () => resolve());
    });
    return connection;
  }

  /** With preface and settings sent, as HTTP/2 begins. */
  static async http2(address: string, ...own: readonly (readonly [id: number, value: number])[]): Promise<RawConnection> {
    const connection = await RawConnection.open(address);
    connection.send(PREFACE, settings(...own));
    return connection;
  }

  send(...pieces: readonly Uint8Array[]): void {
    if (!this.closed) this.socket.write(Buffer.concat(pieces));
  }

  /** As `send`, and waits until the kernel took it: a flood must not fill our own memory. */
  async push(bytes: Uint8Array): Promise<boolean> {
    if (this.closed) return false;
    if (this.socket.write(bytes)) return true;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.socket.off("drain", done);
        this.socket.off("close", done);
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(done, 500);
      this.socket.once("drain", done);
      this.socket.once("close", done);
    });
    return !this.closed && this.socket.writableLength < 4 * 1024 * 1024;
  }

  /** The broker ended the connection, or said that it will. */
  get refused(): boolean {
    return this.closed || this.seen(FrameKind.goAway) !== undefined;
  }

  mark(): void {
    this.send(frame(FrameKind.ping, 0, 0, MARK));
  }

  seen(kind: number, stream?: number): SeenFrame | undefined {
    return this.frames.find((frame) => frame.kind === kind && (stream === undefined || frame.stream === stream));
  }

  async until(met: () => boolean, ms: number): Promise<boolean> {
    const deadline = performance.now() + ms;
    while (!met()) {
      if (performance.now() > deadline) return false;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return true;
  }

  close(): void {
    this.socket.destroy();
  }

  #received(bytes: Buffer): void {
    let rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    while (rest.length >= 9) {
      const length = rest.readUIntBE(0, 3);
      if (rest.length < 9 + length) break;
      const kind = rest.readUInt8(3);
      if (kind === FrameKind.ping && rest.subarray(9, 9 + length).equals(MARK)) this.marked = true;
      // Pings and settings are answered by the thousand: one of each is enough to remember.
      if (this.frames.length < 10_000)
        this.frames.push({
          kind,
          flags: rest.readUInt8(4),
          stream: rest.readUInt32BE(5),
          payload: Buffer.from(rest.subarray(9, 9 + length)),
        });
      rest = rest.subarray(9 + length);
    }
    this.#rest = Buffer.from(rest);
  }
}

/** A connection that sends `bytes` and is over when the broker closes it. */
export async function sendRaw(address: string, bytes: Uint8Array): Promise<void> {
  const connection = await RawConnection.open(address);
  connection.send(bytes);
  if (!connection.closed) await new Promise<void>((resolve) => connection.socket.once("close", () => resolve()));
}
