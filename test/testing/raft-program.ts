import type { GroupId, LogIndex, ReplicaId, Term } from "../../src/base/ids.ts";
import type { DiskFile } from "../../src/base/ports/disk.ts";
import type { Connection } from "../../src/base/ports/transport.ts";
import { createRaft } from "../../src/raft/raft.ts";
import type { Entry, Message, RaftCore, RaftRecovered, RaftWrite } from "../../src/raft/types.ts";
import { FrameType } from "../../src/records/frame-types.ts";
import type { MachinePorts } from "../../src/testing/sim/machine.ts";

/** What a proposal carries: a word. */
type Payload = string | undefined;

interface Stored {
  readonly state?: { readonly term: number; readonly votedFor: number | undefined };
  readonly truncateFrom?: number;
  readonly entries: readonly Entry<Payload>[];
}

/**
 * The smallest program around the real Raft core: one group, a log of JSON blocks in one file, one message per line. It lets the
 * simulator attack the core before, and apart from, the broker.
 */
export class RaftProgram {
  readonly #ports: MachinePorts;
  readonly #self: number;
  readonly #peers: readonly number[];
  readonly #connections = new Map<number, Connection>();
  readonly #queue: { readonly bytes: Uint8Array; readonly seq: number }[] = [];
  readonly entries: Entry<Payload>[] = [];
  #core: RaftCore<Payload> | undefined;
  #file: DiskFile | undefined;
  #position = 0;
  #writing = false;
  #wakeAt = Number.POSITIVE_INFINITY;

  constructor(ports: MachinePorts, self: number, peers: readonly number[]) {
    this.#ports = ports;
    this.#self = self;
    this.#peers = peers;
  }

  get core(): RaftCore<Payload> | undefined {
    return this.#core;
  }

  async start(): Promise<void> {
    const { clock, random, transport } = this.#ports;
    const recovered = await this.#recover();
    const id = (n: number) => n as ReplicaId;
    this.#core = createRaft<Payload>(
      {
        group: 1 as GroupId,
        self: id(this.#self),
        configuration: { voters: [1, 2, 3].map(id), learners: [] },
        heartbeatMs: 100,
        electionMinMs: 500,
        electionMaxMs: 1000,
        inflightMessagesMax: 8,
        inflightBytesMax: 10_000,
        appendBytesMax: 300,
        uncommittedBytesMax: 100_000,
        entryBytesMax: 1_000,
        draw: () => random.below(1 << 20) / (1 << 20),
      },
      recovered,
      clock.monotonic(),
    );
    await transport.listen(`r${this.#self}:1`, (connection) => this.#serve(connection));
    this.#perform();
  }

  propose(word: string): boolean {
    const core = this.#core;
    if (core?.role !== "leader") return false;
    const result = core.propose([{ type: FrameType.data, bytes: 100, payload: word }], core.term);
    this.#perform();
    return result.kind === "accepted";
  }

  transfer(to: number): void {
    this.#core?.transfer(to as ReplicaId, this.#ports.clock.monotonic());
    this.#perform();
  }

  async #recover(): Promise<RaftRecovered> {
    const { disk } = this.#ports;
    const known = (await disk.list("")).some(({ name }) => name === "log");
    this.#file = await disk.open("log", { mode: known ? "write" : "create", durable: true });
    await disk.syncDirectory("");
    const bytes = new Uint8Array(await this.#file.size());
    await this.#file.read(0, bytes);
    let state = { term: 0, votedFor: undefined as number | undefined };
    for (const block of blocks(bytes)) {
      state = { ...state, ...block.stored.state };
      if (block.stored.truncateFrom !== undefined) this.entries.length = block.stored.truncateFrom - 1;
      this.entries.push(...block.stored.entries);
      this.#position = block.end;
    }
    // What was recovered may lie in the page cache only.
    await this.#file.truncate(this.#position);
    await this.#file.sync();
    const terms: { term: Term; firstIndex: LogIndex }[] = [];
    for (const { term, index } of this.entries) if (terms.at(-1)?.term !== term) terms.push({ term, firstIndex: index });
    return {
      term: state.term as Term,
      votedFor: state.votedFor as ReplicaId | undefined,
      start: { index: 0 as LogIndex, term: 0 as Term },
      terms,
      lastIndex: this.entries.length as LogIndex,
      commit: 0 as LogIndex,
      quarantined: false,
    };
  }

  #perform(): void {
    const core = this.#core;
    if (core === undefined) return;
    for (let ready = core.drain(); ready !== undefined; ready = core.drain()) {
      if (ready.write !== undefined) this.#write(ready.write);
      for (const { to, message, range } of ready.send) {
        const entries = range === undefined ? [] : this.entries.slice(range.first - 1, range.last);
        this.#send(to, message.kind === "append" ? { ...message, entries } : message);
      }
    }
    if (core.nextDeadline === this.#wakeAt || core.nextDeadline === Number.POSITIVE_INFINITY) return;
    this.#wakeAt = core.nextDeadline;
    this.#ports.clock.after(Math.max(0, core.nextDeadline - this.#ports.clock.monotonic()), () => {
      this.#wakeAt = Number.POSITIVE_INFINITY;
      core.tick(this.#ports.clock.monotonic());
      this.#perform();
    });
  }

