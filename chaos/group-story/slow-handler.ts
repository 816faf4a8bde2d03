import { connect, MillraceError } from "../../src/client-entry.ts";

/**
 * A worker of its own process whose handlers are slow: `node slow-handler.js BROKERS TOPIC GROUP WHAT MS`. WHAT: "awaits" takes MS with every
 * record and listens to its signal; "blocks" keeps the thread for MS with its first record; "quick" does nothing but 20 ms of waiting. Each thing
 * that happens is a line of JSON with its time, milliseconds since 1970.
 */
const [brokers = "", topic = "", group = "", what = "", ms = ""] = process.argv.slice(2);
const QUICK_MS = 20;

function say(event: string, more: Readonly<Record<string, unknown>> = {}): void {
  process.stdout.write(`${JSON.stringify({ event, at: Date.now(), ...more })}\n`);
}

const client = connect({ brokers: brokers.split(",") });
const consumer = client.consumer({
  group,
  onAssigned: (names) => say("assigned", { partitions: names.map(({ partition }) => partition) }),
  onRevoked: (names) => say("revoked", { partitions: names.map(({ partition }) => partition) }),
  onLost: (names, error) => say("lost", { partitions: names.map(({ partition }) => partition), code: error.code }),
});
process.once("SIGTERM", () => {
  consumer.close({ timeoutMs: 1_000 }).catch(() => undefined);
});

let blocked = false;
await consumer.run({
  topics: [topic],
  handler: async ({ partition, offset }, { signal }) => {
    const place = { partition, offset };
    const listen = (): void =>
      say("signal", { ...place, code: signal.reason instanceof MillraceError ? signal.reason.code : String(signal.reason) });
    signal.addEventListener("abort", listen);
    say("began", place);
    if (what === "blocks" && !blocked) {
      blocked = true;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(ms));
    } else await new Promise((resolve) => void setTimeout(resolve, what === "awaits" ? Number(ms) : QUICK_MS));
    signal.removeEventListener("abort", listen);
    say("ended", { ...place, aborted: signal.aborted });
  },
});
await client.close();
