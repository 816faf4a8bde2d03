import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Server } from "@grpc/grpc-js";
import type { PackageDefinition } from "@grpc/proto-loader";
import { ReflectionService } from "@grpc/reflection";
import { HealthImplementation } from "grpc-health-check";
import { bytes, message, repeated } from "../protocol/codec/index.ts";

/** `grpc.health.v1`: "" stands for the broker as a whole. */
export function addHealth(server: Server): HealthImplementation {
  const health = new HealthImplementation({ "": "NOT_SERVING" });
  health.addToServer(server);
  return health;
}

/** What `buf build` makes of the public files and their imports (`npm run docs`); files are kept as they are. */
const FileSet = message("google.protobuf.FileDescriptorSet", { file: repeated(bytes(1)) });

/**
 * Reflection v1 and v1alpha of the public services (and health), so that grpcurl, `buf curl` and their kin need no files. The files come
 * compiled: those that proto-loader makes name no imports and shorten type names, and no tool could call by them
 * (https://github.com/grpc/grpc-node/issues/2595).
 */
export function addReflection(server: Server): void {
  const compiled = Buffer.from(readFileSync(join(findProtos(), "descriptors.txt"), "utf8"), "base64");
  const files = FileSet.decode(compiled).file.map((file) => Buffer.from(file));
  const definition: PackageDefinition = {
    // Of an entry only its files are read, whatever it says that it is.
    all: { format: "Protocol Buffer 3 EnumDescriptorProto", type: {}, fileDescriptorProtos: files },
  };
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
