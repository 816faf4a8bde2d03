import { MillraceError } from "../base/errors.ts";
import { type BrokerId, type GroupId, type LogIndex, METADATA_GROUP, type Offset, type ReplicaId } from "../base/ids.ts";
import type { Clock } from "../base/ports/clock.ts";
import type { Until } from "../base/until.ts";
import { FetchResponse } from "../protocol/public.ts";
import {
  BrokerReport,
  BrokerStanding,
  ForwardedFetch,
  ForwardedTransfer,
  ForwardedTransferred,
  ForwardedTrim,
  ForwardedTrimmed,
  GroupMembers,
  MembersQuestion,
  MetadataTail,
  ResetAnswer,
} from "../protocol/routing.ts";
import { EXTEND_METHOD, RESET_METHOD, TAKEN, TAKEN_SUFFERING } from "./catch-up/catch-up.ts";
import { decodeOffer } from "./catch-up/reset-offer.ts";
import { takeReset } from "./catch-up/take-reset.ts";
import { LEAVE_METHOD } from "./departure.ts";
import { DISK_METHOD } from "./disk-notices.ts";
import { GROUP_METHOD, type GroupCalls } from "./groups/calls/group-calls.ts";
import type { Coordinator } from "./groups/coordinator/coordinator.ts";
import type { GroupsHosting } from "./groups/groups-hosting.ts";
import { SNAPSHOT_METHOD, snapshotGroup } from "./machine/snapshot-transfer.ts";
import type { FormationLoop } from "./membership/formation-loop.ts";
import { WHO_METHOD } from "./membership/formation-loop.ts";
import { REGISTER_METHOD, serveRegistration } from "./membership/join-registration.ts";
import { MEMBERS_METHOD } from "./membership/unplaced.ts";
import { BARRIER_METHOD, COMMAND_METHOD, type MetadataGroup } from "./metadata/metadata-group.ts";
import { serveTail, TAIL_METHOD } from "./metadata/metadata-tail.ts";
import type { Appended } from "./partition/partition.ts";
import type { Trimmed } from "./partition/trim-partition.ts";
import type { PartitionSet } from "./partition-set.ts";
import { CLOCK_METHOD } from "./peer-clocks.ts";
import type { IncomingCall } from "./peers/peer-calls.ts";
import { BadPeerMessage, verifiedFrames } from "./peers/raft-codec.ts";
import type { Recoveries } from "./recovery/recoveries.ts";
import { STANDING_METHOD } from "./recovery/standings.ts";
import { RANGE_METHOD, serveRange } from "./repair/range-read.ts";
import type { ReplicaHost } from "./replica-host.ts";
import { REPORT_METHOD } from "./reports.ts";
import { decodeForwardedAppend, decodeForwardedQuestion, encodeForwardedAppended, encodeForwardedOffsets } from "./routing/forwarded.ts";
import { APPEND_METHOD, FETCH_METHOD, OFFSETS_METHOD, type RoutedLog, TRIM_METHOD } from "./routing/log-backend.ts";
import type { Router } from "./routing/router.ts";
import type { OffsetsOf } from "./services/log-service.ts";
import type { PeerRoom } from "./services/peer-room.ts";
import { TRANSFER_METHOD, type Transferred } from "./transfers.ts";

/** What exists once this broker belongs to a cluster. */
export interface MemberParts {
  readonly host: ReplicaHost;
  readonly group: MetadataGroup;
  /** Shards of `__groups` here. */
  readonly groups: Pick<GroupsHosting<Coordinator>, "snapshotsOf">;
  readonly groupCalls: Pick<GroupCalls, "serve">;
  readonly log: RoutedLog;
  readonly router: Router;
  report(): Promise<BrokerReport>;
  readonly recoveries: Pick<Recoveries, "standing" | "epoch">;
  readonly partitions: Pick<PartitionSet, "membersHere">;
  /** That broker stops soon. */
  peerLeaves(broker: BrokerId): void;
  /** That broker's disk has no room, or has again. */
  peerDisk(broker: BrokerId, full: boolean): void;
  transferHere(groupId: GroupId, to: number, until: Until): Promise<Transferred>;
}

type Handler = (call: IncomingCall, parts: MemberParts) => void | Promise<void>;

/** Calls from other brokers, by method. Each was marked forwarded by coming here: it is never handed on again. */
export class PeerService {
  readonly #clock: Clock;
  readonly #formation: () => FormationLoop | undefined;
  readonly #parts: () => MemberParts | undefined;
  readonly #failed: (error: unknown) => void;
  readonly #room: PeerRoom;
  readonly #handlers: ReadonlyMap<string, Handler>;

