import { describe, it } from "node:test";
import { requireRoomAgain } from "./full-ring.ts";

// FS18, FS19
describe("a ring of files that are small beside what is said of tiny segments", () => {
  it("has free files again, from any of 400 more states, once nothing more comes", () => requireRoomAgain(91002, 400));
  it("has, from any of 300 more, when it is told of records that were refused", () => requireRoomAgain(7919, 300, true));
});
