import { MillraceError } from "../../base/errors.ts";
import type { BrokerId, GroupId, Incarnation, LogIndex, ReplicaId, Term } from "../../base/ids.ts";
import type { Clock } from "../../base/ports/clock.ts";
import type { Telemetry } from "../../base/ports/telemetry.ts";
import type { Command } from "../../cluster/commands.ts";
import { type PartitionImage, placedReplicas } from "../../cluster/image-state.ts";
import { GroupMembers, MembersQuestion } from "../../protocol/routing.ts";
import type { Members } from "../members.ts";
import type { PeerLinks } from "../peers/peer-links.ts";
import type { Replica } from "../replica.ts";

export const MEMBERS_METHOD = "partition.members";

/** Time a leader has to answer, and the controller to record, milliseconds. */
const ANSWER_MS = 2_000;
/** Pause before it is asked again, then twice as long, … : as long as its leader is away nobody can say anything. Milliseconds. */
const AGAIN_MS = 500;
const AGAIN_MAX_MS = 5_000;

export interface UnplacedPorts {
  readonly self: BrokerId;
  /** Of this very disk. */
  readonly incarnation: Incarnation;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly links: Pick<PeerLinks, "call">;
  /** What a leader on this very broker says. */
  readonly membersHere: (groupId: GroupId) => Promise<GroupMembers | undefined>;
  /** To the controller. @throws {MillraceError} */
  readonly submit: (command: Command, deadline: number) => Promise<unknown>;
  /** One belongs to nobody any more: what is on this disk is to be looked at again. */
  readonly again: () => void;
  readonly failed: (error: unknown) => void;
}

interface Look {
  readonly replica: ReplicaId;
  /** Who may lead its group, as far as the newest image and the replica itself know. */
  brokers: ReadonlySet<BrokerId>;
  /** A leader has said that it is no member: it never will be again. */
  outlived: boolean;
}

/**
 * Replicas on this disk that the metadata does not place. One that another took the place of belongs to nobody. But the metadata may also
 * have gone on from a moment before it was placed (`recover`), or its successor was placed while its disk was away: then it votes, and may be
 * the only one that holds what was acknowledged. Its group's leader tells one from the other, and nobody else can:
 *
 * - *no member*: it is outlived. Ids are given once and members come only from the metadata, so that stays true.
 * - *a voter*: the metadata is asked to place it again. The term goes with it, so that a leader claimed since must be asked anew.
 * - a learner, no leader, or members that are changing: it stays, and is asked for again.
 */
export class Unplaced {
  readonly #ports: UnplacedPorts;
  readonly #looks = new Map<GroupId, Look>();
  #closed = false;

  constructor(ports: UnplacedPorts) {
    this.#ports = ports;
  }

  /** Call whenever the image changed, and it is as new as this broker's start. @returns whether the replica belongs to nobody any more */
  outlived(partition: PartitionImage, replica: Pick<Replica, "id"> & { readonly members: Pick<Members, "all"> }): boolean {
    const { groupId } = partition;
    if (placedReplicas(partition).some(({ replicaId }) => replicaId === replica.id)) {
      this.#looks.delete(groupId);
      return false;
    }
    const brokers = new Set([...placedReplicas(partition), ...replica.members.all].map(({ brokerId }) => brokerId));
    const known = this.#looks.get(groupId);
    if (known?.replica === replica.id) {
      known.brokers = brokers;
      return known.outlived;
    }
    const look = { replica: replica.id, brokers, outlived: false };
    this.#looks.set(groupId, look);
    this.#ask(groupId, look, AGAIN_MS).catch(this.#ports.failed);
    return false;
  }

  /** No replica of any other group is here, or its topic is deleted: nobody is asked about it any more. */
  only(groups: ReadonlySet<GroupId>): void {
    for (const groupId of this.#looks.keys()) if (!groups.has(groupId)) this.#looks.delete(groupId);
  }

  close(): void {
    this.#closed = true;
  }

  /** Asks until it is decided. @param pauseMs before the next time */
  async #ask(groupId: GroupId, look: Look, pauseMs: number): Promise<void> {
    const unwanted = (): boolean => this.#closed || this.#looks.get(groupId) !== look;
    if (unwanted()) return;
    const said = await Promise.all([...look.brokers].map((broker) => this.#askOne(groupId, broker)));
    if (unwanted()) return;
    // A former leader can have answered before it was followed no more: the later term counts.
    const members = said.filter((each) => each !== undefined).sort((a, b) => b.term - a.term)[0];
    if (members !== undefined && !members.voters.includes(look.replica) && !members.learners.includes(look.replica)) look.outlived = true;
    else if (members?.voters.includes(look.replica) === true) await this.#adopt(groupId, look.replica, members.term as Term);
    if (look.outlived && !unwanted()) this.#ports.again();
    const again = (): void => void this.#ask(groupId, look, Math.min(AGAIN_MAX_MS, 2 * pauseMs)).catch(this.#ports.failed);
    if (!look.outlived) this.#ports.clock.after(pauseMs, again);
  }

  #askOne(groupId: GroupId, broker: BrokerId): Promise<GroupMembers | undefined> {
    if (broker === this.#ports.self) return this.#askHere(groupId);
    return new Promise((resolve) => {
      this.#ports.links.call(broker, MEMBERS_METHOD, [MembersQuestion.encode({ groupId })], ANSWER_MS, (outcome) =>
        resolve("body" in outcome && outcome.body.length > 0 ? GroupMembers.decode(outcome.body) : undefined),
      );
    });
  }

  /** A leader whose quorum is silent does not answer before it steps down, or never while it is suspended. */
  #askHere(groupId: GroupId): Promise<GroupMembers | undefined> {
    const { clock, membersHere } = this.#ports;
    return new Promise((resolve, reject) => {
      const late = clock.after(ANSWER_MS, () => resolve(undefined));
      membersHere(groupId)
        .then(resolve, reject)
        .finally(() => late.cancel());
    });
  }

  async #adopt(groupId: GroupId, replicaId: ReplicaId, term: Term): Promise<void> {
    const { self: brokerId, incarnation, clock, submit, telemetry } = this.#ports;
    try {
      await submit({ kind: "adoptReplica", groupId, term, replicaId, brokerId, incarnation }, clock.monotonic() + ANSWER_MS);
      telemetry.log("warn", "replica.adopted", { groupId, replicaId, brokerId });
    } catch (error) {
      // The leader has not claimed yet, the metadata names a healthy replica here, or there is no controller: it is asked anew.
      if (!(error instanceof MillraceError)) throw error;
    }
  }
}

/**
 * Who is a member of a group, if its leader is here: after a quorum has followed it since this was asked, and only when no change is
 * under way. A leader that was replaced meanwhile might not know who came since, or who went.
 */
export async function membersHere(
  replica: Pick<Replica, "serves"> & { readonly core: Pick<Replica["core"], "term" | "commit" | "configuration" | "configurationIndex"> },
  readIndex: (done: (index: LogIndex | undefined) => void) => void,
): Promise<GroupMembers | undefined> {
  const { core } = replica;
  const { term } = core;
  if (!replica.serves) return undefined;
  const index = await new Promise<LogIndex | undefined>((done) => readIndex(done));
  const { voters, old, learners } = core.configuration;
  if (index === undefined || !replica.serves || core.term !== term) return undefined;
  if (old !== undefined || core.configurationIndex > core.commit) return undefined;
  return { term, voters: [...voters], learners: [...learners] };
}
