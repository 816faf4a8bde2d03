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

  it("that is wrong is told which word of it is: the first that nobody takes, the option without its value, what would be dropped", async () => {
    const takes = "`millrace consume`";
    const wrong: readonly (readonly [string, string])[] = [
      ["--no-follow extra", `${takes} does not take "extra" (--follow takes no value): millrace consume [topic]`],
      ["--follow extra --bogus", `${takes} does not take "extra" (--follow takes no value): millrace consume [topic]`],
      ["--bogus extra", `Unknown option of ${takes}: --bogus`],
      ["-o 5 6", `${takes} does not take "6": millrace consume [topic]`],
      ["follow", `${takes} does not take "follow": millrace consume [topic]; did you mean --follow?`],
      ["-follow", `Unknown option of ${takes}: -follow; did you mean --follow?`],
      ["--no-nonsense", `Unknown option of ${takes}: --no-nonsense`],
      ["--no-format json", `Unknown option of ${takes}: --no-format; did you mean --format?`],
      ["--follow=maybe", '--follow takes no value: got "maybe"'],
      ["-n", `--count of ${takes} needs a value: Stop after so many records`],
      [
        "--format",
        `--format of ${takes} needs a value: The value and a line feed, or a JSON object per line: ours, or that of \`kcat -J\``,
      ],
      ["-nfoo", `${takes} reads -nfoo as -n -f -o -o: say -n foo`],
      ["-fq", `${takes} reads -fq as -f -q: say -f q`],
      ["-- --x", '"--x" stands behind "--", where nothing is read: leave the "--" out'],
    ];
    for (const [words, said] of wrong) {
      const { code, talk } = await run(["consume", "t", ...words.split(" ")]);
      assert.deepEqual([code, talk.split("\n")[0]], [2, `millrace: ${said}`], words);
    }
    const { talk } = await run(["topic", "alter", "t", "--set", "a"]);
    assert.match(talk, /^millrace: --config \(or --set\) must be KEY=VALUE: got "a"/);
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
