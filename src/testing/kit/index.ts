/** `millrace/testing`: a whole cluster inside of a test, on simulated time, network and disks. */
export { startCluster, type TestCluster } from "./cluster.ts";
export { TestClusterError, type TestClusterErrorCode } from "./errors.ts";
export type { BrokerState } from "./hosted-broker.ts";
export type { HostName } from "./hosts.ts";
export type { ClusterOptions } from "./options.ts";
export type { ProcessLife } from "./process-life.ts";
export type { SlowDisk, TestBroker } from "./test-broker.ts";
export type { Ending, StartOptions, TestProcess } from "./test-process.ts";
export { withCluster } from "./with-cluster.ts";
