import { AdminService } from "../../protocol/methods.ts";
import { DescribeClusterRequest, DescribeClusterResponse } from "../../protocol/public.ts";
import type { Brokers } from "../brokers.ts";
import type { ClientPorts } from "../ports.ts";

/** The list of brokers is asked for again at most this often, milliseconds. */
const ASK_MS_MIN = 10_000;
const TIMEOUT_MS = 5_000;

/** Knows where the brokers are that coordinators name by id, and keeps the list of addresses alive when the bootstrap list dies. */
export class CoordinatorAddress {
  readonly #brokers: Brokers;
  readonly #ports: Pick<ClientPorts, "clock">;
  readonly #addresses = new Map<number, string>();
  #askedAt = Number.NEGATIVE_INFINITY;

  constructor(brokers: Brokers, ports: Pick<ClientPorts, "clock">) {
    this.#brokers = brokers;
    this.#ports = ports;
  }

  /** It may be another broker's by now, or nobody's. */
  failed(address: string): void {
    for (const [brokerId, known] of this.#addresses) if (known === address) this.#addresses.delete(brokerId);
  }

  /** @param via a broker that answers @returns undefined while it is not known */
  of(brokerId: number, via: string): string | undefined {
    const address = this.#addresses.get(brokerId);
    if (address === undefined) this.#ask(via);
    return address;
  }

  #ask(via: string): void {
    const now = this.#ports.clock.monotonic();
    if (now - this.#askedAt < ASK_MS_MIN) return;
    this.#askedAt = now;
    this.#brokers
      .channel(via)
      .unary(AdminService.DescribeCluster.path, DescribeClusterRequest.encode({}), { timeoutMs: TIMEOUT_MS })
      .then((reply) => {
        const brokers = DescribeClusterResponse.decode(reply).brokers.filter(({ address }) => address !== "");
        for (const { brokerId, address } of brokers) this.#addresses.set(brokerId, address);
        this.#brokers.learn(brokers.map(({ address }) => address));
      })
      .catch(() => undefined);
  }
}
