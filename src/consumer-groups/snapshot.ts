import type { LogIndex, TopicId } from "../base/ids.ts";
import { invariant } from "../base/invariant.ts";
import { bool, int32, int64, type MessageOf, message, optional, repeated, string, submessage } from "../protocol/codec/index.ts";
import { Reader } from "../protocol/codec/reader.ts";
import { varintLength, Writer } from "../protocol/codec/writer.ts";
import { checkGroup } from "./check-group.ts";
import { logIndexField, topicIdField } from "./fields.ts";
import { type CommittedOffset, type GroupState, type Holding, newGroup } from "./group-state.ts";
import { malformed, malformedUnless } from "./malformed.ts";
import type { PartitionMap } from "./partition-map.ts";

/** The image as a header and one message per group, in canonical order: equal images give equal bytes (C6). Drawn in FORMAT.md. */

export interface ImageParts {
  readonly groups: Map<string, GroupState>;
  /** No group that was ever deleted had a later epoch. */
  readonly epochFloor: number;
  /** Index of the last fact in it. */
  readonly version: LogIndex;
  /** Number of the newest recovery of the log after a lost majority; 0: none. */
  readonly recovery: number;
}

const FORMAT_VERSION = 1;

const Header = message("millrace.internal.v1.GroupsHeader", {
  formatVersion: int32(1),
  version: logIndexField(2),
  epochFloor: int32(3),
  groups: int32(4),
  recovery: int64(5),
});

const Member = message("millrace.internal.v1.GroupMember", {
  id: string(1),
  instanceId: optional(string(2)),
  rack: string(3),
  clientAddress: string(4),
  topics: repeated(string(5)),
  assignor: string(6),
  rebalanceTimeoutMs: int32(7),
  joinEpoch: int32(8),
  epoch: int32(9),
  away: bool(10),
  topicPattern: string(11),
});

/** Lists of one topic are as long as each other. A member is named by its place in the group's list, from 1; 0 is nobody. */
const TargetTopic = message("millrace.internal.v1.GroupTargetTopic", {
  topicId: topicIdField(1),
  name: string(2),
  owners: repeated(int32(3)),
});
const HeldTopic = message("millrace.internal.v1.GroupHeldTopic", {
  topicId: topicIdField(1),
  partitions: repeated(int32(2)),
  members: repeated(int32(3)),
  since: repeated(int32(4)),
  revoking: repeated(int32(5)),
});
const OffsetsTopic = message("millrace.internal.v1.GroupOffsetsTopic", {
  topicId: topicIdField(1),
  partitions: repeated(int32(2)),
  offsets: repeated(int64(3)),
  terms: repeated(int64(4)),
  committedAtMs: repeated(int64(5)),
  metadata: repeated(string(6)),
});

const Group = message("millrace.internal.v1.GroupImage", {
  id: string(1),
  epoch: int32(2),
  targetEpoch: int32(3),
  assignor: string(4),
  emptySinceMs: int64(5),
  members: repeated(submessage(6, Member)),
  target: repeated(submessage(7, TargetTopic)),
  held: repeated(submessage(8, HeldTopic)),
  offsets: repeated(submessage(9, OffsetsTopic)),
});

/** Tags of the snapshot's two fields: 1 the header, 2 a group. */
const HEADER_TAG = 0x0a;
const GROUP_TAG = 0x12;
/** Partitions and members of a slice: about a millisecond of work. */
const SLICE_ITEMS = 600;

export function encodeImage(parts: ImageParts): Uint8Array {
  const slices = [...imageSlices(parts)];
  const bytes = new Uint8Array(slices.reduce((sum, slice) => sum + slice.length, 0));
  let at = 0;
  for (const slice of slices) {
    bytes.set(slice, at);
    at += slice.length;
  }
  return bytes;
}

/** The same bytes in slices, so that nobody waits for all of them at once (design §3). The groups must not change meanwhile. */
export function* imageSlices({ groups, epochFloor, version, recovery }: ImageParts): Generator<Uint8Array> {
  yield field(HEADER_TAG, Header.encode({ formatVersion: FORMAT_VERSION, version, epochFloor, groups: groups.size, recovery }));
  let slice: Uint8Array[] = [];
  let items = 0;
  for (const [id, group] of inOrder(groups)) {
    slice.push(field(GROUP_TAG, Group.encode(stored(id, group))));
    items += 10 + group.members.size + group.held.size + group.offsets.size;
    if (items < SLICE_ITEMS) continue;
    yield joined(slice);
    slice = [];
    items = 0;
  }
  if (slice.length > 0) yield joined(slice);
}

