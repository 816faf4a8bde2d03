import { UNSENT_BYTES_HIGH, UNSENT_BYTES_LOW } from "../../../base/ports/transport.ts";
import type { SimProcess } from "../process.ts";
import { noteFrame } from "../rpc/frames.ts";
import type { Link } from "./link.ts";
import { arrived, type WireMessage } from "./wire.ts";

/** Received and not yet read bytes at which the other side's kernel stops taking more. */
const RECEIVE_BYTES_MAX = 256 * 1024;

export interface EndpointHandlers {
  message(message: WireMessage): void;
  drain(): void;
  closed(reason: string): void;
}

/** What left in one turn arrives in one piece. */
interface Segment {
  readonly messages: WireMessage[];
  /** The sender closed after these. */
  last: boolean;
  readonly turn: number;
}

/**
 * One side of an ordered connection between two processes. `link` leads from here to `peer`. A cut link holds what is under way until it
 * heals; a connection that breaks loses it.
 */
export class Endpoint {
  handlers: EndpointHandlers = { message() {}, drain() {}, closed() {} };
  readonly process: SimProcess;
  readonly remote: string;
  readonly #link: Link;
  readonly #number: number;
  /** Of each segment that arrives, in the trace. */
  readonly #label: string;
  /** Runs at once when this side's machine has power, otherwise when it has again. */
  readonly #whenUp: (run: () => void) => void;
  #peer: Endpoint | undefined;
  /** Sent and not yet arrived, oldest first: first those under way, then those the other side has no room for. */
  readonly #outbox: Segment[] = [];
  #underWay = 0;
  #lastArrival = 0;
  #unsentBytes = 0;
  #wasHigh = false;
  #inbox: (WireMessage | "end")[] = [];
  #inboxBytes = 0;
  /** From the start: nothing is read before the user has set its handlers. */
  #paused = true;
  #delivering = false;
  /** Its process is paused, and will look when it goes on. */
  #asleep = false;
  #closed: string | undefined;
  readonly #heardKinds: string[] = [];

  constructor(process: SimProcess, link: Link, remote: string, number: number, whenUp: (run: () => void) => void) {
    this.process = process;
    this.remote = remote;
    this.#whenUp = whenUp;
    this.#link = link;
    this.#number = number;
    this.#label = `#${number} ${link.from}>${link.to}`;
  }

  static join(a: Endpoint, b: Endpoint): void {
    a.#peer = b;
    b.#peer = a;
    // The kernel hangs up for a dead process; after a power cut nobody does (`Machine.powerCut` silences the endpoints first).
    a.process.atDeath(() => a.close("process died"));
    b.process.atDeath(() => b.close("process died"));
  }

  get unsentBytes(): number {
    return this.#unsentBytes;
  }

  /** When the last of what is under way from here arrives; 0: nothing is. */
  get lastArrival(): number {
    return this.#closed === undefined && this.#underWay > 0 ? this.#lastArrival : 0;
  }

  get isClosed(): boolean {
    return this.#closed !== undefined;
  }

  send(message: WireMessage): void {
    if (this.#closed !== undefined) return;
    this.#link.watch?.(message, this.#number);
    this.#unsentBytes += message.bytes;
    if (this.#unsentBytes > UNSENT_BYTES_HIGH) this.#wasHigh = true;
    this.#newestSegment().messages.push(message);
    this.#push();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    // What comes from now on is delivered as it comes.
    if (this.#inbox.length > 0) this.process.soon(`resumes #${this.#number}`, () => this.#deliver());
  }

  close(reason: string): void {
    if (this.#closed !== undefined) return;
    this.#newestSegment().last = true;
    this.#push();
    this.#end(reason);
  }

  /** The connection is gone, and each side learns it when the news gets there. */
  break(reason: string): void {
    this.#learnBreak(reason);
    if (this.#peer !== undefined) this.#peer.#learnBreak(reason);
  }

  /** The machine lost power: nothing more is said or done here, and nobody is told. */
  silence(): void {
    this.#closed ??= "power lost";
    this.#outbox.length = 0;
    this.#underWay = 0;
  }

  #learnBreak(reason: string): void {
    if (this.#closed !== undefined || !this.process.alive) return;
    this.process.after(this.#link.arrival(this.#now) - this.#now, `loses #${this.#number}`, () => {
      this.#outbox.length = 0;
      this.#underWay = 0;
      this.#inbox = [];
      this.#end(reason);
    });
  }

  #newestSegment(): Segment {
    const newest = this.#outbox.at(-1);
    const turn = this.process.scheduler.ran;
    if (newest !== undefined && newest.turn === turn && !newest.last) return newest;
    const segment: Segment = { messages: [], last: false, turn };
    this.#outbox.push(segment);
    return segment;
  }

  /** Puts segments under way while the other side has room. */
  #push(): void {
    const peer = this.#peer;
    while (peer !== undefined && this.#underWay < this.#outbox.length && peer.#inboxBytes < RECEIVE_BYTES_MAX) {
      this.#underWay++;
      this.#lastArrival = Math.max(this.#lastArrival, this.#link.arrival(this.#now));
      this.#arriveAt(this.#lastArrival);
    }
  }

  #arriveAt(time: number): void {
    // Not this process' event: what left the machine arrives even when its sender died since.
    this.process.scheduler.after(time - this.#now, this.#label, this.#arrives);
  }

  // Made once: there are thousands of arrivals a second.
  readonly #arrives = (): void => {
    if (!this.#link.isCut) return this.#arrive();
    this.#link.whenHealed((delayMs) => {
      this.#lastArrival = Math.max(this.#lastArrival, this.#now + delayMs);
      this.#arriveAt(this.#lastArrival);
    });
  };
  readonly #delivers = (): void => this.#deliver();

