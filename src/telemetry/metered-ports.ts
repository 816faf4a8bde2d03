import type { Clock } from "../base/ports/clock.ts";
import type { Disk, DiskFile } from "../base/ports/disk.ts";
import type { RpcMethod, RpcServer } from "../base/ports/rpc-server.ts";
import type { Metrics } from "./metrics.ts";

type Meters = Pick<Metrics, "countEdge" | "observeEdge">;

/** The same server; calls are counted, unary ones timed. */
export function meteredRpcServer(server: RpcServer, clock: Clock, meters: Meters): RpcServer {
  return {
    register: (path, method) => server.register(path, meteredMethod(path.slice(1), method, clock, meters)),
    setServing: (service, serving) => server.setServing(service, serving),
    get unsentBytes() {
      return server.unsentBytes;
    },
    listen: (address) => server.listen(address),
    close: (graceMs) => server.close(graceMs),
  };
}

function meteredMethod(label: string, method: RpcMethod, clock: Clock, { countEdge, observeEdge }: Meters): RpcMethod {
  if (method.kind !== "unary") {
    return {
      kind: method.kind,
      handle: (stream) => {
        countEdge("rpc.calls", 1, label);
        method.handle(stream);
      },
    };
  }
  return {
    kind: "unary",
    handle: async (request, call) => {
      countEdge("rpc.calls", 1, label);
      const began = clock.monotonic();
      try {
        return await method.handle(request, call);
      } catch (error) {
        countEdge("rpc.failed", 1, label);
        throw error;
      } finally {
        observeEdge("rpc.seconds", (clock.monotonic() - began) / 1000, label);
      }
    },
  };
}

/** The same disk; durable writes (only the write-ahead log makes any) and syncs are timed. */
export function meteredDisk(disk: Disk, clock: Clock, meters: Meters): Disk {
  return {
    root: disk.root,
    open: async (path, options) => {
      const file = await disk.open(path, options);
      return options.mode === "read" ? file : meteredFile(file, options.durable === true, clock, meters);
    },
    list: (path) => disk.list(path),
    makeDirectory: (path) => disk.makeDirectory(path),
    rename: (from, to) => disk.rename(from, to),
    unlink: (path) => disk.unlink(path),
    removeDirectory: (path) => disk.removeDirectory(path),
    syncDirectory: (path) => disk.syncDirectory(path),
    freeBytes: () => disk.freeBytes(),
    lock: () => disk.lock(),
  };
}

function meteredFile(file: DiskFile, durable: boolean, clock: Clock, { countEdge, observeEdge }: Meters): DiskFile {
  const write = async (position: number, chunks: readonly Uint8Array[]): Promise<void> => {
    const began = clock.monotonic();
    await file.write(position, chunks);
    observeEdge("wal.write.seconds", (clock.monotonic() - began) / 1000);
    let bytes = 0;
    for (const chunk of chunks) bytes += chunk.byteLength;
    countEdge("wal.bytes", bytes);
  };
  return {
    path: file.path,
    write: durable ? write : (position, chunks) => file.write(position, chunks),
    read: (position, into) => file.read(position, into),
    sync: async () => {
      const began = clock.monotonic();
      await file.sync();
      observeEdge("disk.sync.seconds", (clock.monotonic() - began) / 1000);
    },
    truncate: (size) => file.truncate(size),
    size: () => file.size(),
    close: () => file.close(),
  };
}
