import { parseAddress } from "../../../base/address.ts";
import { invariant } from "../../../base/invariant.ts";
import { ListenError } from "../../../base/ports/listen-error.ts";
import type { SimProcess } from "../process.ts";
import type { SimRandom } from "../random.ts";
import type { Scheduler } from "../scheduler.ts";
import { Endpoint } from "./endpoint.ts";
import { Link } from "./link.ts";

/** A first packet nobody answered is sent again after so long. */
const SYN_AGAIN_MS = 1000;

interface Listening {
  readonly process: SimProcess;
  readonly accept: (endpoint: Endpoint) => void;
}

type DialFailure = "ECONNREFUSED" | "ECONNRESET" | "ETIMEDOUT";

/** There is no connection, and certainly nothing was sent on one. */
export class DialError extends Error {
  override readonly name = "DialError";
  readonly code: DialFailure;
  constructor(code: DialFailure, address: string) {
    super(`Cannot connect to ${address}: ${code}`);
    this.code = code;
  }
}

/** All hosts and the directed links between them. An address is "host:port"; a host that was never seen is up and quiet. */
export class SimNetwork {
  readonly scheduler: Scheduler;
  readonly #random: SimRandom;
  readonly #links = new Map<string, Link>();
  readonly #listening = new Map<string, Listening>();
  /** Hosts without power, and what waits for it. */
  readonly #down = new Map<string, (() => void)[]>();
  readonly #endpoints = new Map<string, Set<Endpoint>>();
  #connections = 0;

  constructor(scheduler: Scheduler) {
    this.scheduler = scheduler;
    this.#random = scheduler.random.fork("network");
  }

