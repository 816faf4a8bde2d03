import { invariant } from "./invariant.ts";

declare const brand: unique symbol;
/** Two numbers that must not be mixed have two types (style 6). */
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** Position of a record in one partition, dense from 0. */
export type Offset = Brand<number, "Offset">;
/** Position of an entry (frame) in one Raft group, dense; the first entry has index 1, 0 means "before the first". */
export type LogIndex = Brand<number, "LogIndex">;
/** Raft term; 0 means "no term yet". */
export type Term = Brand<number, "Term">;
/** 53-bit number of a Raft group, allocated by the controller, never reused. Group 1 is the metadata group. */
export type GroupId = Brand<number, "GroupId">;
/** Number of one replica of one group on one disk, never reused. */
export type ReplicaId = Brand<number, "ReplicaId">;
/** Operator-chosen number of a broker, ≥ 1. */
export type BrokerId = Brand<number, "BrokerId">;
/** Number of one idempotent producer session, from the controller, never reused. -1 on a frame means "none". */
export type ProducerId = Brand<number, "ProducerId">;
/** Uuid of a topic (lower-case hex with dashes). */
export type TopicId = Brand<string, "TopicId">;
/** Identity of one disk: drawn when a data directory is first written (uuid). */
export type Incarnation = Brand<string, "Incarnation">;
/** Uuid of a cluster. */
export type ClusterId = Brand<string, "ClusterId">;

function whole(name: string, least: number): (n: number) => number {
  return (n) => {
    invariant(Number.isSafeInteger(n) && n >= least, () => `${name} must be a whole number >= ${least}: got ${n}`);
    return n;
  };
}

export const toOffset = whole("offset", 0) as (n: number) => Offset;
export const toLogIndex = whole("log index", 0) as (n: number) => LogIndex;
export const toTerm = whole("term", 0) as (n: number) => Term;
export const toGroupId = whole("group id", 1) as (n: number) => GroupId;
export const toReplicaId = whole("replica id", 1) as (n: number) => ReplicaId;
export const toBrokerId = whole("broker id", 1) as (n: number) => BrokerId;
export const toProducerId = whole("producer id", -1) as (n: number) => ProducerId;

/** The group of the cluster metadata (design §7). */
export const METADATA_GROUP: GroupId = toGroupId(1);
/** The controller allocates group, replica and producer ids from here up (design §7). */
export const FIRST_ALLOCATED_ID = 2 ** 20;
/** "No idempotent producer" in a frame header. */
export const NO_PRODUCER: ProducerId = toProducerId(-1);
