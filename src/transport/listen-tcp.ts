import { createServer, type Server, type Socket } from "node:net";
import { formatAddress, parseAddress } from "../base/address.ts";
import { ListenError } from "../base/ports/listen-error.ts";

export interface TcpListener {
  readonly server: Server;
  /** As bound: a port 0 is replaced by the one the system chose. */
  readonly address: string;
}

/**
 * Listens on "host:port".
 * @param connectionsMax further connections are closed at once
 * @throws {ListenError}
 */
export function listenTcp(address: string, connectionsMax: number, accept: (socket: Socket) => void): Promise<TcpListener> {
  const place = parseAddress(address);
  if (place === undefined) return Promise.reject(new ListenError("EINVAL", address));
  const server = createServer({ noDelay: true }, accept);
  server.maxConnections = connectionsMax;
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(new ListenError(error.code ?? "UNKNOWN", address)));
    server.listen({ host: place.host, port: place.port }, () => {
      const bound = server.address();
      const port = typeof bound === "object" && bound !== null ? bound.port : place.port;
      server.removeAllListeners("error");
      // Errors of accept(2), such as EMFILE: the listener lives on, the connection is not made.
      server.on("error", () => {});
      resolve({ server, address: formatAddress({ host: place.host, port }) });
    });
  });
}
