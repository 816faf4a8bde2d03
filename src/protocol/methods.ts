/** One public RPC. */
export interface PublicMethod {
  /** "/millrace.v1.LogService/Produce": the HTTP/2 path. */
  readonly path: string;
  readonly service: string;
  readonly name: string;
  readonly kind: "unary" | "server-stream" | "bidi";
  /** False: part of the design, answered with NOT_IMPLEMENTED by name. */
  readonly implemented: boolean;
}

type Spec = readonly [kind: PublicMethod["kind"], implemented: boolean];

const unary: Spec = ["unary", true];
const later: Spec = ["unary", false];

function service<const S extends Record<string, Spec>>(name: string, specs: S): { readonly [K in keyof S & string]: PublicMethod } {
  const methods: Record<string, PublicMethod> = {};
  for (const [method, [kind, implemented]] of Object.entries(specs)) {
    methods[method] = { path: `/millrace.v1.${name}/${method}`, service: `millrace.v1.${name}`, name: method, kind, implemented };
  }
  return methods as { readonly [K in keyof S & string]: PublicMethod };
}

/** The whole public surface (design §8); a test compares it with the .proto files. */
export const LogService = service("LogService", {
  InitProducer: unary,
  Produce: unary,
  ProduceStream: ["bidi", true],
  Fetch: unary,
  Subscribe: ["server-stream", true],
  ListOffsets: unary,
});

export const AdminService = service("AdminService", {
  CreateTopic: unary,
  DescribeTopics: unary,
  ListTopics: unary,
  AlterTopic: unary,
  DeleteTopic: unary,
  AddPartitions: unary,
  TrimTopic: unary,
  DescribeCluster: unary,
  GetClusterHealth: unary,
  ListClusterConfigs: unary,
  AlterClusterConfigs: unary,
  TransferLeader: unary,
  MovePartition: later,
  CancelMove: later,
  DrainBroker: later,
  DecommissionBroker: later,
  GetBrokerStatus: later,
});

export const GroupService = service("GroupService", {
  Session: ["bidi", true],
  Heartbeat: unary,
  CommitOffsets: unary,
  FetchOffsets: unary,
  ListGroups: unary,
  DescribeGroup: unary,
  SeekGroup: unary,
  DeleteGroup: unary,
  DeleteOffsets: unary,
});

export const publicMethods: readonly PublicMethod[] = [LogService, AdminService, GroupService].flatMap((methods) => Object.values(methods));
