/** Nobody could be listened to at `address`. `code` is the errno name ("EADDRINUSE", "EACCES", "EADDRNOTAVAIL" …). */
export class ListenError extends Error {
  override readonly name = "ListenError";
  readonly code: string;
  readonly address: string;
  constructor(code: string, address: string) {
    super(`Cannot listen on ${address}: ${reasons[code] ?? code}`);
    this.code = code;
    this.address = address;
  }
}

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: "another process uses this port (EADDRINUSE). Stop it, or choose another port.",
  EACCES: "this user may not use this port (EACCES). Choose one above 1023.",
  EADDRNOTAVAIL: "this machine does not have that address (EADDRNOTAVAIL).",
  ENOTFOUND: "the host name is unknown (ENOTFOUND).",
  EINVAL: 'an address is "host:port" (EINVAL).',
};
