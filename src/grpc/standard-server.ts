import {
  type handleBidiStreamingCall,
  type handleServerStreamingCall,
  Server,
  type ServerOptions,
  type ServiceDefinition,
  type UntypedHandleCall,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { limits } from "../base/limits.ts";

/** A name is all that callers of health and reflection have to say. */
const REQUEST_BYTES_MAX = limits["probe.request.max.bytes"].value;

export const HEALTH_CHECK = "/grpc.health.v1.Health/Check";
export const HEALTH_WATCH = "/grpc.health.v1.Health/Watch";

/**
 * A server that bounds what the packages for health and reflection do not: requests of any size, which they say back; streams that are answered
 * as fast as they ask, whether anybody reads or not; a name for each service that was ever watched.
 */
export class StandardServer extends Server {
  readonly #isKnown: (service: string) => boolean;

  /** @param isKnown its health is told; of no other one is anything remembered */
  constructor(options: ServerOptions, isKnown: (service: string) => boolean) {
    super(options);
    this.#isKnown = isKnown;
  }

  override addService(service: ServiceDefinition, implementation: UntypedServiceImplementation): void {
    const methods: Record<string, ServiceDefinition[string]> = {};
    const handlers: UntypedServiceImplementation = {};
    for (const [name, method] of Object.entries(service)) {
      methods[name] = {
        ...method,
        requestDeserialize: (bytes: Buffer) => {
          // What is not compressed was refused before it was whole (held-requests.ts).
          if (bytes.length > REQUEST_BYTES_MAX) throw new Error(`${bytes.length} bytes, and ${REQUEST_BYTES_MAX} are enough`);
          return method.requestDeserialize(bytes);
        },
      };
      const handle = implementation[name] ?? implementation[method.originalName ?? name];
      if (handle === undefined) continue;
      if (method.requestStream) handlers[name] = inTurn(handle);
      else handlers[name] = method.path === HEALTH_WATCH ? this.#watched(handle) : handle;
    }
    super.addService(methods, handlers);
  }

  /** Who watches a service that does not exist waits in vain, and is not written down. */
  #watched(handle: UntypedHandleCall): UntypedHandleCall {
    const watch = handle as handleServerStreamingCall<{ readonly service: string }, { readonly status: string }>;
    const watched: typeof watch = (call) => {
      if (this.#isKnown(call.request.service)) watch(call);
      else call.write({ status: "SERVICE_UNKNOWN" });
    };
    return watched;
  }
}

/** Who does not take its answers is not asked for more questions. */
function inTurn(handle: UntypedHandleCall): UntypedHandleCall {
  const talk = handle as handleBidiStreamingCall<unknown, unknown>;
  const paced: typeof talk = (stream) => {
    talk(stream);
    // Behind the handler's own, which has answered by now.
    stream.on("data", () => {
      if (stream.writableNeedDrain) stream.pause();
    });
    stream.on("drain", () => stream.resume());
  };
  return paced;
}
