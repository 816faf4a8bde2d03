import { connect, type Socket } from "node:net";
import { formatAddress, parseAddress } from "../base/address.ts";
import type { Connection, Listener, Transport } from "../base/ports/transport.ts";
import { listenTcp } from "./listen-tcp.ts";
import { TcpConnection } from "./tcp-connection.ts";

export interface TcpTransportOptions {
  /** Accepted connections at the same time; further ones are closed at once. Default 1,024. */
  readonly connectionsMax?: number;
}

/** Broker pairs over TCP. */
export function createTcpTransport(options: TcpTransportOptions = {}): Transport {
  return {
    listen: (address, accept) => listen(address, options.connectionsMax ?? 1024, accept),
    dial,
  };
}

async function listen(address: string, connectionsMax: number, accept: (connection: Connection) => void): Promise<Listener> {
  const open = new Set<Socket>();
  const { server, address: bound } = await listenTcp(address, connectionsMax, (socket) => {
    open.add(socket);
    socket.once("close", () => open.delete(socket));
    accept(new TcpConnection(socket, remoteOf(socket)));
  });
  return {
    address: bound,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of open) socket.destroy();
      }),
  };
}

function remoteOf(socket: Socket): string {
  return socket.remoteAddress === undefined ? "unknown" : formatAddress({ host: socket.remoteAddress, port: socket.remotePort ?? 0 });
}

function dial(address: string, timeoutMs: number): Promise<Connection> {
  const place = parseAddress(address);
  if (place === undefined) return Promise.reject(dialError("EINVAL", address, 'an address is "host:port"'));
  return new Promise((resolve, reject) => {
    const socket = connect({ host: place.host, port: place.port, noDelay: true });
    const timer = setTimeout(() => {
      socket.destroy();
      reject(dialError("ETIMEDOUT", address, `no answer within ${timeoutMs} ms`));
    }, timeoutMs);
    socket.once("error", (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      reject(dialError(error.code ?? "UNKNOWN", address, error.code ?? error.message));
    });
    socket.once("connect", () => {
      clearTimeout(timer);
      socket.removeAllListeners("error");
      resolve(new TcpConnection(socket, address));
    });
  });
}

function dialError(code: string, address: string, why: string): Error {
  return Object.assign(new Error(`Cannot connect to ${address}: ${why}`), { code });
}
