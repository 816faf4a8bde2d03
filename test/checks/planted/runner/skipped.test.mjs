import { it } from "node:test";
it("is skipped", { skip: "some other day" }, () => {});
