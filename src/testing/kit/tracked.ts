import { Admin } from "../../client/admin.ts";
import { Consumer } from "../../client/consumer/consumer.ts";
import { GroupConsumer } from "../../client/group/group-consumer.ts";
import { GroupAdmin } from "../../client/group-admin.ts";
import { Producer } from "../../client/producer/producer.ts";

/** Lets virtual time move until what a call returned has settled. */
export type Track = <T>(what: string, work: Promise<T>) => Promise<T>;

/**
 * The same object, whose every promise moves virtual time while it is pending: also those of what its methods return (a client's
 * producers, a consumer's iterations). It is what it was for `instanceof` and for types.
 */
export function tracked<T extends object>(target: T, name: string, track: Track): T {
  const bound = new Map<PropertyKey, unknown>();
  return new Proxy(target, {
    get(_target, key) {
      // The object itself is asked, not the proxy: its private fields are its own.
      const value: unknown = Reflect.get(target, key, target);
      if (value instanceof GroupAdmin) return tracked(value, `${name}.groups`, track);
      if (typeof value !== "function" || key === "constructor") return value;
      let method = bound.get(key);
      if (method === undefined) {
        const what = `${name}.${typeof key === "symbol" ? "next" : key}`;
        method = (...args: unknown[]) => followed(Reflect.apply(value, target, args), what, track);
        bound.set(key, method);
      }
      return method;
    },
    set: (_target, key, value) => Reflect.set(target, key, value, target),
  });
}

function followed(result: unknown, what: string, track: Track): unknown {
  if (result instanceof Promise) return track(what, result);
  if (result instanceof Producer) return tracked(result, "producer", track);
  if (result instanceof Consumer) return tracked(result, "consumer", track);
  if (result instanceof GroupConsumer) return tracked(result, "member", track);
  if (result instanceof Admin) return tracked(result, "admin", track);
  return isAsyncIterator(result) ? tracked(result, what, track) : result;
}

/** What `for await` makes of it asks itself for its iterator once more. */
function isAsyncIterator(value: unknown): value is AsyncIterableIterator<unknown> {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value && "next" in value;
}
