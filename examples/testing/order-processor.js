/**
 * The code under test: an order processor that knows nothing of tests. It charges every order of a partition, one after the other, and keeps
 * in its own database how far it has come.
 *
 * A crash between the two steps shows in which order they are: charged first, an order may be charged again after a restart, which the
 * payment's idempotency key makes harmless; saved first, an order is never charged at all.
 *
 * @param {object} ports
 * @param {import("millrace/client").Client} ports.client
 * @param {Database} ports.database
 * @param {Payments} ports.payments
 * @param {"charge-first" | "commit-first"} [order]
 */
export async function processOrders({ client, database, payments }, order = "charge-first") {
  const position = await database.position();
  const consumer = client.consumer();
  consumer.assign([{ topic: "orders", partition: 0, from: { offset: position } }]);
  for await (const record of consumer) {
    const { id, cents } = JSON.parse(new TextDecoder().decode(record.value));
    if (order === "commit-first") {
      await database.savePosition(record.offset + 1);
      await payments.charge(id, cents);
    } else {
      await payments.charge(id, cents);
      await database.savePosition(record.offset + 1);
    }
  }
}

/**
 * @typedef {object} Database
 * @property {() => Promise<number>} position offset of the next order
 * @property {(position: number) => Promise<void>} savePosition
 *
 * @typedef {object} Payments
 * @property {(id: string, cents: number) => Promise<void>} charge once per id, however often it is called
 */
