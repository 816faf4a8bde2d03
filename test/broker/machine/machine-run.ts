import assert from "node:assert/strict";
import type { LogIndex } from "../../../src/base/ids.ts";
import type { Timer } from "../../../src/base/ports/clock.ts";
import { Decider } from "../../../src/broker/machine/decider.ts";
import type { Answer } from "../../../src/broker/machine/machine.ts";
import { MachineReplica } from "../../../src/broker/machine/machine-replica.ts";
import { MachineSnapshots } from "../../../src/broker/machine/machine-snapshots.ts";
import { MachineView } from "../../../src/broker/machine/machine-view.ts";
import { configurationOf, MemberRole, Members } from "../../../src/broker/members.ts";
import { Replica } from "../../../src/broker/replica.ts";
import type { ReplicaPayload } from "../../../src/broker/replica-outputs.ts";
import type { GroupLog, LogStore } from "../../../src/log/types.ts";
import { GroupConfig } from "../../../src/protocol/routing.ts";
import { createRaft } from "../../../src/raft/raft.ts";
import { SimClock } from "../../../src/testing/sim/clock.ts";
import { EMPTY, replica as replicaId } from "../../log/frames.ts";
import type { Machine } from "../../log/machine.ts";
import { type Add, type Added, Tally, tallyGroup, tallyMachine } from "./tally.ts";

const SELF = replicaId(1);
const { groupId } = tallyGroup;
const config: GroupConfig = {
  members: [{ replicaId: SELF, brokerId: 1, role: MemberRole.voter }],
  topicId: "",
  topic: "",
  partition: 0,
  recovery: 0,
  fenced: [],
};

type TallyDecider = Decider<Tally, Add, Added, number>;

/** A tally over a Raft group of one voter, with its log on a simulated disk. */
export class TallyRun {
  readonly view = new MachineView(tallyGroup, new Tally(), tallyMachine.facts);
  readonly log: GroupLog;
  readonly snapshots: MachineSnapshots;
  /** What the operator would read, and when deciding began and ended. */
  readonly told: string[] = [];
  /** Each time that the committed image moved. */
  readonly changes: (readonly Added[] | undefined)[] = [];
  readonly #machine: Machine;
  readonly #clock: SimClock;
  #owner: MachineReplica<TallyDecider> | undefined;
  #timer: Timer | undefined;

  private constructor(machine: Machine, store: LogStore, log: GroupLog) {
    this.log = log;
    this.view.onChange((facts) => void this.changes.push(facts));
    this.#machine = machine;
    this.#clock = new SimClock(machine.process);
    this.snapshots = new MachineSnapshots(
      tallyGroup,
      store.snapshots(groupId),
      this.view,
      () => [],
      { everyBytes: 1_000, recoveryEpoch: 0 },
      {
        clock: this.#clock,
        links: { call: () => assert.fail("there is no other broker") },
        background: {
          async run(slice: () => boolean): Promise<void> {
            while (!slice());
          },
        },
        notices: {
          taken: () => void this.told.push("snapshot"),
          postponed: () => void this.told.push("postponed"),
          damaged: (_path, _position, what) => void this.told.push(what),
        },
        failed: (error) => assert.fail(String(error)),
      },
    );
  }

  /** As a broker does at its start. */
  static async start(machine: Machine): Promise<TallyRun> {
    const store = await machine.open();
    const known = store.recovered.some((group) => group.groupId === groupId);
    const log = known ? store.open(groupId) : await machine.run(store.create(groupId, SELF, EMPTY, GroupConfig.encode(config)));
    log.configure({ segmentBytes: 500, segmentMs: 1_000_000 });
    const run = new TallyRun(machine, store, log);
    await machine.run(run.#open());
    await machine.settle();
    return run;
  }

  get decider(): TallyDecider {
    assert.ok(this.#owner !== undefined);
    return this.#owner.leader;
  }

  /** @returns the sum, or the code of the refusal; once the loop has answered */
  async add(command: Add): Promise<number | string> {
    return this.#machine.run(new Promise((resolve) => void this.decider.submit(command, (answer) => resolve(said(answer)))));
  }

  /** The sum behind everything that was answered when this was asked; undefined: another one leads. */
  async read(name: string): Promise<number | undefined> {
    return this.#machine.run(
      new Promise((resolve) => {
        this.#owner?.readIndex((index) => {
          if (index === undefined) return resolve(undefined);
          this.view.whenApplied(index, () => resolve(this.view.image.sum(name)));
        });
      }),
    );
  }

  async #open(): Promise<void> {
    const restored = await this.snapshots.restore(this.log);
    const { term, votedFor, start, terms, lastIndex, syncedIndex } = this.log.asRecovered;
    const core = createRaft<ReplicaPayload>(
      {
        group: groupId,
        self: SELF,
        configuration: configurationOf(config),
        heartbeatMs: 50,
        electionMinMs: 100,
        electionMaxMs: 200,
        inflightMessagesMax: 10,
        inflightBytesMax: 10_000,
        appendBytesMax: 10_000,
        uncommittedBytesMax: 100_000,
        entryBytesMax: 10_000,
        draw: () => 0.5,
      },
      { term, votedFor, start, terms, lastIndex, commit: Math.max(syncedIndex, restored) as LogIndex, quarantined: false },
      this.#clock.monotonic(),
    );
    const replica: Replica = new Replica(core, this.log, new Members(config, () => undefined), this.#clock, {
      send: () => assert.fail("nobody else votes"),
      committed: () => this.#owner?.committed(),
      truncated: () => this.#owner?.truncated(),
      configured: () => this.#owner?.configured(),
      roleChanged: () => this.#owner?.roleChanged(),
      progressed: () => this.#owner?.progressed(),
      read: (context, index) => this.#owner?.read(context, index),
      transferEnded: () => {},
      extend: () => {},
      rest: () => {},
      reset: () => {},
      wakeAt: (deadline) => {
        this.#timer?.cancel();
        this.#timer = this.#clock.after(deadline - this.#clock.monotonic(), () => replica.tick());
      },
    });
    const hooks = { began: () => void this.told.push("began"), ended: () => void this.told.push("ended") };
    const owner: MachineReplica<TallyDecider> = new MachineReplica(replica, {
      clock: this.#clock,
      view: this.view,
      snapshots: this.snapshots,
      leader: new Decider(this.#clock, replica, this.view, tallyMachine, hooks, (done) => owner.readIndex(done)),
      roleChanged: () => {},
      failed: (error) => assert.fail(String(error)),
    });
    this.#owner = owner;
    replica.start();
  }
}

export function said(answer: Answer<number>): number | string {
  return "error" in answer ? answer.error.code : answer.reply;
}