/** @throws {GroupsMalformed} when the bytes are no image */
export function decodeImage(bytes: Uint8Array): ImageParts {
  return malformedUnless(() => {
    const reader = new Reader(bytes);
    reader.message = "millrace.internal.v1.GroupsSnapshot";
    if (bytes.length === 0 || reader.tag() !== HEADER_TAG) malformed("a snapshot of groups begins with its header");
    const { formatVersion, version, epochFloor, groups: count, recovery } = Header.decode(reader.view());
    if (formatVersion !== FORMAT_VERSION) malformed(`format version ${formatVersion}; this version reads ${FORMAT_VERSION}`);
    if (version < 0 || epochFloor < 0 || recovery < 0) malformed("numbers below 0");
    const groups = new Map<string, GroupState>();
    let last = "";
    while (reader.at < bytes.length) {
      if (reader.tag() !== GROUP_TAG) malformed(`byte ${reader.at}: something else than a group`);
      const group = restored(Group.decode(reader.view()));
      if (groups.size > 0 && group.id <= last) malformed(`group ${group.id} after ${last}`);
      last = group.id;
      groups.set(group.id, group);
    }
    if (groups.size !== count) malformed(`${groups.size} groups, the header says ${count}`);
    return { groups, epochFloor, version, recovery };
  });
}

function stored(id: string, group: GroupState): Parameters<(typeof Group)["encode"]>[0] {
  const members = inOrder(group.members);
  const places = new Map(members.map(([member], place) => [member, place + 1]));
  const placeOf = (member: string): number => {
    const place = places.get(member);
    invariant(place !== undefined, () => `${member} is a member of group ${id}`);
    return place;
  };
  return {
    id,
    epoch: group.epoch,
    targetEpoch: group.targetEpoch,
    assignor: group.assignor,
    emptySinceMs: group.emptySinceMs,
    members: members.map(([, member]) => member),
    target: inOrder(group.target).map(([topicId, { name, owners }]) => ({
      topicId,
      name,
      owners: owners.map((owner) => (owner === undefined ? 0 : placeOf(owner))),
    })),
    held: columns(group.held, (topicId, partitions, values: readonly Holding[]) => ({
      topicId,
      partitions,
      members: values.map(({ member }) => placeOf(member)),
      since: values.map(({ since }) => since),
      revoking: values.map(({ revoking }) => revoking),
    })),
    offsets: columns(group.offsets, (topicId, partitions, values: readonly CommittedOffset[]) => ({
      topicId,
      partitions,
      offsets: values.map(({ offset }) => offset),
      terms: values.map(({ term }) => term),
      committedAtMs: values.map(({ committedAtMs }) => committedAtMs),
      metadata: values.map(({ metadata }) => metadata),
    })),
  };
}

function columns<V, Row>(
  map: PartitionMap<V>,
  row: (topicId: TopicId, partitions: readonly number[], values: readonly V[]) => Row,
): readonly Row[] {
  return [...map.topics()].sort().map((topicId) => {
    const all = [...map.of(topicId).entries()].filter((entry): entry is [number, V] => entry[1] !== undefined);
    return row(
      topicId,
      all.map(([partition]) => partition),
      all.map(([, value]) => value),
    );
  });
}

function restored(from: MessageOf<typeof Group>): GroupState {
  const group = newGroup(from.id, from.epoch);
  const memberAt = (place: number): string => from.members[place - 1]?.id ?? malformed(`group ${from.id}: a member ${place}`);
  group.assignor = checkGroup(from);
  group.targetEpoch = from.targetEpoch;
  group.emptySinceMs = from.emptySinceMs;
  for (const member of from.members) group.members.set(member.id, member);
  group.target = new Map(
    from.target.map(({ topicId, name, owners }) => [
      topicId,
      { topicId, name, owners: owners.map((owner) => (owner === 0 ? undefined : memberAt(owner))) },
    ]),
  );
  for (const { topicId, partitions, members, since, revoking } of from.held)
    for (const [row, partition] of partitions.entries()) {
      const holding = { member: memberAt(members[row] ?? 0), since: since[row] ?? 0, revoking: revoking[row] ?? 0 };
      group.held.set(topicId, partition, holding);
      if (holding.revoking > 0) group.revoking += 1;
    }
  for (const { topicId, partitions, offsets, terms, committedAtMs, metadata } of from.offsets)
    for (const [row, partition] of partitions.entries())
      group.offsets.set(topicId, partition, {
        offset: offsets[row] ?? 0,
        term: terms[row] ?? -1,
        metadata: metadata[row] ?? "",
        committedAtMs: committedAtMs[row] ?? 0,
      });
  return group;
}

/** By key, by code unit: the same everywhere. */
function inOrder<K extends string, V>(entries: ReadonlyMap<K, V>): [K, V][] {
  return [...entries].sort(([a], [b]) => (a < b ? -1 : 1));
}

function field(tag: number, value: Uint8Array): Uint8Array {
  const out = new Writer(1 + varintLength(value.length) + value.length, undefined);
  out.varint(tag);
  out.varint(value.length);
  out.bytes(value);
  return out.finish();
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Writer(
    parts.reduce((sum, part) => sum + part.length, 0),
    undefined,
  );
  for (const part of parts) out.bytes(part);
  return out.finish();
}
