import { describe, it } from "node:test";
describe("planted", () => {
  it("passes", () => {});
  describe("deeper", () => {
    it("passes too", () => {});
  });
});
