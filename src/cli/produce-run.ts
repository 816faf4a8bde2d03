import { counted } from "../base/plural.ts";
import { MillraceError, type Producer } from "../client/index.ts";
import { adviceOn } from "./describe-error.ts";
import { CommandFailed, ExitCode } from "./exit-code.ts";
import { type Line, LineSplitter } from "./line-splitter.ts";
import type { LineFormat, Outgoing } from "./outgoing.ts";
import { Pace } from "./pace.ts";
import { StallWatch } from "./stall-watch.ts";
import type { Terminal } from "./terminal.ts";

/** Failures told one by one; the rest is only counted. */
const FAILURES_SAID_MAX = 10;

/** One run of `produce`: what was sent, and what became of it. */
export class ProduceRun {
  readonly #producer: Producer;
  readonly #topic: string;
  readonly #lines: LineFormat;
  readonly #terminal: Terminal;
  readonly #startedAt = performance.now();
  readonly #stall = new StallWatch(performance.now());
  #interrupted = false;
  #sent = 0;
  #acknowledged = 0;
  #bytes = 0;
  #failed = 0;
  /** Of those that failed: they may have been written all the same. */
  #unknown = 0;
  #keyless = 0;
  /** What to do, said once each. */
  readonly #advised = new Set<string>();
  readonly #interrupt = (): void => this.#interrupts();
  #input: { destroy(): unknown } | undefined;
  #giveUp: () => void = () => undefined;
  /** Resolves when somebody will not wait for acknowledgements any more. */
  readonly #givenUp = new Promise<"given up">((resolve) => {
    this.#giveUp = () => resolve("given up");
  });
  #isGivenUp = false;

  constructor(producer: Producer, topic: string, lines: LineFormat, terminal: Terminal) {
    this.#producer = producer;
    this.#topic = topic;
    this.#lines = lines;
    this.#terminal = terminal;
  }

  async send(input: AsyncIterable<Buffer | string> & { destroy(): unknown }, rate: number | undefined): Promise<void> {
    this.#input = input;
    process.on("SIGINT", this.#interrupt);
    const splitter = new LineSplitter(this.#lines.lineBytesMax);
    const pace = rate === undefined ? undefined : new Pace(rate);
    try {
      for await (const chunk of input) {
        for (const line of splitter.push(typeof chunk === "string" ? Buffer.from(chunk) : chunk)) {
          if (this.#interrupted) return;
          await pace?.turn();
          await this.#take(line);
        }
      }
      const last = splitter.end();
      if (last !== undefined && !this.#interrupted) await this.#take(last);
    } catch (error) {
      // A destroyed stdin ends its iteration with an error of its own.
      if (!this.#interrupted) throw error;
    }
  }

  /** Ctrl-C: nothing more is read, what was read is waited for. Again: what is not acknowledged by now is of unknown outcome. */
  #interrupts(): void {
    if (this.#interrupted) {
      this.#isGivenUp = true;
      this.#giveUp();
      // A third one ends the process.
      process.off("SIGINT", this.#interrupt);
      return;
    }
    this.#interrupted = true;
    this.#input?.destroy();
    const waiting = this.#waiting;
    if (waiting > 0) this.#terminal.say(`interrupted: waiting for ${counted(waiting, "acknowledgement")}; Ctrl-C again gives them up`);
  }

  get #waiting(): number {
    return this.#sent - this.#acknowledged - this.#failed;
  }

  /** To be called now and then. */
  look(): void {
    const now = performance.now();
    const line = this.#stall.look(now, this.#sent, this.#acknowledged + this.#failed);
    if (line !== undefined) this.#terminal.say(line);
    const rate = Math.round(this.#acknowledged / Math.max(0.001, (now - this.#startedAt) / 1000));
    this.#terminal.progress?.(`${counted(this.#acknowledged, "record")} acknowledged, ${this.#waiting} on the way (${rate}/s)`);
  }

  /** Takes its signal handler and its progress away. */
  over(): void {
    process.off("SIGINT", this.#interrupt);
    this.#terminal.progress?.(undefined);
  }

  #take(line: Line): Promise<void> | undefined {
    this.#sent++;
    const record = this.#recordOf(line);
    if (record === undefined) return undefined;
    if (record.key === undefined) this.#keyless++;
    this.#producer.send({ ...record, topic: this.#topic }).then(
      () => {
        this.#acknowledged++;
        this.#bytes += record.value?.length ?? 0;
      },
      (error: unknown) => this.#fail(line.number, error),
    );
    return this.#producer.isFull ? this.#room() : undefined;
  }

  async #room(): Promise<void> {
    await Promise.race([this.#producer.ready(), this.#givenUp]);
  }

  /** @returns undefined when there is none in it, which is said and counted */
  #recordOf(line: Line): Outgoing | undefined {
    try {
      if (line.cut) throw new MillraceError("RECORD_SET_TOO_LARGE", `the line is longer than ${this.#lines.lineBytesMax} bytes`);
      return this.#lines.read(line.bytes);
    } catch (error) {
      this.#fail(line.number, error);
      return undefined;
    }
  }

  #fail(number: number, error: unknown): void {
    if (!(error instanceof MillraceError)) throw error;
    // Their outcome has been told.
    if (this.#isGivenUp) return;
    this.#failed++;
    if (!error.outcomeKnown) this.#unknown++;
    if (this.#failed <= FAILURES_SAID_MAX) {
      const outcome = error.outcomeKnown ? "nothing was written" : "it may have been written";
      this.#terminal.say(`line ${number}: ${error.code}: ${error.message} (${outcome})`);
    }
    const advice = adviceOn(error);
    if (advice !== undefined && !this.#advised.has(advice)) this.#terminal.say(`  ${advice}`);
    if (advice !== undefined) this.#advised.add(advice);
    if (this.#failed === FAILURES_SAID_MAX) this.#terminal.say("further failures are only counted");
  }

  async finish(keyField: string | undefined): Promise<void> {
    const waited = await Promise.race([this.#producer.flush(), this.#givenUp]);
    const given = waited === "given up" ? this.#waiting : 0;
    this.#terminal.progress?.(undefined);
    this.#terminal.say(this.#summary(given));
    if (keyField !== undefined && this.#keyless > 0)
      this.#terminal.say(
        `${counted(this.#keyless, "line")} without a field "${keyField}" ${this.#keyless === 1 ? "was" : "were"} sent without a key`,
      );
    if (given > 0) {
      await this.#producer.close({ timeoutMs: 0 });
      throw new CommandFailed(ExitCode.failure, `${counted(given, "record")} of unknown outcome: given up before the acknowledgement`);
    }
    if (this.#failed > 0) throw new CommandFailed(ExitCode.failure, `${this.#failed} of ${counted(this.#sent, "record")} failed`);
  }

  /** @param given records whose acknowledgement is not waited for any more */
  #summary(given: number): string {
    const seconds = (performance.now() - this.#startedAt) / 1000;
    const rate = seconds > 0 ? Math.round(this.#acknowledged / seconds) : 0;
    const { retries } = this.#producer.stats;
    const what = `${this.#interrupted ? "interrupted: " : ""}${counted(this.#acknowledged, "record")}, ${counted(this.#bytes, "byte")} in ${seconds.toFixed(2)} s (${rate}/s)`;
    const unknown = this.#unknown + given;
    const failed = `${this.#failed} failed${unknown > 0 ? `, outcome unknown of ${unknown}` : ""}`;
    return `produced ${what}; ${failed}, ${counted(retries, "batch", "batches")} sent again`;
  }
}
