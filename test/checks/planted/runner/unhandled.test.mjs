import { describe, it } from "node:test";
describe("planted", () => {
  it("leaves an error behind", async () => {
    Promise.reject(new Error("planted rejection"));
    await new Promise((resolve) => setTimeout(resolve, 5));
  });
  it("passes", () => {});
});
