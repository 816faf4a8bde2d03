import type { MillraceError } from "../../base/errors.ts";
import { type BrokerId, type LogIndex, NO_PRODUCER, type Offset, type ReplicaId, type Term } from "../../base/ids.ts";
import { invariant } from "../../base/invariant.ts";
import { isVoter, votersOf } from "../../raft/quorum.ts";
import { frameBytesOf } from "../../records/frame.ts";
import type { FrameDraft } from "../../records/frame-types.ts";
import type { PartitionMachine } from "../machine/partition-machine.ts";
import type { Replica } from "../replica.ts";
import { type AckFailure, type AckWait, AckWaits } from "./ack-waits.ts";
import { type AcksLevel, durableReplicas, effectiveMinIsr, refuseLevel, refuseReplicas } from "./acks.ts";
import { successor } from "./full-disks.ts";
import { Handover, type HandoverDone } from "./handover.ts";
import { IsrTracker } from "./isr-tracker.ts";
import type { AppendBatch, AppendDone, Appended, PartitionOptions, PartitionPorts, PartitionSettings } from "./partition-types.ts";
import { checkProducer } from "./producer-check.ts";
import {
  alreadyWritten,
  belowMinimum,
  leadershipLost,
  notLeader,
  pendingFull,
  producerNotKnown,
  refusedFrame,
  refusedSequence,
  refuseFuture,
  tooLarge,
} from "./refusals.ts";
import { Room } from "./room.ts";

export type { AppendBatch, AppendDone, Appended, PartitionOptions, PartitionPorts, PartitionSettings } from "./partition-types.ts";

/**
 * One data partition on a broker that holds a replica of it: admission, idempotence, acknowledgement levels and the in-sync
 * replicas while it leads. Lives as long as the replica is open. Everything is synchronous; waits end through callbacks.
 */
export class Partition {
  readonly options: PartitionOptions;
  readonly replica: Replica;
  /** What its log is of, when that is no clients' (ADR 0019): set as it is opened. */
  machine: PartitionMachine | undefined;
  readonly #ports: PartitionPorts;
  readonly #waits: AckWaits;
  #settings: PartitionSettings;
  #isr: IsrTracker | undefined;
  #isrTerm: Term | undefined;
  #examining = false;
  #examineAgain = false;
  readonly #handover: Handover;
  #highWatermark: Offset;
  #highWatermarkIndex: LogIndex;
  readonly #room: Room;

