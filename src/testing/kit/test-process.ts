import type { Machine } from "../sim/machine.ts";
import type { World } from "../sim/world.ts";
import type { Driver } from "./driver.ts";
import { TestClusterError } from "./errors.ts";
import type { FaultCounts } from "./fault-counts.ts";
import { checkKnown, whole } from "./options.ts";
import { ProcessLife } from "./process-life.ts";

export interface StartOptions {
  /**
   * The process dies when something it awaits of the cluster comes for the so-manieth time, before its code goes on, 1 or more. A test that
   * runs once with each number up to `steps` has seen a crash between any two of them.
   */
  readonly crashAtStep?: number;
}

/** How one life of a process ended. */
export type Ending = "ended" | "crashed";

/** A process of the test's own on a machine of its own: the code under test, which may die at any moment and be started again. */
export class TestProcess {
  readonly name: string;
  readonly #world: World;
  readonly #machine: Machine;
  readonly #driver: Driver;
  readonly #faults: FaultCounts;
  readonly #brokers: number;
  #life: ProcessLife | undefined;

  constructor(name: string, world: World, machine: Machine, driver: Driver, faults: FaultCounts, brokers: number) {
    this.name = name;
    this.#world = world;
    this.#machine = machine;
    this.#driver = driver;
    this.#faults = faults;
    this.#brokers = brokers;
  }

  get running(): boolean {
    return this.#life?.alive === true;
  }

  /** How often, in its present or last life, something it awaited of the cluster has come. */
  get steps(): number {
    return this.#life?.steps ?? 0;
  }

  /**
   * Runs `program` as a process: from its beginning, with nothing in memory but what the test's own objects hold (they stand for whatever
   * outlives a process: a database, an outbox).
   *
   * @returns how it ended @throws whatever the program throws; TestClusterError WRONG_STATE when it runs already
   */
  start(program: (self: ProcessLife) => Promise<unknown>, options: StartOptions = {}): Promise<Ending> {
    checkKnown("start", options, ["crashAtStep"]);
    const at = options.crashAtStep;
    const crashAtStep = at === undefined ? Number.POSITIVE_INFINITY : whole("crashAtStep", at, 1, Number.MAX_SAFE_INTEGER);
    this.#driver.checkOpen();
    if (this.running) throw new TestClusterError("WRONG_STATE", `Process ${this.name} runs already`);
    const life = new ProcessLife(this.#world, this.#machine, this.#driver, this.#faults, this.#brokers, crashAtStep);
    this.#life = life;
    return new Promise<Ending>((resolve, reject) => {
      life.atDeath(() => resolve("crashed"));
      program(life).then(
        () => {
          resolve("ended");
          life.end();
        },
        (error: unknown) => {
          reject(error);
          life.end();
        },
      );
    });
  }

  /** `kill -9`: its client dies with it, and nothing it awaits ever comes. Nothing if it does not run. */
  crash(): void {
    this.#driver.checkOpen();
    void this.#life?.crash();
  }

  /** For the end of the cluster. */
  kill(): void {
    this.#life?.end();
  }
}
