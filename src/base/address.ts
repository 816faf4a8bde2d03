/** A checked "host:port". */
export interface HostPort {
  /** Name or address; an IPv6 address stands without its brackets. */
  readonly host: string;
  /** 0–65535; 0 lets the system choose (only where one listens). */
  readonly port: number;
}

const namePattern = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$/;
const ipv6Pattern = /^[0-9A-Fa-f:.]{2,45}(?:%[A-Za-z0-9]+)?$/;

/**
 * Reads "host:port"; an IPv6 host is written in brackets: "[::1]:7400".
 * @returns undefined when the text is not an address
 */
export function parseAddress(text: string): HostPort | undefined {
  const colon = text.lastIndexOf(":");
  if (colon <= 0) return undefined;
  const port = parsePort(text.slice(colon + 1));
  if (port === undefined) return undefined;
  const host = text.slice(0, colon);
  if (host.startsWith("[") && host.endsWith("]")) {
    const inner = host.slice(1, -1);
    return inner.includes(":") && ipv6Pattern.test(inner) ? { host: inner, port } : undefined;
  }
  return namePattern.test(host) ? { host, port } : undefined;
}

function parsePort(text: string): number | undefined {
  if (!/^\d{1,5}$/.test(text)) return undefined;
  const port = Number(text);
  return port <= 65_535 ? port : undefined;
}

/** The inverse of `parseAddress`. */
export function formatAddress({ host, port }: HostPort): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Only this machine can reach it: 127.0.0.0/8, ::1 or the name localhost. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(?:\.\d{1,3}){3}$/.test(host);
}
