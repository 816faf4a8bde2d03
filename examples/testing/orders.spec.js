import { withCluster } from "millrace/testing";
import { describe, expect, it } from "vitest";
import { crashEverywhere, rollingCrashes } from "./stories.js";

describe("the order processor", () => {
  it("loses no order, wherever it crashes", () =>
    withCluster({ brokers: 1, seed: 1 }, async (cluster) => {
      expect(await crashEverywhere(cluster)).toEqual([]);
    }));

  it.each([1, 2, 3])("loses no order while brokers crash in turn with it, seed %i", (seed) =>
    withCluster({ brokers: 3, seed }, async (cluster) => {
      expect(await rollingCrashes(cluster)).toEqual([]);
    }),
  );
});
