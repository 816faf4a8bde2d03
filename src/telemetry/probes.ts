/** What a probe is told. */
export interface Health {
  readonly ok: boolean;
  /** One line for people; no record data, no secrets. */
  readonly detail: string;
}

export interface Probes {
  /** False means "restart me". */
  readonly live: () => Health;
  /** False means "send me no calls". */
  readonly ready: () => Health;
  /** False means "be patient". */
  readonly started: () => Health;
}

/** What the probes are answered from. */
export interface Life {
  /** As of the broker: starting, joining, waiting, running, leaving, stopping, stopped. */
  readonly state: string;
  /** It served once. */
  readonly started: boolean;
}

/**
 * - live: this process answers. A broker whose storage failed, or that met a bug, has ended by itself; one whose event loop hangs does
 *   not answer. Nothing else is helped by a restart: not a cluster without a majority, not a slow recovery.
 * - started: it has read its log, joined the cluster and is registered, once. Until then a slow recovery is no failure.
 * - ready: it takes calls now. False before it is registered, and from SIGTERM on, when it hands its leaderships over: calls that come
 *   meanwhile are still served. It does not depend on the other brokers: a cluster in trouble is not mended by hiding a broker.
 */
export function probesOf(life: () => Life): Probes {
  return {
    live: () => ({ ok: true, detail: life().state }),
    started: () => ({ ok: life().started, detail: life().state }),
    ready: () => ({ ok: life().state === "running", detail: life().state }),
  };
}