  constructor(
    clock: Clock,
    formation: () => FormationLoop | undefined,
    parts: () => MemberParts | undefined,
    failed: (error: unknown) => void,
    room: PeerRoom,
  ) {
    this.#room = room;
    this.#clock = clock;
    this.#formation = formation;
    this.#parts = parts;
    this.#failed = failed;
    this.#handlers = new Map<string, Handler>([
      [COMMAND_METHOD, (call, { group }) => void call.onCancel(group.serveCommand(call.body, (answer) => call.reply([answer])))],
      [
        BARRIER_METHOD,
        (call, { group }) => void call.onCancel(group.serveBarrier((index) => call.reply(index === undefined ? [] : [eightBytes(index)]))),
      ],
      [REGISTER_METHOD, (call, { group, recoveries }) => serveRegistration(this.#clock, call, group, recoveries.epoch)],
      [TAIL_METHOD, (call, { group }) => this.#tail(call, group)],
      [SNAPSHOT_METHOD, (call, parts) => this.#snapshot(call, parts)],
      [EXTEND_METHOD, (call, { host }) => this.#extend(call, host)],
      [RESET_METHOD, (call, { host }) => this.#reset(call, host)],
      [RANGE_METHOD, (call, { host }) => serveRange(call, (groupId) => host.get(groupId))],
      [APPEND_METHOD, (call, parts) => this.#append(call, parts)],
      [FETCH_METHOD, (call, parts) => this.#read(call, parts)],
      [OFFSETS_METHOD, (call, parts) => this.#offsets(call, parts)],
      [GROUP_METHOD, (call, { groupCalls }) => groupCalls.serve(call)],
      [TRIM_METHOD, (call, parts) => this.#trim(call, parts)],
      [REPORT_METHOD, async (call, parts) => call.reply([BrokerReport.encode(await parts.report())])],
      [STANDING_METHOD, (call, parts) => call.reply([BrokerStanding.encode(parts.recoveries.standing())])],
      [MEMBERS_METHOD, (call, parts) => this.#members(call, parts)],
      [LEAVE_METHOD, (call, parts) => this.#leave(call, parts)],
      [DISK_METHOD, (call, parts) => this.#disk(call, parts)],
      [CLOCK_METHOD, (call) => call.reply([eightBytes(this.#clock.wall())])],
      [TRANSFER_METHOD, (call, parts) => this.#transfer(call, parts)],
    ]);
  }

  serve(call: IncomingCall, kind: "bulk" | "join"): void {
    const settle = (error: unknown): void => {
      if (error instanceof MillraceError) call.fail(error);
      else {
        call.fail(new MillraceError("INTERNAL", `${call.method} failed`));
        this.#failed(error);
      }
    };
    try {
      if (call.method === WHO_METHOD) {
        const formation = this.#formation();
        if (formation === undefined) return call.fail(notReady());
        return formation.asked(call);
      }
      const parts = this.#parts();
      if (parts === undefined || (kind === "join" && call.method !== REGISTER_METHOD)) return call.fail(notReady());
      const handler = this.#handlers.get(call.method);
      if (handler === undefined)
        return call.fail(new MillraceError("NOT_IMPLEMENTED", `Brokers know no method ${call.method.slice(0, 100)}`));
      const result = handler(call, parts);
      if (result instanceof Promise) result.catch(settle);
    } catch (error) {
      if (error instanceof BadPeerMessage) throw error; // the connection ends
      settle(error);
    }
  }

  async #tail(call: IncomingCall, group: MetadataGroup): Promise<void> {
    const { fromIndex, maxWaitMs } = MetadataTail.decode(call.body);
    call.reply(await serveTail(this.#clock, group, fromIndex as LogIndex, maxWaitMs));
  }

  async #snapshot(call: IncomingCall, { group, groups }: MemberParts): Promise<void> {
    const of = snapshotGroup(call.body);
    const snapshots = of === METADATA_GROUP ? group.snapshots : groups.snapshotsOf(of);
    call.reply((await snapshots?.serve(call.body)) ?? []);
  }

  /** Damaged pieces end the connection, before anything is awaited (design §4); what the log then cannot take is answered "not taken". */
  #extend(call: IncomingCall, host: ReplicaHost): Promise<void> {
    const { body } = call;
    if (body.byteLength < 16) throw new BadPeerMessage("an extension without a head");
    const view = new DataView(body.buffer, body.byteOffset, 16);
    const groupId = view.getFloat64(0, true) as GroupId;
    const frames = verifiedFrames(body.subarray(16));
    for (const [at, frame] of frames.entries()) {
      if (frame.groupId !== groupId || frame.index !== (frames[0]?.index ?? 0) + at) {
        throw new BadPeerMessage(`frame ${frame.index} of group ${frame.groupId} does not belong into an extension of ${groupId}`);
      }
    }
    return host
      .takeExtension(groupId, view.getFloat64(8, true) as ReplicaId, frames)
      .then((taken) => call.reply(taken ? [Uint8Array.of(host.suffers ? TAKEN_SUFFERING : TAKEN)] : []));
  }

  async #members(call: IncomingCall, { partitions }: MemberParts): Promise<void> {
    const members = await partitions.membersHere(MembersQuestion.decode(call.body).groupId as GroupId);
    call.reply(members === undefined ? [] : [GroupMembers.encode(members)]);
  }

  #reset(call: IncomingCall, host: ReplicaHost): Promise<void> {
    const offer = decodeOffer(call.body);
    return takeReset(host, call.from, offer).then((start) =>
      call.reply([ResetAnswer.encode({ begun: start !== undefined, index: start?.index ?? 0, term: start?.term ?? 0 })]),
    );
  }

  #append(call: IncomingCall, { log, router }: MemberParts): void {
    const { groupId, batch } = decodeForwardedAppend(call.body);
    this.#handedOn<Appended>(
      call,
      router,
      groupId,
      (finish) => log.appendHere(groupId as GroupId, batch, finish),
      (appended) => [encodeForwardedAppended(appended)],
    );
  }

  #read(call: IncomingCall, { log, router }: MemberParts): void {
    const { groupId, request } = ForwardedFetch.decode(call.body);
    if (request === undefined) return call.fail(new MillraceError("INVALID_REQUEST", "A forwarded fetch without its request"));
    const maxBytes = this.#room.bytesFor(call, request.maxBytes);
    if (maxBytes instanceof MillraceError) return call.fail(maxBytes);
    this.#handedOn<FetchResponse>(
      call,
      router,
      groupId,
      (finish) =>
        log.readFor(groupId as GroupId, { ...request, maxBytes }, call.deadline, (outcome) =>
          finish(outcome instanceof MillraceError ? outcome : this.#room.admit(call, outcome)),
        ),
      (fetched) => FetchResponse.encodeParts(fetched),
    );
  }

  #offsets(call: IncomingCall, { log, router }: MemberParts): void {
    const { groupId, timeMs, asked } = decodeForwardedQuestion(call.body);
    this.#handedOn<OffsetsOf>(
      call,
      router,
      groupId,
      (finish) => log.offsetsHere(groupId as GroupId, timeMs, asked, finish),
      (offsets) => [encodeForwardedOffsets(offsets)],
    );
  }

  #trim(call: IncomingCall, { log, router }: MemberParts): void {
    const { groupId, beforeOffset } = ForwardedTrim.decode(call.body);
    const before = beforeOffset < 0 ? undefined : (beforeOffset as Offset);
    this.#handedOn<Trimmed>(
      call,
      router,
      groupId,
      (finish) => log.trimHere(groupId as GroupId, before, finish),
      (trimmed) => [ForwardedTrimmed.encode(trimmed)],
    );
  }

  #leave(call: IncomingCall, parts: MemberParts): void {
    parts.peerLeaves(call.from);
    call.reply([]);
  }

  #disk(call: IncomingCall, parts: MemberParts): void {
    parts.peerDisk(call.from, call.body[0] === 1);
    call.reply([]);
  }

  #transfer(call: IncomingCall, parts: MemberParts): void {
    const { groupId, toBrokerId } = ForwardedTransfer.decode(call.body);
    this.#handedOn<Transferred>(
      call,
      parts.router,
      groupId,
      (finish) => {
        parts
          .transferHere(groupId as GroupId, toBrokerId, { deadline: call.deadline, caller: call })
          .then(finish, (error: unknown) => (error instanceof MillraceError ? finish(error) : this.#failed(error)));
        return () => {};
      },
      (transferred) => [ForwardedTransferred.encode(transferred)],
    );
  }

  /** A leader that cannot take the call yet, or hands over, holds it; anybody else refuses it (design §8). */
  #handedOn<T>(
    call: IncomingCall,
    router: Router,
    groupId: number,
    run: (finish: (outcome: T | MillraceError) => void) => () => void,
    encode: (value: T) => Uint8Array[],
  ): void {
    const giveUp = router.route({
      groupId: groupId as GroupId,
      bytes: call.body.byteLength,
      deadline: call.deadline,
      direct: true,
      runHere: () => {
        if (call.cancelled) return;
        const cancel = run((outcome) => (outcome instanceof MillraceError ? call.fail(outcome) : call.reply(encode(outcome))));
        call.onCancel(cancel);
      },
      runThere: (broker: BrokerId) =>
        call.fail(new MillraceError("INTERNAL", `A forwarded call must not be handed on to broker ${broker}`)),
      fail: (error) => call.fail(error),
    });
    call.onCancel(giveUp);
  }
}

function notReady(): MillraceError {
  return new MillraceError("NOT_READY", "The broker has not joined its cluster yet; nothing was written", {}, 100);
}

function eightBytes(n: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, n, true);
  return bytes;
}
