/** Bytes of answers that were given to HTTP/2 and not taken by their readers yet, added up also where `part` belongs to. */
export class UnsentBytes {
  readonly #whole: UnsentBytes | undefined;
  #bytes = 0;
  #over = false;

  constructor(whole?: UnsentBytes) {
    this.#whole = whole;
  }

  get bytes(): number {
    return this.#bytes;
  }

  add(bytes: number): void {
    if (this.#over) return;
    this.#bytes += bytes;
    this.#whole?.add(bytes);
  }

  take(bytes: number): void {
    this.add(-bytes);
  }

  /** The stream of the call is gone, and what waited on it. */
  close(): void {
    this.add(-this.#bytes);
    this.#over = true;
  }
}

/** All of a server's, by connection; a connection is known while calls on it are open. */
export class UnsentByConnection {
  readonly all = new UnsentBytes();
  readonly #connections = new Map<string, { readonly unsent: UnsentBytes; calls: number }>();

  /** @param peer address of the caller: one connection */
  open(peer: string): { readonly call: UnsentBytes; readonly connection: UnsentBytes; close(): void } {
    let connection = this.#connections.get(peer);
    if (connection === undefined) {
      connection = { unsent: new UnsentBytes(this.all), calls: 0 };
      this.#connections.set(peer, connection);
    }
    const { unsent } = connection;
    const known = connection;
    known.calls++;
    const call = new UnsentBytes(unsent);
    return {
      call,
      connection: unsent,
      close: () => {
        call.close();
        known.calls--;
        if (known.calls === 0) this.#connections.delete(peer);
      },
    };
  }
}
