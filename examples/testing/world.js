/**
 * What outlives a crash of the processor: a database and a payment service. They are plain objects of the test; each call takes some
 * virtual time of the process that makes it, so the process may die in the middle of it.
 */
export class World {
  #position = 0;
  /** @type {Map<string, number>} id → cents */
  charged = new Map();

  /**
   * As the process `self` sees it.
   *
   * @param {import("millrace/testing").ProcessLife} self
   */
  seenBy(self) {
    return {
      client: self.client(),
      database: {
        position: async () => {
          await self.sleep(1);
          return this.#position;
        },
        /** @param {number} position */
        savePosition: async (position) => {
          await self.sleep(1);
          this.#position = position;
        },
      },
      payments: {
        /** @param {string} id @param {number} cents */
        charge: async (id, cents) => {
          await self.sleep(20);
          this.charged.set(id, cents);
        },
      },
    };
  }
}
