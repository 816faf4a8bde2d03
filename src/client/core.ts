import type { Brokers } from "./brokers.ts";
import type { Calls } from "./calls.ts";
import type { Metadata } from "./metadata.ts";
import type { ClientPorts } from "./ports.ts";

/** What producers, consumers and admin of one client share. */
export class ClientCore {
  readonly ports: ClientPorts;
  readonly brokers: Brokers;
  readonly calls: Calls;
  readonly metadata: Metadata;

  constructor(ports: ClientPorts, brokers: Brokers, calls: Calls, metadata: Metadata) {
    this.ports = ports;
    this.brokers = brokers;
    this.calls = calls;
    this.metadata = metadata;
  }

  /**
   * Where to send for a partition: to its leader when that one is known and answers; else, as long as it answers, wherever the
   * calls go now; else to any other broker, which forwards.
   */
  route(topic: string, partition: number, current: string | undefined): string {
    const leader = this.metadata.leader(topic, partition);
    if (leader !== undefined && !this.brokers.isAvoided(leader)) return leader;
    if (current !== undefined && !this.brokers.isAvoided(current)) return current;
    return this.brokers.pick(leader);
  }
}