  #write(write: RaftWrite<Payload>): void {
    if (write.truncateFrom !== undefined) this.entries.length = write.truncateFrom - 1;
    this.entries.push(...write.entries);
    const stored: Stored = {
      entries: write.entries,
      ...(write.state === undefined ? {} : { state: write.state }),
      ...(write.truncateFrom === undefined ? {} : { truncateFrom: write.truncateFrom }),
    };
    this.#queue.push({ bytes: blockOf(stored), seq: write.seq });
    void this.#flush();
  }

  async #flush(): Promise<void> {
    if (this.#writing || this.#file === undefined) return;
    this.#writing = true;
    while (this.#queue.length > 0) {
      const batch = this.#queue.splice(0);
      await this.#file.write(
        this.#position,
        batch.map(({ bytes }) => bytes),
      );
      for (const { bytes } of batch) this.#position += bytes.length;
      this.#core?.ioDone(batch.at(-1)?.seq ?? 0, this.#ports.clock.monotonic());
      this.#writing = false;
      this.#perform();
      this.#writing = true;
    }
    this.#writing = false;
  }

  #serve(connection: Connection): void {
    connection.handlers = {
      message: (from, body) => {
        this.#core?.step(from as ReplicaId, JSON.parse(new TextDecoder().decode(body)) as Message<Payload>, this.#ports.clock.monotonic());
        this.#perform();
      },
      drain() {},
      closed() {},
    };
  }

  #send(to: number, message: Message<Payload>): void {
    const connection = this.#connections.get(to);
    if (connection === undefined) void this.#dial(to);
    else connection.send(this.#self, [new TextEncoder().encode(JSON.stringify(message))]);
  }

  readonly #dialing = new Set<number>();

  async #dial(to: number): Promise<void> {
    if (this.#dialing.has(to) || !this.#peers.includes(to)) return;
    this.#dialing.add(to);
    try {
      const connection = await this.#ports.transport.dial(`r${to}:1`, 500);
      this.#connections.set(to, connection);
      this.#core?.peerBack(to as ReplicaId, this.#ports.clock.monotonic());
      connection.handlers = {
        message() {},
        drain() {},
        closed: () => {
          this.#connections.delete(to);
          this.#core?.peerGone(to as ReplicaId, this.#ports.clock.monotonic());
          this.#perform();
        },
      };
      this.#perform();
    } catch {
      // Asked again by the next message.
    } finally {
      this.#dialing.delete(to);
    }
  }
}

const HEAD_BYTES = 8;
const SECTOR_BYTES = 512;

/** u32 length, u32 sum, JSON with spaces up to the end of a sector: no block shares a sector with another one. */
function blockOf(stored: Stored): Uint8Array {
  const text = JSON.stringify(stored);
  const body = Buffer.from(text.padEnd(Math.ceil((text.length + HEAD_BYTES) / SECTOR_BYTES) * SECTOR_BYTES - HEAD_BYTES));
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32LE(body.length, 0);
  head.writeUInt32LE(sumOf(body), 4);
  return Buffer.concat([head, body]);
}

function* blocks(bytes: Uint8Array): Generator<{ stored: Stored; end: number }> {
  const buffer = Buffer.from(bytes);
  for (let at = 0; at + 8 <= buffer.length; ) {
    const length = buffer.readUInt32LE(at);
    const body = buffer.subarray(at + 8, at + 8 + length);
    if (length === 0 || body.length < length || buffer.readUInt32LE(at + 4) !== sumOf(body)) return;
    at += 8 + length;
    yield { stored: JSON.parse(body.toString()) as Stored, end: at };
  }
}

function sumOf(bytes: Uint8Array): number {
  let sum = 1;
  for (const byte of bytes) sum = (Math.imul(sum, 31) + byte) >>> 0;
  return sum;
}
