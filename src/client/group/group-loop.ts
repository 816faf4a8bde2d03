import { MillraceError } from "../../base/errors.ts";
import { unreachable } from "../../base/invariant.ts";
import type { CallScope } from "../../base/ports/call-scope.ts";
import type { Timer } from "../../base/ports/clock.ts";
import { backoffMs } from "../backoff.ts";
import type { ConsumedRecord } from "../consumer/consumed-record.ts";
import type { PartitionName } from "../consumer/consumer.ts";
import type { ClientCore } from "../core.ts";
import { Callbacks } from "./callbacks.ts";
import { CommitWaits } from "./commit-waits.ts";
import { sendCommit } from "./commits.ts";
import { GroupCore } from "./core.ts";
import { Ending } from "./ending.ts";
import { Fetching } from "./fetching.ts";
import { LEFT_MS_MAX } from "./keeper.ts";
import { errorSaid, type KeeperHandle, type KeeperNews, type StartKeeper } from "./keeper-words.ts";
import { takenAway } from "./lane.ts";
import { Lanes } from "./lanes.ts";
import type { CommitPosition, GroupSettings, RunSettings } from "./options.ts";
import { Placing } from "./placing.ts";
import { Report } from "./report.ts";
import type { GroupEffect, GroupInput } from "./steps.ts";
import { nameOf, type Tenure } from "./tenure.ts";

/** A member that is thrown out again within so long waits ever longer before it comes back, milliseconds. */
const SETTLED_MS = 10_000;
/** Should its keeper not say that the member has left, it is taken for left after so long. */
const LEFT_MS = LEFT_MS_MAX + 1_000;
/** For handlers and callbacks that are at work when everything ends, unless it is said otherwise. */
export const CLOSE_MS = 30_000;
/** For what was put aside and not acknowledged yet, when everything ends. */
const REPORT_MS = 5_000;

export interface GroupLoopSpec {
  readonly settings: GroupSettings;
  readonly run: RunSettings;
}

/** One run of a group consumer: performs what its core decides, and tells the core what came of it. */
export class GroupLoop {
  readonly #client: ClientCore;
  readonly #settings: GroupSettings;
  readonly #run: RunSettings;
  readonly #core: GroupCore;
  readonly #keeper: KeeperHandle;
  readonly #lanes: Lanes;
  readonly #fetching: Fetching;
  readonly #placing: Placing;
  readonly #report: Report | undefined;
  readonly #waits = new CommitWaits((tenure) => this.#core.find(tenure) === tenure);
  readonly #paused = new Set<string>();
  readonly #inputs: GroupInput[] = [];
  #stepping = false;
  #memberId: string;
  #coordinator: string | undefined;
  #joinedAt = 0;
  #rejoins = 0;
  #commitTimer: Timer | undefined;
  #forGood = false;
  /** The life that is being left, as long as that is the last one. */
  #leaving: { readonly life: number; readonly deadline: Timer } | undefined;
  /** What handlers and callbacks do is inside of it. */
  readonly #scope: CallScope | undefined;
  readonly #callbacks: Callbacks;
  readonly #ending: Ending;

