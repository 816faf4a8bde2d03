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

/** Every message that a module of `src/protocol/` declares, found by looking: a new file is covered by being there. */
export async function declaredMessages(): Promise<AnyMessageType[]> {
  const folder = new URL("../../src/protocol/", import.meta.url);
  const found = new Map<string, AnyMessageType>();
  for (const file of readdirSync(folder).sort()) {
    if (!file.endsWith(".js")) continue;
    const module: object = await import(new URL(file, folder).href);
    for (const value of Object.values(module)) if (value instanceof MessageType) found.set(value.name, value);
  }
  return [...found.values()];
}
