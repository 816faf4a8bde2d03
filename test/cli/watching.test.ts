import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ProgressLine } from "../../src/cli/progress-line.ts";
import { ReachWatch } from "../../src/cli/reach-watch.ts";

describe("Whether anybody can be reached", () => {
  it("is said once each time, however often it is asked, and not at all when somebody answers at once or nobody listens any more", async () => {
    const said: string[] = [];
    let answers: boolean[] = [];
    const watch = new ReachWatch({
      probe: async () => answers.shift() ?? true,
      say: (line) => void said.push(line),
      wait: async () => watch.broke(),
    });
    const settle = async (): Promise<void> => {
      for (let i = 0; i < 50; i++) await Promise.resolve();
    };
    watch.broke();
    await settle();
    assert.deepEqual(said, []);
    answers = [false, false, false, true];
    watch.broke();
    watch.broke();
    await settle();
    assert.deepEqual(said, ["no broker can be reached; trying again", "a broker can be reached again; going on"]);
    answers = [false, true];
    watch.broke();
    await settle();
    assert.equal(said.length, 4);
    watch.close();
    answers = [false];
    watch.broke();
    await settle();
    assert.equal(said.length, 4);
  });
});

describe("Progress", () => {
  it("is one line on a terminal, cut to its width, and nothing elsewhere", () => {
    let written = "";
    const write = (text: string): void => {
      written += text;
    };
    const line = new ProgressLine({ isTTY: true, columns: 10, write });
    line.show("0123456789abc");
    line.show("second");
    line.clear();
    line.clear();
    line.show(undefined);
    assert.equal(written, "\r\x1b[K012345678\r\x1b[Ksecond\r\x1b[K");
    written = "";
    const nobody = new ProgressLine({ isTTY: false, write });
    nobody.show("text");
    nobody.clear();
    assert.equal(written, "");
  });
});
