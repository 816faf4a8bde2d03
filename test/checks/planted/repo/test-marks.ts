// plant: test/raft/planted.test.ts
// expect: repo/test-only:4, repo/test-skip:5, repo/test-todo:6, repo/test-skip:7, repo/test-todo:8, repo/test-skip:9
import { describe, it, test } from "node:test";
it.only("runs alone", () => {});
describe.skip("never runs", () => {});
test.todo("is for later");
it("is skipped", { skip: true }, () => {});
it("is for later", { todo: "some day" }, () => {});
it("skips itself", (t) => t.skip());
const list = { skip: (n: number) => n, only: 1 };
list.skip(2);
