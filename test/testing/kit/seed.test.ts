import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, it } from "node:test";
import { TestClusterError } from "../../../src/testing/kit/errors.ts";
import { withCluster } from "../../../src/testing/kit/index.ts";
import { processSeed } from "../../../src/testing/kit/seed.ts";

const MODULE = new URL("../../../src/testing/kit/seed.js", import.meta.url);

describe("The seed of a test that names none", () => {
  it("is the environment's", () => {
    assert.deepEqual(processSeed({ MILLRACE_TEST_SEED: "12" }), { seed: 12, drawn: false });
    for (const wrong of ["abc", "-1", "1.5", "4294967296", " 7"]) {
      assert.throws(
        () => processSeed({ MILLRACE_TEST_SEED: wrong }),
        (error: unknown) => {
          assert.ok(error instanceof TestClusterError);
          assert.match(error.message, /MILLRACE_TEST_SEED must be a whole number from 0 to 4294967295/);
          return true;
        },
      );
    }
  });

  it("is one number drawn for all clusters of a process, which says it when it fails", () => {
    const ending = (code: number): string => {
      const program = `const { processSeed } = await import(${JSON.stringify(MODULE.href)});
        const { seed } = processSeed({}); process.exitCode = ${code}; console.log(seed, processSeed({ MILLRACE_TEST_SEED: "" }).seed);`;
      const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "--eval", program], { encoding: "utf8" });
      const [seed, again] = stdout.trim().split(" ");
      assert.equal(again, seed);
      assert.equal(stderr === "", code === 0);
      return stderr.replaceAll(String(seed), "SEED");
    };
    assert.equal(ending(0), "");
    assert.equal(ending(1), "millrace/testing: clusters without a seed of their own had seed SEED (repeat with MILLRACE_TEST_SEED=SEED)\n");
  });
});

describe("withCluster", () => {
  it("says the seed of a body that fails, passes its error on, and closes the cluster", async (t) => {
    const said: string[] = [];
    t.mock.method(process.stderr, "write", (line: string) => said.push(line) > 0);
    const bug = new Error("bug");
    let close: (() => Promise<void>) | undefined;
    const failing = withCluster({ brokers: 1, seed: 77 }, async (cluster) => {
      close = () => cluster.run(1);
      throw bug;
    });
    await assert.rejects(failing, bug);
    t.mock.reset();
    assert.match(
      said.join(""),
      /^millrace\/testing: failed at \d+\.\d{3} ms of virtual time with seed 77 \(repeat with MILLRACE_TEST_SEED=77\)\n$/,
    );
    await assert.rejects(async () => close?.(), { code: "CLUSTER_CLOSED" });
  });
});