  #arrive(): void {
    if (this.#underWay === 0) return;
    if (this.#link.breaksNow()) {
      this.break("ECONNRESET");
      return;
    }
    const segment = this.#outbox.shift();
    this.#underWay--;
    if (segment === undefined) return;
    if (this.#peer !== undefined) this.#peer.#receive(segment, this);
    for (const message of segment.messages) this.#unsentBytes -= message.bytes;
    this.#push();
    this.#maybeDrain();
  }

  #maybeDrain(): void {
    if (!this.#wasHigh || this.#unsentBytes >= UNSENT_BYTES_LOW) return;
    this.#wasHigh = false;
    this.process.soon(`drained #${this.#number}`, () => {
      if (this.#closed === undefined) this.handlers.drain();
    });
  }

  #receive(segment: Segment, from: Endpoint): void {
    if (this.#closed !== undefined) {
      // A kernel that knows no such connection says so, as soon as there is one.
      if (segment.messages.length > 0) this.#refuse(from);
      return;
    }
    const trace = this.process.scheduler.trace;
    for (const message of segment.messages) {
      if (message.type === "peer") trace.noteBytes(this.#now, this.#gets(message.kind), message.chunks);
      else noteFrame(message.frame, trace, this.#now, this.process.name);
      this.#inboxBytes += message.bytes;
      this.#inbox.push(this.#changed(arrived(message), from.#link));
    }
    if (segment.last) this.#inbox.push("end");
    this.#deliver();
  }

  /** One text for each kind, made once: a simulation hears thousands of messages a second. */
  #gets(kind: number): string {
    let text = this.#heardKinds[kind];
    if (text === undefined) {
      text = `${this.process.name} gets ${kind}`;
      this.#heardKinds[kind] = text;
    }
    return text;
  }

  #changed(message: WireMessage, link: Link): WireMessage {
    const body = message.type === "peer" ? message.chunks[0] : undefined;
    if (link.change === undefined || message.type !== "peer" || body === undefined) return message;
    const kind = link.change(message.kind, body);
    if (kind === undefined) return message;
    const trace = this.process.scheduler.trace;
    trace.note(this.#now, `changed on its way to ${this.process.name}: ${kind}: ${trace.bytes([body])}`);
    return { ...message, kind };
  }

  #wake(): void {
    this.#asleep = false;
    this.#deliver();
  }

  #refuse(from: Endpoint): void {
    this.#whenUp(() => {
      if (this.#link.isCut) this.#link.whenHealed(() => from.#learnBreak("ECONNRESET"));
      else from.#learnBreak("ECONNRESET");
    });
  }

  #deliver(): void {
    if (this.#delivering) return;
    if (this.process.paused) {
      if (!this.#asleep) this.process.hold({ label: `goes on with #${this.#number}`, run: () => this.#wake() });
      this.#asleep = true;
      return;
    }
    const peer = this.#peer;
    if (this.#inbox.length > 0 && peer !== undefined && !peer.#link.isRead(this.#delivers)) return;
    this.#delivering = true;
    while (!this.#paused && this.#closed === undefined && this.process.alive) {
      const message = this.#inbox.shift();
      if (message === undefined) break;
      if (message === "end") this.#end("closed by the other side");
      else {
        this.#inboxBytes -= message.bytes;
        this.process.turn();
        this.handlers.message(message);
      }
    }
    this.#delivering = false;
    if (peer !== undefined) peer.#push();
  }

  /** `closed` follows once, from a turn of its own. */
  #end(reason: string): void {
    if (this.#closed !== undefined) return;
    this.#closed = reason;
    if (this.process.alive) this.process.soon(`closed #${this.#number}`, () => this.handlers.closed(reason));
  }

  get #now(): number {
    return this.process.scheduler.now;
  }
}
