/** A topic of a run that is there from its beginning to its end. */
export interface Topic {
  readonly name: string;
  readonly partitions: number;
  readonly replicas: number;
  readonly configs?: Readonly<Record<string, string>>;
}

/** A partition as histories name it. */
export const partitionName = (topic: string, partition: number): string => `${topic}-${partition}`;

/** Every partition of these topics, as histories name it and as calls do. */
export function partitionsOf(
  topics: readonly Topic[],
): readonly { readonly topic: string; readonly partition: number; readonly name: string }[] {
  return topics.flatMap(({ name: topic, partitions }) =>
    Array.from({ length: partitions }, (_, partition) => ({ topic, partition, name: partitionName(topic, partition) })),
  );
}
