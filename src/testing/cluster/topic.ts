/** The topic of every run. */
export const TOPIC = "t";

/** A partition as histories name it. */
export const partitionName = (partition: number): string => `${TOPIC}-${partition}`;
