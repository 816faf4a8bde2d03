/** `millrace.v1` records.proto: the enums. Records themselves are read by `records/record-set.ts`, never by the codec. */

/** Which replicas have the batch on disk when it is acknowledged. `unspecified` is the same as `all`. */
export const Acks = { unspecified: 0, none: 1, leader: 2, quorum: 3, all: 4 } as const;
export type Acks = (typeof Acks)[keyof typeof Acks];

/** The producer's codec. zstd, lz4 and snappy are reserved and refused by name. */
export const Compression = { unspecified: 0, none: 1, gzip: 2, zstd: 3, lz4: 4, snappy: 5 } as const;
export type Compression = (typeof Compression)[keyof typeof Compression];
