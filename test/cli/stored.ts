import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { GroupConfig } from "../../src/protocol/routing.ts";
import type { FrameDraft } from "../../src/records/frame-types.ts";
import { append, draft, EMPTY, group, replica, term } from "../log/frames.ts";
import { Machine } from "../log/machine.ts";

/**
 * Writes the data directory of a broker that is stopped: group 7, partition 2 of "orders", with three frames of one segment, or these.
 *
 * @returns the path of that segment
 */
export async function writeStored(folder: string, drafts: readonly FrameDraft[] = [draft(1), draft(2), draft(3)]): Promise<string> {
  let segment = "";
  const machine = new Machine();
  const store = await machine.open();
  const config = GroupConfig.encode({ members: [{ replicaId: 3, brokerId: 1 }], topicId: "", topic: "orders", partition: 2 });
  const log = await machine.run(store.create(group(7), replica(3), EMPTY, config));
  append(log, term(1), drafts);
  log.commit(log.lastIndex);
  await machine.settle();
  await machine.run(store.close());
  for (const { path, file } of machine.device.files()) {
    const bytes = new Uint8Array(file.size);
    file.read(0, bytes);
    const place = join(folder, path);
    mkdirSync(dirname(place), { recursive: true });
    writeFileSync(place, bytes);
    if (place.endsWith(".log")) segment = place;
  }
  return segment;
}
