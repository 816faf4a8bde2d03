import { MillraceError } from "../../base/errors.ts";
import type { BrokerId, GroupId, LogIndex, Offset } from "../../base/ids.ts";
import type { Clock } from "../../base/ports/clock.ts";
import type { CallContext, RpcServer } from "../../base/ports/rpc-server.ts";
import type { Caller, Until } from "../../base/until.ts";
import type { Command } from "../../cluster/commands.ts";
import type { MetadataImage } from "../../cluster/image.ts";
import type { PartitionImage, TopicImage } from "../../cluster/image-state.ts";
import { namedTopic } from "../../cluster/named-topics.ts";
import type { Reply } from "../../cluster/replies.ts";
import type { PublicMethod } from "../../protocol/methods.ts";
import type { MetadataGroup } from "../metadata/metadata-group.ts";
import type { Trimmed } from "../partition/trim-partition.ts";
import type { Transferred } from "../transfers.ts";
import type { ClusterReports } from "./health.ts";
import type { ReplyRoom } from "./reply-room.ts";

/** What the admin service asks of the broker. */
export interface AdminBackend {
  readonly image: MetadataImage;
  readonly group: MetadataGroup;
  /** Leader of a group as this broker knows it best: its own replica, else the metadata. */
  leaderOf(partition: PartitionImage): { readonly broker: BrokerId; readonly term: number } | undefined;
  /** Asks every broker what it leads; those that do not answer in time are missing. */
  reports(caller: Caller | undefined): Promise<ClusterReports>;
  /** Hands the leadership of a group over. @param to 0: whoever is furthest. @returns who leads then */
  transfer(groupId: GroupId, to: number, until: Until): Promise<Transferred>;
  /** Lets go of records below an offset, wherever the leader is. @param before undefined: all that are committed */
  trim(groupId: GroupId, before: Offset | undefined, until: Until): Promise<Trimmed>;
}

const DEFAULT_DEADLINE_MS = 30_000;

/** What all calls of the admin service have in common: a deadline, a metadata version seen before, commands to the controller. */
export class AdminCalls {
  readonly #server: RpcServer;
  readonly #parts: () => AdminBackend;
  readonly #clock: Clock;
  readonly #room: ReplyRoom;
  #recorded: AdminBackend | undefined;

  /** @param parts the broker's; throws NOT_READY or SHUTTING_DOWN while it does not serve */
  constructor(server: RpcServer, parts: () => AdminBackend, clock: Clock, room: ReplyRoom) {
    this.#server = server;
    this.#parts = parts;
    this.#clock = clock;
    this.#room = room;
  }

  get parts(): AdminBackend {
    return this.#parts();
  }
  get image(): MetadataImage {
    return this.#parts().image;
  }
  /** For what is said of a command that is recorded: it is, also when the broker is told to stop meanwhile. */
  get recorded(): AdminBackend {
    return this.#recorded ?? this.#parts();
  }
  /** What this broker has replayed. */
  get version(): LogIndex {
    return this.#parts().group.view.applied;
  }

  /** A call that only reads. @param handle waits to the caller's deadline, or 30 s, and no longer than the caller */
  read({ path }: PublicMethod, handle: (request: Uint8Array, until: Until) => Promise<Uint8Array>): void {
    this.#server.register(path, {
      kind: "unary",
      handle: (request, call) => this.#room.answer(call, () => handle(request, this.#untilOf(call))),
    });
  }

  /** A call that changes something, which is answered once it is done, and refused before. @param handle as of `read` */
  change({ path }: PublicMethod, handle: (request: Uint8Array, until: Until) => Promise<Uint8Array>): void {
    this.#server.register(path, {
      kind: "unary",
      handle: async (request, call) => {
        this.#room.bytesFor(call, 0);
        return handle(request, this.#untilOf(call));
      },
    });
  }

  #untilOf(call: CallContext): Until {
    return { deadline: call.deadline ?? this.#clock.monotonic() + DEFAULT_DEADLINE_MS, caller: call };
  }

  /** Waits for what the caller has seen before (design §7). */
  async seen(minVersion: number, until: Until): Promise<void> {
    if (minVersion < 0)
      throw new MillraceError("INVALID_REQUEST", "min_metadata_version must not be negative", { field: "min_metadata_version" });
    await this.parts.group.applied(minVersion as LogIndex, until);
  }

  /** Records a command, and waits until this broker shows what was recorded. */
  async submit(command: Command, until: Until): Promise<{ readonly reply: Reply; readonly metadataVersion: LogIndex }> {
    const { parts } = this;
    const answer = await parts.group.submit(command, until);
    this.#recorded = parts;
    try {
      await parts.group.applied(answer.metadataVersion, until);
    } catch (error) {
      // It is recorded either way: a broker that is slow to read of it is no failure.
      if (!(error instanceof MillraceError)) throw error;
    }
    return answer;
  }

  /**
   * Asks behind a read barrier before it says "not found". @param topicId what the name must stand for; empty: anything
   * @throws {MillraceError} UNKNOWN_TOPIC
   */
  async topicNamed(name: string, until: Until, topicId = ""): Promise<TopicImage> {
    if (namedTopic(this.image, name, topicId) instanceof MillraceError) await this.parts.group.barrier(until);
    const topic = namedTopic(this.image, name, topicId);
    if (topic instanceof MillraceError) throw topic;
    return topic;
  }
}