  constructor(options: PartitionOptions, replica: Replica, settings: PartitionSettings, ports: PartitionPorts) {
    this.options = options;
    this.replica = replica;
    this.#settings = settings;
    this.#ports = ports;
    this.#waits = new AckWaits(options.pendingBytesMax);
    this.#handover = new Handover(this.name, {
      clock: ports.clock,
      begin: (to) => {
        const result = replica.transfer(to);
        return result.kind === "refused" ? result.why : undefined;
      },
      ended: () => ports.moved(this),
    });
    this.#room = new Room(this, ports);
    this.#highWatermarkIndex = replica.core.commit;
    this.#highWatermark = replica.log.offsetAfter(replica.core.commit);
  }

  get name(): string {
    return `${this.options.topic}-${this.options.number}`;
  }
  /** Leads with an entry of its own term committed, and is not handing over: it may be given appends. */
  get accepts(): boolean {
    return this.replica.serves && !this.#handover.active && this.#ports.settled();
  }
  /** Offset after the last committed record. */
  get highWatermark(): Offset {
    const { commit } = this.replica.core;
    if (commit !== this.#highWatermarkIndex) {
      const next = this.replica.log.offsetAfter(commit);
      invariant(next >= this.#highWatermark, () => `the high watermark of ${this.name} must never fall: ${this.#highWatermark} to ${next}`);
      this.#highWatermark = next;
      this.#highWatermarkIndex = commit;
    }
    return this.#highWatermark;
  }
  get logStartOffset(): Offset {
    return this.replica.log.startOffset;
  }
  /** On this disk. */
  get sizeBytes(): number {
    return this.replica.log.segmentBytes + this.replica.log.pendingBytes;
  }
  get pendingBytes(): number {
    return this.#waits.pendingBytes;
  }
  /** Batches that wait for their level. */
  get pendingBatches(): number {
    return this.#waits.size;
  }
  get isr(): IsrTracker | undefined {
    return this.#isr;
  }
  get settings(): PartitionSettings {
    return this.#settings;
  }
  get minIsr(): number {
    return effectiveMinIsr(this.#settings.minInsyncReplicas, this.replica.core.configuration.voters.length);
  }

  brokerOf(replicaId: ReplicaId): BrokerId | undefined {
    return this.options.members.find((member) => member.replicaId === replicaId)?.brokerId;
  }

  /** Broker of the leader this replica knows, itself included. */
  get leaderBroker(): BrokerId | undefined {
    const { leader } = this.replica.core;
    return leader === undefined ? undefined : this.brokerOf(leader);
  }

  /**
   * Appends a batch, or refuses it. `done` is called exactly once, perhaps before this returns, unless the returned cancel came first.
   * A refusal whose `outcomeKnown` is true wrote nothing.
   */
  append(batch: AppendBatch, done: AppendDone): () => void {
    const { acks } = batch;
    const draft: FrameDraft = this.#settings.appendTimed ? { ...batch.draft, appendTimed: true } : batch.draft;
    const misplaced =
      this.accepts && this.#isr !== undefined ? refuseLevel(acks, draft.producerId, this.#settings.acksMin) : this.notLeader();
    if (misplaced !== undefined) {
      done(misplaced);
      return noCancel;
    }
    // Before any refusal for want of room or replicas: a batch that is here already must not be told "nothing was written".
    if (draft.producerId !== NO_PRODUCER) {
      const { producers } = this.replica.log;
      const { producerEpoch: epoch, baseSequence, recordCount } = draft;
      // Without another replica nobody will ever know it: producers begin again.
      const known = producers.known || votersOf(this.replica.core.configuration).length === 1;
      const verdict = checkProducer(producers.get(draft.producerId), { epoch, baseSequence, recordCount }, known);
      switch (verdict.kind) {
        case "accept":
          break;
        case "duplicate": {
          const { baseOffset, index, term, appendTime } = verdict;
          return this.#wait(acks, index, 0, done, () => this.#appended(index, baseOffset, draft.recordCount, term, appendTime, true));
        }
        case "notKnown":
          done(producerNotKnown(this.name, draft));
          return noCancel;
        case "alreadyWritten":
          return this.#wait(acks, verdict.index, 0, done, () => alreadyWritten(this.name, draft));
        case "refused":
          done(refusedSequence(verdict, draft, this.name));
          return noCancel;
      }
    }
    const refusal = this.#refuse(draft, acks);
    if (refusal !== undefined) {
      done(refusal);
      return noCancel;
    }
    const { log } = this.replica;
    const baseOffset = log.endOffset;
    const result = this.replica.propose([draft], this.replica.core.term);
    if (result.kind === "refused") {
      done(this.#refusedProposal(result.why, draft));
      return noCancel;
    }
    const { firstIndex: index, term } = result;
    const appendTime = log.lastAppendTime;
    if (acks === "NONE") {
      done(this.#appended(index, baseOffset, draft.recordCount, term, appendTime, false));
      return noCancel;
    }
    return this.#wait(acks, index, draft.payload.byteLength, done, () =>
      this.#appended(index, baseOffset, draft.recordCount, term, appendTime, false),
    );
  }

  /** Why a machine may not append a frame of so many bytes here now; undefined: it may. Nothing was written. */
  refuseFrame(frameBytes: number): MillraceError | undefined {
    if (!this.accepts) return this.notLeader();
    const why = this.replica.core.refusal(frameBytes);
    return why === undefined ? this.#room.refuse(frameBytes) : refusedFrame(this.name, why, frameBytes, this.notLeader());
  }

  /** Calls back once the frame at `index`, appended here, is committed; or when that cannot be known any more. */
  whenCommitted(index: LogIndex, done: (failure: MillraceError | undefined) => void): () => void {
    const wait = this.#waits.add("QUORUM", index, 0, (failure) => done(failure === undefined ? undefined : this.#failed(failure)));
    return () => void this.#waits.cancel(wait);
  }

  /** The image shows the partition anew. */
  changed(settings: PartitionSettings): void {
    this.#settings = settings;
    this.replica.log.configure(settings.segments);
    this.#isr?.recorded(settings.isr);
    this.examine();
  }

  /** Nothing moves in its group, and every voter is in sync: there is nothing to look at. */
  get still(): boolean {
    return this.#isr === undefined || (this.replica.core.atRest && this.#isr.settled);
  }

  /** Call at every heartbeat while open, but for when it is `still`. */
  tickIsr(): void {
    if (this.#isr === undefined) return;
    const { core } = this.replica;
    const full = this.#room.fullReplicas;
    this.#room.hold(full);
    // What holding let go on may have ended this leadership.
    const isr = this.#isr as IsrTracker | undefined;
    if (isr === undefined) return;
    const command = isr.tick(
      {
        lastIndex: core.lastIndex,
        commit: core.commit,
        durable: core.durable,
        follower: (replica) => {
          const progress = core.progress(replica);
          if (progress === undefined || !full.includes(replica)) return progress;
          return { match: progress.match, heardAt: progress.heardAt, barred: true };
        },
      },
      this.#ports.clock.monotonic(),
    );
    // A proposal widens the required set from now on.
    this.examine();
    if (command === undefined) return;
    this.#ports.askController(command, (answer) => {
      isr.answered(answer, this.#ports.clock.monotonic());
      if (this.#isr === isr) this.tickIsr();
    });
  }

  /** A broker stops soon: it still answers, but no acknowledgement may need it by then. */
  peerLeaves(broker: BrokerId): void {
    for (const { replicaId, brokerId } of this.options.members) if (brokerId === broker) this.#isr?.peerGone(replicaId);
    this.tickIsr();
  }

  peerGone(broker: BrokerId): void {
    for (const { replicaId, brokerId } of this.options.members) {
      if (brokerId !== broker || replicaId === this.replica.id) continue;
      this.#isr?.peerGone(replicaId);
      this.replica.peerGone(replicaId);
    }
    this.tickIsr();
  }

  peerBack(broker: BrokerId): void {
    for (const { replicaId, brokerId } of this.options.members) {
      if (brokerId !== broker || replicaId === this.replica.id) continue;
      this.#isr?.peerBack(replicaId);
      this.replica.peerBack(replicaId);
    }
  }

  /** From the replica's outputs. */
  roleChanged(): void {
    const { core } = this.replica;
    if (core.role !== "leader" || this.#isrTerm !== core.term) {
      if (this.#isr !== undefined) this.#waits.leadershipLost();
      this.#isr = undefined;
      this.#isrTerm = undefined;
      // A handover that began ends here; the core says how (`transferEnded`).
    }
    // One that is left out may have to lead once more, until that is committed (dissertation §4.2.2): it serves nobody, and is in no ISR.
    const votes = isVoter(core.configuration, core.self);
    if (core.role === "leader" && votes && core.noopIndex !== undefined && this.#isr === undefined) {
      this.#isrTerm = core.term;
      this.#isr = new IsrTracker(
        {
          group: this.options.groupId,
          self: this.replica.id,
          term: core.term,
          noopIndex: core.noopIndex,
          voters: votersOf(core.configuration),
          replicaLagMaxMs: this.options.replicaLagMaxMs,
          silentMs: this.options.silentMs,
          retryMs: this.options.isrRetryMs,
        },
        this.#settings.isr,
        this.#ports.clock.monotonic(),
      );
      for (const { replicaId, brokerId } of this.options.members) {
        if (replicaId !== this.replica.id && !this.#ports.stays(brokerId)) this.#isr.peerGone(replicaId);
      }
    }
  }

  /** From the replica's outputs: other replicas are in force. */
  configured(): void {
    this.#isr?.configure(votersOf(this.replica.core.configuration), this.#ports.clock.monotonic());
  }

  /** Hands leadership over (`Handover`). */
  transfer(to: ReplicaId, done: HandoverDone): void {
    if (!this.accepts) return done(this.notLeader());
    this.#handover.start(to, done);
    this.examine();
  }

  /** From the replica's outputs: what was cut off never gets an answer here, and its bytes no longer count. */
  truncated(from: LogIndex): void {
    if (this.#waits.size > 0) this.#waits.leadershipLost();
    this.#waits.truncated(from);
  }

  /** From the replica's outputs, outside of its turn. */
  transferEnded(succeeded: boolean): void {
    this.#handover.ended(succeeded);
  }

  /** The replica was closed (its topic is deleted): nobody waits any more. */
  replicaClosed(): void {
    // Looked up now, for who asks later: its log may begin elsewhere by then, and remembers nothing of what was committed here.
    void this.highWatermark;
    this.#waits.leadershipLost();
    this.#isr = undefined;
    this.#isrTerm = undefined;
    this.#handover.end(this.notLeader());
  }

  /** Looks at every wait; a call from inside an answer is done after it (answers append the next batch). */
  examine(): void {
    if (this.#examining) {
      this.#examineAgain = true;
      return;
    }
    this.#examining = true;
    try {
      do {
        this.#examineAgain = false;
        this.#examineOnce();
      } while (this.#examineAgain);
    } finally {
      this.#examining = false;
    }
    this.#ports.moved(this);
    if (this.#waits.size === 0 && this.machine?.busy !== true) this.#handover.drained();
  }

  /** Highest index known durable on a replica. */
  durableOf(replica: ReplicaId): LogIndex | undefined {
    const { core } = this.replica;
    return replica === core.self ? core.durable : core.progress(replica)?.match;
  }

  #examineOnce(): void {
    const { core } = this.replica;
    if (this.#isr === undefined) {
      this.#waits.committed(core.commit);
      return;
    }
    if (core.role !== "leader" || core.term !== this.#isrTerm) return; // the role change follows and ends the waits
    this.#waits.update({
      commit: core.commit,
      durableOwn: core.durable,
      required: this.#isr.required,
      durableOf: (replica) => this.durableOf(replica),
      isrSize: this.#isr.isrSize,
      minIsr: this.minIsr,
    });
  }

  #refuse(draft: FrameDraft, acks: AcksLevel): MillraceError | undefined {
    if (this.#isr === undefined) return this.notLeader();
    const future = refuseFuture(this.name, draft, this.#ports.clock.wall());
    if (future !== undefined) return future;
    if (!this.#waits.admits(draft.payload.byteLength)) return this.#pendingFull();
    return this.#room.refuse(frameBytesOf(draft)) ?? refuseReplicas(acks, this.#isr.isrSize, this.minIsr);
  }

  /** Of a leader whose disk is full: who could lead this partition so that records are taken again; undefined: nobody. */
  get successor(): ReplicaId | undefined {
    const { core } = this.replica;
    const { isr, claim } = this.#settings.isr;
    // What is recorded of an earlier leader says little of who is in sync now.
    if (!this.accepts || this.#isr === undefined || claim?.term !== core.term) return undefined;
    const candidates = core.configuration.voters.map((replicaId) => ({
      replicaId,
      inSync: isr.includes(replicaId),
      able: replicaId !== core.self && this.#room.keepsUp(replicaId),
      match: core.progress(replicaId)?.match ?? 0,
    }));
    return successor(core.configuration, core.self, this.#room.fullReplicas, candidates);
  }

  #wait(acks: AcksLevel, index: LogIndex, bytes: number, done: AppendDone, outcome: () => Appended | MillraceError): () => void {
    if (acks === "NONE") {
      done(outcome());
      return noCancel;
    }
    const wait: AckWait = this.#waits.add(acks, index, bytes, (failure) => done(failure === undefined ? outcome() : this.#failed(failure)));
    return () => void this.#waits.cancel(wait);
  }

  #appended(index: LogIndex, baseOffset: Offset, recordCount: number, term: Term, appendTime: number, duplicate: boolean): Appended {
    const durable = durableReplicas(index, votersOf(this.replica.core.configuration), (replica) => this.durableOf(replica));
    return {
      baseOffset,
      recordCount,
      term,
      highWatermark: this.highWatermark,
      durableBrokers: durable.map((replica) => this.brokerOf(replica)).filter((broker) => broker !== undefined),
      duplicate,
      appendTime,
    };
  }

  #failed(failure: AckFailure): MillraceError {
    if (failure === "LEADERSHIP_LOST") return leadershipLost(this.name);
    return belowMinimum(this.name, this.#isr?.isrSize ?? 0, this.minIsr);
  }

  notLeader(): MillraceError {
    return notLeader(this.name, this.leaderBroker, this.replica.core.term);
  }

  #pendingFull(): MillraceError {
    return pendingFull(this.name, this.#waits.pendingBytes, this.options.pendingBytesMax);
  }

  #refusedProposal(why: string, draft: FrameDraft): MillraceError {
    if (why === "full") return this.#pendingFull();
    return why === "too-large" ? tooLarge(draft) : this.notLeader();
  }
}

function noCancel(): void {}