  constructor(client: ClientCore, spec: GroupLoopSpec, start: StartKeeper) {
    this.#client = client;
    this.#settings = spec.settings;
    this.#run = spec.run;
    this.#core = new GroupCore(spec.settings.autoCommit);
    this.#memberId = client.ports.random.uuid();
    const { clock, telemetry, scopes } = client.ports;
    this.#scope = scopes?.();
    this.#callbacks = new Callbacks(spec.settings.group, telemetry, this.#scope);
    this.#ending = new Ending(clock, () => this.#step({ kind: "abandon" }));
    const { onError } = spec.run;
    this.#report = typeof onError === "object" ? new Report(client, { ...spec.settings, topic: onError.skipAndReportTo }) : undefined;
    this.#lanes = new Lanes(spec.run, client.ports, this.#scope, {
      took: ({ id }) => this.#step({ kind: "took", tenure: id }),
      entered: ({ id }, offset, term) => this.#step({ kind: "entered", tenure: id, offset, term }),
      processed: ({ id }, offset) => this.#step({ kind: "processed", tenure: id, offset }),
      idle: ({ id }) => this.#step({ kind: "idle", tenure: id }),
      threw: (record, error, failures) => this.#threw(record, error, failures),
      gaveUp: ({ id }, error) => this.#step({ kind: "giveUp", tenure: id, error }),
      fill: (tenure, bytes) => this.#fetching.fill(tenure, bytes),
    });
    this.#fetching = new Fetching(client, spec.settings, {
      arrived: (tenure, batch) => this.#lanes.add(tenure, batch),
      refused: (tenure, error) => this.#lanes.whenEmpty(tenure, () => this.#placing.refused(tenure, error)),
      failed: (error) => this.fail(error),
      isStarved: () => this.#lanes.isStarved,
    });
    this.#placing = new Placing(client, spec.settings, {
      isHeld: (tenure) => this.#isHeld(tenure),
      coordinator: () => this.#coordinator,
      located: (place, keep) => {
        const { partition, ...at } = place;
        this.#step({ kind: "located", tenure: partition.id, ...at, keep });
      },
      moved: ({ id }, to) => this.#step({ kind: "moved", tenure: id, ...to }),
      again: (tenure) => this.#fetching.begin(tenure, tenure.processed, tenure.termBefore(tenure.processed)),
      failed: (error) => this.fail(error),
    });
    const { group: groupId, instanceId, rack, assignor, rebalanceTimeoutMs } = spec.settings;
    const { topics, topicPattern } = spec.run;
    this.#keeper = start(
      { brokers: client.brokers.addresses, groupId, instanceId, rack, ...{ topics, topicPattern }, assignor, rebalanceTimeoutMs },
      (news) => this.#news(news),
      (reason) => this.#died(reason),
    );
    this.#armCommits();
    this.#step({ kind: "join" });
  }

  get partitions(): readonly PartitionName[] {
    return [...this.#core.tenures].map(({ topic, partition }) => ({ topic, partition }));
  }

  /** Resolves when it is closed, rejects with what ended it. */
  get done(): Promise<void> {
    return this.#ending.done;
  }

  /** Whether this is called by a handler or a callback, which cannot wait for its own end. */
  get isInside(): boolean {
    return this.#scope?.isInside() === true;
  }

  /** Finishes what was begun, commits, leaves; after `timeoutMs` it leaves all the same. Called from inside it does not wait for that. */
  async close(timeoutMs: number, forGood: boolean): Promise<void> {
    if (!this.#ending.isOver) {
      this.#forGood = forGood;
      this.#close(timeoutMs);
    }
    if (!this.isInside) await this.done.catch(() => undefined);
  }

  #close(timeoutMs: number): void {
    this.#ending.within(timeoutMs);
    this.#step({ kind: "close" });
  }

  /** Ends it as `close` does, with an error. */
  fail(error: unknown): void {
    if (this.#ending.isOver) return;
    this.#ending.because(error);
    this.#close(CLOSE_MS);
  }

  setPaused(names: readonly PartitionName[], paused: boolean): void {
    for (const name of names) {
      if (paused) this.#paused.add(nameOf(name));
      else this.#paused.delete(nameOf(name));
      const tenure = this.#named(name);
      if (tenure !== undefined) this.#lanes.setPaused(tenure, paused);
    }
  }

  /** @param positions absent: all that was processed @throws {MillraceError} */
  commit(positions: readonly CommitPosition[] | undefined): Promise<void> {
    const wanted = positions === undefined ? this.#processed() : this.#checked(positions);
    for (const { tenure, offset } of wanted) this.#step({ kind: "want", tenure: tenure.id, offset });
    const committed = this.#waits.wait(wanted);
    this.#step({ kind: "commitDue" });
    return committed;
  }

  #processed(): { readonly tenure: Tenure; readonly offset: number }[] {
    return [...this.#core.tenures].flatMap((tenure) =>
      tenure.processed > Math.max(tenure.committed, 0) ? [{ tenure, offset: tenure.processed }] : [],
    );
  }

  #checked(positions: readonly CommitPosition[]): { readonly tenure: Tenure; readonly offset: number }[] {
    return positions.map(({ topic, partition, offset }) => {
      const tenure = this.#named({ topic, partition });
      const facts = { topic, partition: String(partition) };
      if (tenure === undefined)
        throw new MillraceError("PARTITION_NOT_OWNED", `Cannot commit ${topic}/${partition}: it is not in the hands of this member`, facts);
      // The record in the handler's hands is the last of which it can know that it is done with.
      const most = tenure.processed + (tenure.busy ? 1 : 0);
      if (!Number.isSafeInteger(offset) || offset < 0 || offset > most) {
        const why = `offset ${offset} is not one up to ${most}, where its processing is`;
        throw new MillraceError("INVALID_REQUEST", `Cannot commit ${topic}/${partition}: ${why}`, { ...facts, field: "offset" });
      }
      return { tenure, offset };
    });
  }

  #named({ topic, partition }: PartitionName): Tenure | undefined {
    for (const tenure of this.#core.tenures) if (tenure.topic === topic && tenure.partition === partition) return tenure;
    return undefined;
  }

  /** What is done for an input may bring the next one: they are taken in order. */
  #step(input: GroupInput): void {
    // The common ones ask for nothing to be done.
    if (!this.#stepping && (input.kind === "took" || input.kind === "processed" || input.kind === "want")) return this.#core.step(input);
    this.#inputs.push(input);
    if (this.#stepping) return;
    this.#stepping = true;
    try {
      for (let next = this.#inputs.shift(); next !== undefined; next = this.#inputs.shift()) {
        this.#core.step(next);
        for (const effect of this.#core.drain()) this.#perform(effect);
        this.#waits.look();
      }
    } finally {
      this.#stepping = false;
    }
  }

  #perform(effect: GroupEffect): void {
    const settings = this.#settings;
    const { group } = settings;
    switch (effect.kind) {
      case "beat":
        if (effect.memberEpoch === 0) this.#joinedAt = this.#client.ports.clock.monotonic();
        this.#keeper.hear({ ...effect, memberId: this.#memberId });
        return;
      case "leave":
        this.#leave(effect);
        return;
      case "assigned": {
        const { tenures } = effect;
        this.#client.ports.telemetry.log("info", "consumer.assigned", {
          group,
          partitions: tenures.length,
          memberEpoch: this.#core.memberEpoch,
        });
        this.#callbacks.tell(
          "onAssigned",
          () => settings.onAssigned?.(namesOf(tenures)),
          () => this.#placing.locate(tenures),
        );
        return;
      }
      case "begin":
        this.#lanes.begin(effect.tenure);
        if (this.#paused.has(nameOf(effect.tenure))) this.#lanes.setPaused(effect.tenure, true);
        this.#fetching.begin(effect.tenure, effect.offset, effect.term);
        return;
      case "halt":
        this.#fetching.halt(effect.tenure);
        this.#lanes.halt(effect.tenure, takenAway(effect.tenure, effect.cause, effect.error));
        return;
      case "revoked": {
        const { tenures } = effect;
        this.#client.ports.telemetry.log("info", "consumer.revoked", { group, partitions: tenures.length });
        const told = (): void => this.#step({ kind: "told", tenures: tenures.map(({ id }) => id) });
        this.#callbacks.tell("onRevoked", () => settings.onRevoked?.(namesOf(tenures)), told);
        return;
      }
      case "lost": {
        const { tenures, error } = effect;
        this.#client.ports.telemetry.log("warn", "consumer.lost", { group, partitions: tenures.length, code: error.code });
        this.#callbacks.tell("onLost", () => settings.onLost?.(namesOf(tenures), error));
        return;
      }
      case "again":
        this.#callbacks.after(() => this.#joinAgain());
        return;
      case "begins":
        this.#stay();
        this.#callbacks.after(() => {
          this.#memberId = this.#client.ports.random.uuid();
          this.#joinAgain();
        });
        return;
      case "failed":
        this.#ending.because(effect.error);
        this.#end();
        return;
      case "commit":
        this.#commit(effect);
        return;
      case "commitRefused": {
        const { positions, error } = effect;
        for (const { topic, partition, offset } of positions.slice(0, 10))
          this.#client.ports.telemetry.log("warn", "consumer.commit_refused", { group, topic, partition, offset, code: error.code });
        const names = positions.map(({ topic, partition, offset }) => ({ topic, partition, offset }));
        this.#callbacks.tell("onCommitRefused", () => settings.onCommitRefused?.(names, error));
        return;
      }
      case "left":
        if (this.#leaving === undefined) this.#end();
        return;
      default:
        unreachable(effect);
    }
  }

  #joinAgain(): void {
    const { clock, random } = this.#client.ports;
    if (this.#ending.isOver || this.#core.isOver) return;
    this.#rejoins = clock.monotonic() - this.#joinedAt < SETTLED_MS ? this.#rejoins + 1 : 0;
    const pause = this.#rejoins < 2 ? 0 : backoffMs(this.#rejoins, random);
    clock.after(pause, () => {
      if (!this.#ending.isOver) this.#step({ kind: "join" });
    });
  }

  #news(news: KeeperNews): void {
    if (this.#ending.isOver) return;
    switch (news.kind) {
      case "heard":
        this.#coordinator = news.coordinator ?? this.#coordinator;
        return this.#step(news);
      case "refused":
        return this.#step({ kind: "refused", life: news.life, error: errorSaid(news.error) });
      case "failing":
        // The first may be a broker that restarts.
        if (news.failures === 2 || news.failures % 10 === 0)
          this.#client.ports.telemetry.log("warn", "consumer.heartbeat_failed", {
            group: this.#settings.group,
            code: news.error.code,
            failures: news.failures,
          });
        return;
      case "left":
        if (this.#leaving?.life === news.life && this.#core.isOver) this.#end();
        return;
      default:
        return unreachable(news);
    }
  }

  #leave({ life, forGood }: Extract<GroupEffect, { kind: "leave" }>): void {
    this.#stay();
    this.#leaving = { life, deadline: this.#client.ports.clock.after(LEFT_MS, () => this.#end()) };
    const forAWhile = this.#settings.instanceId !== "" && !this.#forGood && !forGood;
    this.#keeper.hear({ kind: "leave", life, memberId: this.#memberId, forAWhile });
  }

  /** It leaves to come back, or has left. */
  #stay(): void {
    this.#leaving?.deadline.cancel();
    this.#leaving = undefined;
  }

  #died(reason: string): void {
    this.#ending.because(new MillraceError("INTERNAL", `The thread that keeps the group's member alive has ended: ${reason}`));
    this.#step({ kind: "abandon" });
    // There is nobody any more to say the leaving, or that it was said.
    this.#end();
  }

  #commit({ id, memberEpoch, positions }: Extract<GroupEffect, { kind: "commit" }>): void {
    const call = { group: this.#settings.group, memberId: this.#memberId, memberEpoch, positions };
    sendCommit(this.#client, call, this.#coordinator).then(
      (outcome) => {
        if (outcome.kind === "unknown") this.#coordinator = undefined;
        this.#step({ kind: "commitAnswered", id, outcome });
      },
      (error: unknown) => {
        this.#step({ kind: "commitAnswered", id, outcome: { kind: "unknown", error: new MillraceError("INTERNAL", String(error)) } });
      },
    );
  }

  #armCommits(): void {
    this.#commitTimer = this.#client.ports.clock.after(this.#settings.commitIntervalMs, () => {
      if (this.#ending.isOver) return;
      this.#step({ kind: "commitDue" });
      this.#armCommits();
    });
  }

  #isHeld(tenure: Tenure): boolean {
    return !this.#ending.isOver && this.#core.find(tenure) === tenure;
  }

  #threw(record: ConsumedRecord, error: unknown, failures: number): "again" | "stopped" | Promise<"done" | "again"> {
    const { group } = this.#settings;
    const { topic, partition, offset } = record;
    const { telemetry } = this.#client.ports;
    telemetry.log("warn", "consumer.handler_failed", { group, topic, partition, offset, failures, reason: String(error) });
    if (this.#run.onError === "stop") {
      this.fail(error);
      return "stopped";
    }
    // It is not done with before it is put aside; the handler may have better luck meanwhile.
    return this.#report?.write(record, error) ?? "again";
  }

  #end(): void {
    if (this.#ending.isOver) return;
    this.#commitTimer?.cancel();
    this.#stay();
    this.#fetching.close();
    this.#keeper.close();
    const error = this.#ending.cause?.error;
    this.#waits.end(error instanceof MillraceError ? error : new MillraceError("CLIENT_CLOSED", "The consumer is closed"));
    this.#ending.within(CLOSE_MS);
    this.#ending.end(this.#callbacks.told, this.#report?.close(REPORT_MS) ?? Promise.resolve());
  }
}

function namesOf(tenures: readonly Tenure[]): readonly PartitionName[] {
  return tenures.map(({ topic, partition }) => ({ topic, partition }));
}
