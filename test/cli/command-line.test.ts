import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { runProgram } from "../../src/cli/program.ts";
import { helpTexts } from "../../tools/docs/cli-page.ts";
import { type FakeBrokers, startFakeBrokers } from "./fake-broker.ts";
import { run } from "./run-here.ts";

describe("A command line", () => {
  let fake: FakeBrokers;
  before(async () => {
    fake = await startFakeBrokers(1);
    fake.cluster.addTopic("t", 1);
  });
  after(async () => {
    for (const server of fake.servers) await server.close(0);
  });

  it("gives each option once, unless it may be given again: exit 2, and the option is named", async () => {
    let tried = 0;
    for (const { command, text } of await helpTexts()) {
      if (/\nCommands:\n/.test(text)) continue;
      const words = command.replace(/^millrace ?/, "").split(" ");
      const given = [...(text.split("\n")[0] ?? "").matchAll(/<([a-z]+)(?:\.\.)?>/g)].map(() => "1");
      for (const [, option = "", more = ""] of text.replaceAll(/\n {7,}/g, " ").matchAll(/^ {2,6}(?:-\w, )?(--[a-z-]+)(.*)$/gm)) {
        if (!more.includes("[string]") || more.includes("[array]") || more.includes("[choices")) continue;
        const { code, talk } = await run([...words, ...given, option, "1", option, "2"]);
        assert.deepEqual([code, talk.split("\n")[0]], [2, `millrace: ${option} is given twice: say it once`], `${command} ${option}`);
        tried++;
      }
    }
    assert.ok(tried > 40, `${tried} options tried`);
    const short = await run(["produce", "t", "-k", "a", "-k", "b"]);
    assert.equal(short.code, 2, short.talk);
  });

  it("that fails in the middle has shown what it did before", async () => {
    fake.cluster.addTopic("doomed", 1);
    let waiting = "";
    let shown = "";
    const code = await runProgram(["topic", "delete", "doomed", "gone", "--brokers", fake.addresses.join(",")], {
      data: (piece) => {
        waiting += piece.toString();
        return undefined;
      },
      flush: async () => {
        shown += waiting;
        waiting = "";
      },
      say: () => undefined,
    });
    assert.deepEqual([code, shown], [3, "deleted doomed\n"]);
  });
});
