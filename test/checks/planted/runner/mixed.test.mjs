import { describe, it } from "node:test";
describe("planted", () => {
  it("passes", () => {});
  it("fails", () => {
    throw new Error("planted failure");
  });
  it("is skipped", { skip: true }, () => {});
  it("is for later", { todo: true }, () => {});
});