  link(from: string, to: string): Link {
    const name = `${from}>${to}`;
    let link = this.#links.get(name);
    if (link === undefined) {
      link = new Link(from, to, this.#random.fork(name));
      this.#links.set(name, link);
    }
    return link;
  }

  /** Links made so far. */
  get links(): readonly Link[] {
    return [...this.#links.values()];
  }

  /** Hosts of one group hear each other, and nobody else hears them. Hosts not named are left as they are. */
  partition(groups: readonly (readonly string[])[]): void {
    for (const [i, group] of groups.entries()) {
      for (const other of groups.slice(i + 1).flat()) {
        for (const host of group) {
          this.link(host, other).cut();
          this.link(other, host).cut();
        }
      }
    }
  }

  heal(): void {
    for (const link of this.#random.shuffled(this.links)) {
      link.heal();
      link.cloggedUntil = 0;
      link.breaksPerTenThousand = 0;
      link.lossPercent = 0;
      link.change = undefined;
      link.slowTo(0);
      link.startReading();
    }
  }

  /** Bytes sent from one host to another that the other side's kernel has not taken, of all connections. */
  unsentBytes(from: string, to: string): number {
    let sum = 0;
    for (const endpoint of this.#endpoints.get(from) ?? []) {
      if (hostOf(endpoint.remote) === to && !endpoint.isClosed) sum += endpoint.unsentBytes;
    }
    return sum;
  }

  /** When the last of what is under way now arrives; in the past or 0: nothing is. */
  get lastArrival(): number {
    let last = 0;
    for (const endpoints of this.#endpoints.values()) for (const endpoint of endpoints) last = Math.max(last, endpoint.lastArrival);
    return last;
  }

  /** Connections with another host that this one has not closed. */
  connections(host: string, other: string): number {
    let count = 0;
    for (const endpoint of this.#endpoints.get(host) ?? []) if (!endpoint.isClosed && hostOf(endpoint.remote) === other) count++;
    return count;
  }

  /** A host without power answers nothing, not even a refusal. Its connections fall silent. */
  powerOff(host: string): void {
    if (!this.#down.has(host)) this.#down.set(host, []);
    for (const endpoint of this.#endpoints.get(host) ?? []) endpoint.silence();
    this.#endpoints.delete(host);
  }

  powerOn(host: string): void {
    const waiting = this.#down.get(host) ?? [];
    this.#down.delete(host);
    for (const run of waiting) run();
  }

  #whenUp(host: string, run: () => void): void {
    const waiting = this.#down.get(host);
    if (waiting === undefined) run();
    else waiting.push(run);
  }

  /** @throws {ListenError} */
  listen(process: SimProcess, address: string, accept: (endpoint: Endpoint) => void): { close(): void } {
    if (parseAddress(address) === undefined) throw new ListenError("EINVAL", address);
    if (this.#listening.get(address)?.process.alive === true) throw new ListenError("EADDRINUSE", address);
    const listening: Listening = { process, accept };
    this.#listening.set(address, listening);
    const close = () => {
      if (this.#listening.get(address) === listening) this.#listening.delete(address);
    };
    process.atDeath(close);
    return { close };
  }

  /** @returns what `cancel`s the attempt. One of `connected` and `failed` is called, once, unless it was cancelled. */
  dial(
    process: SimProcess,
    fromHost: string,
    address: string,
    timeoutMs: number,
    connected: (endpoint: Endpoint) => void,
    failed: (error: DialError) => void,
  ): { cancel(): void } {
    const toHost = hostOf(address);
    const there = this.link(fromHost, toHost);
    const back = this.link(toHost, fromHost);
    let over = false;
    let mine: Endpoint | undefined;
    const giveUp = () => {
      over = true;
      patience.cancel();
      mine?.close("gave up connecting");
    };
    const finish = (act: () => void) => {
      if (over) return;
      over = true;
      patience.cancel();
      process.whenAwake("dialed", () => {
        process.turn();
        act();
      });
    };
    const patience = process.after(timeoutMs, `gives up ${address}`, () =>
      finish(() => {
        giveUp();
        failed(new DialError("ETIMEDOUT", address));
      }),
    );
    const answer = () => {
      const listening = this.#listening.get(address);
      if (listening === undefined || !listening.process.alive) {
        this.#travel(back, `refusal ${address}`, () => finish(() => failed(new DialError("ECONNREFUSED", address))), process);
        return;
      }
      const number = ++this.#connections;
      const dialer = this.#endpoint(process, fromHost, there, address, number);
      const accepter = this.#endpoint(listening.process, toHost, back, `${fromHost}:${1024 + (number % 64_000)}`, number);
      Endpoint.join(dialer, accepter);
      mine = dialer;
      listening.process.whenAwake(`accepts #${number}`, () => {
        listening.process.turn();
        listening.accept(accepter);
        accepter.resume();
      });
      const done = () => {
        if (dialer.isClosed) {
          failed(new DialError("ECONNRESET", address));
          return;
        }
        connected(dialer);
        dialer.resume();
      };
      this.#travel(back, `accepted #${number}`, () => finish(done), process);
    };
    const knock = () => {
      if (over || !process.alive) return;
      this.scheduler.after(there.arrival(this.scheduler.now) - this.scheduler.now, `dial ${fromHost}>${address}`, () => {
        if (over || mine !== undefined || !process.alive) return;
        if (there.isCut || this.#down.has(toHost)) process.after(SYN_AGAIN_MS, `dials ${address} again`, knock);
        else answer();
      });
    };
    knock();
    return { cancel: giveUp };
  }

  /** Breaks every connection between two hosts. */
  breakConnections(a: string, b: string): void {
    for (const endpoint of this.#endpoints.get(a) ?? []) {
      if (hostOf(endpoint.remote) === b) endpoint.break("ECONNRESET");
    }
  }

  #endpoint(process: SimProcess, host: string, link: Link, remote: string, number: number): Endpoint {
    const endpoint = new Endpoint(process, link, remote, number, (run) => this.#whenUp(host, run));
    let all = this.#endpoints.get(host);
    if (all === undefined) {
      all = new Set();
      this.#endpoints.set(host, all);
    }
    for (const old of all) if (old.isClosed) all.delete(old);
    all.add(endpoint);
    return endpoint;
  }

  /** One packet of the kernel's own. */
  #travel(link: Link, label: string, arrived: () => void, to: SimProcess): void {
    this.scheduler.after(link.arrival(this.scheduler.now) - this.scheduler.now, label, () => {
      if (!to.alive) return;
      if (link.isCut) link.whenHealed((delayMs) => to.after(delayMs, label, arrived));
      else arrived();
    });
  }
}

export function hostOf(address: string): string {
  const host = parseAddress(address)?.host;
  invariant(host !== undefined, () => `not an address: ${address}`);
  return host;
}
