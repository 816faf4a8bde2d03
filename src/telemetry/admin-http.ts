import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { formatAddress, parseAddress } from "../base/address.ts";
import { ListenError } from "../base/ports/listen-error.ts";
import type { Probes } from "./probes.ts";

export interface AdminHttpOptions extends Probes {
  readonly metrics: { text(): Promise<string>; readonly contentType: string };
  /** Further pages by path, for `millrace debug bundle`: no record data, no secrets. */
  readonly pages?: ReadonlyMap<string, () => string>;
  /** What a POST to a path begins; the answer is what is to be known of it by then. */
  readonly actions?: ReadonlyMap<string, () => string>;
  /** What a POST of JSON to a path asks for; it never rejects. */
  readonly calls?: ReadonlyMap<string, (body: string) => Promise<AdminAnswer>>;
}

export interface AdminAnswer {
  readonly status: number;
  readonly text: string;
}

export interface AdminHttp {
  /** @returns the bound "host:port" @throws {ListenError} */
  listen(address: string): Promise<string>;
  close(): Promise<void>;
}

const CONNECTIONS_MAX = 64;
const REQUEST_TIMEOUT_MS = 10_000;
const HEADER_BYTES_MAX = 8 * 1024;
/** Of what a call is sent. */
const BODY_BYTES_MAX = 64 * 1024;

/** `/livez`, `/readyz`, `/startz` and `/metrics` for probes and scrapers, the pages it was given, and what a POST begins: nothing else. */
export function createAdminHttp(options: AdminHttpOptions): AdminHttp {
  const server = createServer(
    {
      maxHeaderSize: HEADER_BYTES_MAX,
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: REQUEST_TIMEOUT_MS,
    },
    answerer(options),
  );
  server.maxConnections = CONNECTIONS_MAX;
  return {
    listen: (address) => listen(server, address),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function answerer({
  live,
  ready,
  started,
  metrics,
  pages,
  actions,
  calls,
}: AdminHttpOptions): (request: IncomingMessage, response: ServerResponse) => void {
  const probes = new Map([
    ["/livez", live],
    ["/readyz", ready],
    ["/startz", started],
  ]);
  // Scrapes at the same time share one text: making it is the expensive part.
  let scrape: Promise<string> | undefined;
  const sendMetrics = (response: ServerResponse): void => {
    scrape ??= metrics.text().finally(() => {
      scrape = undefined;
    });
    scrape.then(
      (text) => send(response, 200, text, metrics.contentType),
      () => send(response, 500, "metrics are not available\n"),
    );
  };
  return (request, response) => {
    // A page in somebody's browser names where it is from with every POST; nobody who is meant to call does.
    if (request.method === "POST" && request.headers.origin !== undefined) {
      request.resume();
      send(response, 403, "not from a web page\n");
      return;
    }
    const call = request.method === "POST" ? calls?.get((request.url ?? "").split("?")[0] ?? "") : undefined;
    if (call !== undefined) {
      answerCall(request, response, call);
      return;
    }
    // Bodies are of no interest; reading them on would only cost.
    request.resume();
    const [path] = (request.url ?? "").split("?");
    const action = request.method === "POST" ? actions?.get(path ?? "") : undefined;
    if (action !== undefined) {
      send(response, 202, action());
      return;
    }
    if (request.method !== "GET" && request.method !== "HEAD") {
      send(response, 405, "only GET and HEAD\n");
      return;
    }
    if (path === "/metrics") {
      sendMetrics(response);
      return;
    }
    const page = pages?.get(path ?? "");
    if (page !== undefined) {
      send(response, 200, page());
      return;
    }
    const probe = probes.get(path ?? "");
    if (probe === undefined) {
      send(response, 404, "see /livez, /readyz, /startz, /metrics\n");
      return;
    }
    const { ok, detail } = probe();
    send(response, ok ? 200 : 503, `${detail}\n`);
  };
}

/** Only JSON, and said to be: a page in somebody's browser cannot send that to another address unasked. */
function answerCall(request: IncomingMessage, response: ServerResponse, call: (body: string) => Promise<AdminAnswer>): void {
  if (request.headers["content-type"] !== "application/json") {
    request.resume();
    send(response, 415, "send application/json\n");
    return;
  }
  const pieces: Buffer[] = [];
  let bytes = 0;
  request.on("data", (piece: Buffer) => {
    bytes += piece.byteLength;
    if (bytes <= BODY_BYTES_MAX) pieces.push(piece);
  });
  request.on("end", () => {
    if (bytes > BODY_BYTES_MAX) send(response, 413, `at most ${BODY_BYTES_MAX} bytes\n`);
    else void call(Buffer.concat(pieces).toString("utf8")).then(({ status, text }) => send(response, status, text, "application/json"));
  });
}

function send(response: ServerResponse, status: number, text: string, contentType = "text/plain; charset=utf-8"): void {
  response.writeHead(status, { "content-type": contentType, "cache-control": "no-store", "x-content-type-options": "nosniff" });
  response.end(response.req.method === "HEAD" ? undefined : text);
}

function listen(server: Server, address: string): Promise<string> {
  const place = parseAddress(address);
  if (place === undefined) return Promise.reject(new ListenError("EINVAL", address));
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(new ListenError(error.code ?? "UNKNOWN", address)));
    server.listen({ host: place.host, port: place.port }, () => {
      server.removeAllListeners("error");
      server.on("error", () => {});
      const bound = server.address();
      resolve(formatAddress({ host: place.host, port: typeof bound === "object" && bound !== null ? bound.port : place.port }));
    });
  });
}
