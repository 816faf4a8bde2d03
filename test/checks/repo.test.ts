import { describe } from "node:test";
import { checkRepo } from "../../tools/checks/repo.ts";
import { refusesPlanted } from "./planted.ts";

describe("repository rules", () => {
  refusesPlanted("repo", checkRepo);
});
