import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import protobuf from "protobufjs";
import type { AnyMessageType } from "../../src/protocol/codec/field.ts";
import { MessageType } from "../../src/protocol/codec/message.ts";

/** The repository's `proto/` folder, seen from `dist/test/protocol/`. */
export const protoFolder = fileURLToPath(new URL("../../../proto/", import.meta.url));

/** Every .proto of ours and google's, parsed by protobufjs, names as written. */
export function loadDescriptors(): protobuf.Root {
  const root = new protobuf.Root();
  root.resolvePath = (_origin, target) => (target.startsWith("google/protobuf/") ? target : join(protoFolder, target));
  const files = readdirSync(protoFolder, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".proto"));
  root.loadSync(files.sort(), { keepCase: true });
  root.resolveAll();
  return root;
}

/** The messages a module declares. */
export function declaredIn(...modules: readonly object[]): AnyMessageType[] {
  const found: AnyMessageType[] = [];
  for (const module of modules) {
    for (const value of Object.values(module)) if (value instanceof MessageType) found.push(value);
  }
  return found;
}
