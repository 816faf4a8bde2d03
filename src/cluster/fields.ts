import type { BrokerId, ClusterId, GroupId, Incarnation, LogIndex, ProducerId, ReplicaId, Term, TopicId } from "../base/ids.ts";
import { type Field, int32, int64, string } from "../protocol/codec/index.ts";

/**
 * Fields whose values have a type of their own. What is read is not checked here: facts were written by a `decide`, and a command is
 * looked up in the image, where a number that nobody has is "unknown".
 */
export const brokerIdField = (number: number): Field<BrokerId> => int32(number) as Field<BrokerId>;
export const groupIdField = (number: number): Field<GroupId> => int64(number) as Field<GroupId>;
export const replicaIdField = (number: number): Field<ReplicaId> => int64(number) as Field<ReplicaId>;
export const producerIdField = (number: number): Field<ProducerId> => int64(number) as Field<ProducerId>;
export const termField = (number: number): Field<Term> => int64(number) as Field<Term>;
export const logIndexField = (number: number): Field<LogIndex> => int64(number) as Field<LogIndex>;
export const topicIdField = (number: number): Field<TopicId> => string(number) as Field<TopicId>;
export const clusterIdField = (number: number): Field<ClusterId> => string(number) as Field<ClusterId>;
export const incarnationField = (number: number): Field<Incarnation> => string(number) as Field<Incarnation>;
