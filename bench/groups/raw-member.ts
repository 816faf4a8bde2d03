import type { ClientStream, RpcChannel } from "../../src/base/ports/rpc-client.ts";
import { GroupService } from "../../src/protocol/methods.ts";
import { type MemberHeartbeat, SessionRequest, SessionResponse } from "../../src/protocol/public/group-service.ts";
import { now } from "./clock.ts";

export interface MemberEvents {
  /** It was told so, and holds it from now on; what it does not hold any more it has not said yet. */
  held(member: string, granted: readonly number[], asked: readonly number[], at: number): void;
  /** Its stream ended, and nobody asked for that. */
  broken(member: string, why: string): void;
}

/**
 * A member as the protocol asks for, and no more: a `Session`, a heartbeat when one is due, and partitions given back the moment they
 * are asked for. It reads no records. A hundred of them cost this process less than one that does.
 */
export class RawMember {
  readonly id: string;
  readonly #group: string;
  readonly #topic: string;
  readonly #events: MemberEvents;
  readonly #stream: ClientStream;
  #holds: ReadonlySet<number> = new Set();
  #topicId = "";
  #epoch = 0;
  #timer: NodeJS.Timeout | undefined;
  #leaving = false;
  #ended: () => void = () => {};

  /** Joins. */
  constructor(channel: RpcChannel, group: string, topic: string, id: string, events: MemberEvents) {
    this.id = id;
    this.#group = group;
    this.#topic = topic;
    this.#events = events;
    this.#stream = channel.openStream(GroupService.Session.path, "bidi");
    this.#stream.handlers = {
      message: (bytes) => this.#told(bytes),
      drain() {},
      closed: (error) => {
        clearInterval(this.#timer);
        this.#ended();
        if (!this.#leaving) this.#events.broken(this.id, error?.message ?? "ended by the broker");
      },
    };
    this.#send({ memberEpoch: 0, topics: [topic], topicsChanged: true });
  }

  /** Leaves for good. Resolves when the coordinator has said so. */
  leave(): Promise<void> {
    this.#leaving = true;
    clearInterval(this.#timer);
    return new Promise((resolve) => {
      this.#ended = resolve;
      this.#send({ memberEpoch: -1 });
    });
  }

  /** Goes without a word: the run is over. */
  drop(): void {
    this.#leaving = true;
    this.#stream.cancel();
  }

  #told(bytes: Uint8Array): void {
    const { state } = SessionResponse.decode(bytes);
    if (state === undefined || state.memberEpoch < 0) return;
    this.#epoch = state.memberEpoch;
    this.#timer ??= setInterval(() => this.#beat(), state.heartbeatIntervalMs);
    if (!state.assignmentChanged) return;
    const next = new Set(state.assignment.flatMap(({ partitions }) => partitions));
    this.#topicId = state.assignment[0]?.topicId ?? this.#topicId;
    const granted = [...next].filter((partition) => !this.#holds.has(partition));
    const asked = [...this.#holds].filter((partition) => !next.has(partition));
    this.#holds = next;
    this.#events.held(this.id, granted, asked, now());
    if (asked.length > 0) this.#beat();
  }

  #beat(): void {
    const partitions = [...this.#holds];
    this.#send({
      memberEpoch: this.#epoch,
      owned: partitions.length === 0 ? [] : [{ topic: this.#topic, topicId: this.#topicId, partitions }],
    });
  }

  #send(beat: Partial<MemberHeartbeat>): void {
    this.#stream.write(SessionRequest.encode({ heartbeat: { groupId: this.#group, memberId: this.id, ...beat } }));
  }
}
