import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Server } from "@grpc/grpc-js";
import { loadSync, type PackageDefinition } from "@grpc/proto-loader";
import { ReflectionService } from "@grpc/reflection";
import { HealthImplementation, protoPath as healthProto } from "grpc-health-check";

/** `grpc.health.v1`: "" stands for the broker as a whole. */
export function addHealth(server: Server): HealthImplementation {
  const health = new HealthImplementation({ "": "NOT_SERVING" });
  health.addToServer(server);
  return health;
}

/** Reflection v1 and v1alpha of the public services (and health), so that grpcurl, `buf curl` and their kin need no files. */
export function addReflection(server: Server): void {
  const protos = findProtos();
  const files = ["log_service", "admin_service", "group_service"]
    .map((name) => `millrace/v1/${name}.proto`)
    .filter((file) => existsSync(join(protos, file)));
  const options = {
    keepCase: true,
    longs: String,
    enums: String,
    defaults: true,
    oneofs: true,
    includeDirs: [protos, dirname(dirname(dirname(healthProto)))],
  };
  const definition: PackageDefinition = loadSync([...files, "health/v1/health.proto"], options);
  new ReflectionService(definition).addToServer(server);
}

/** The folder `proto/` at the root of the package, from `src/grpc` as well as from `dist/src/grpc`. */
function findProtos(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    const protos = join(folder, "proto");
    if (existsSync(join(protos, "millrace", "v1"))) return protos;
    const parent = dirname(folder);
    if (parent === folder) throw new Error("Cannot find the folder proto/ of the millrace package");
    folder = parent;
  }
}
