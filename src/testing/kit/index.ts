/** `millrace/testing`: a whole cluster inside of a test, on simulated time, network and disks. */
export { startCluster, type TestCluster } from "./cluster.ts";
export { TestClusterError, type TestClusterErrorCode } from "./errors.ts";
export type { BrokerState } from "./hosted-broker.ts";
export type { ClusterOptions } from "./options.ts";
export type { TestBroker } from "./test-broker.ts";
