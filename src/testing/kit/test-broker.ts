import type { Driver } from "./driver.ts";
import type { FaultCounts } from "./fault-counts.ts";
import type { BrokerState, HostedBroker } from "./hosted-broker.ts";

/** One broker of a test's cluster, and what can happen to it. */
export class TestBroker {
  readonly #hosted: HostedBroker;
  readonly #driver: Driver;
  readonly #faults: FaultCounts;

  constructor(hosted: HostedBroker, driver: Driver, faults: FaultCounts) {
    this.#hosted = hosted;
    this.#driver = driver;
    this.#faults = faults;
  }

  get id(): number {
    return this.#hosted.id;
  }

  /** "down" or what it does now; "running": it serves. */
  get state(): BrokerState {
    return this.#hosted.state;
  }

  get running(): boolean {
    return this.state === "running";
  }

  /** Why it ended by itself, such as a failed disk; undefined: it did not. */
  get ended(): Error | undefined {
    return this.#hosted.ended;
  }

  /** `kill -9`: the process dies at once, the machine and its page cache live on. Nothing if it is down. */
  crash(): void {
    if (this.state === "down") return;
    this.#faults.count("crash");
    this.#hosted.machine.crash();
  }

  /** SIGTERM: it hands leadership over, answers what is open and ends. Resolves when it has. */
  stop(): Promise<void> {
    if (this.state !== "down") this.#faults.count("stop");
    return this.#driver.track(`broker ${this.id}.stop`, this.#hosted.stop());
  }

  /** Starts it again on the disk it has. Nothing if it is not down. It serves once it is `running`. */
  start(): void {
    this.#driver.checkOpen();
    this.#hosted.start();
  }
}
