import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { runProgram, verbs } from "../../src/cli/program.ts";
import type { Terminal } from "../../src/cli/terminal.ts";
import { millrace } from "./run.ts";

/** Nobody listens there: a port that may not be connected to. */
const NOWHERE = ["--brokers", "127.0.0.1:1"];

describe("millrace", { concurrency: 2 }, () => {
  const wrong: [string[], RegExp][] = [
    [[], /Say what to do/],
    [["nope"], /Unknown command: nope$/m],
    [["prodcue", "t"], /Unknown command: prodcue; did you mean produce\?/],
    [["topic"], /create, list, describe, alter, add-partitions, trim or delete/],
    [["nope", "--brokers", "topic"], /Unknown command: nope$/m],
    [["topic", "lst"], /Unknown command: topic lst; did you mean topic list\?/],
    [["--brokers", "h:1", "cluster", "helth"], /Unknown command: cluster helth; did you mean cluster health\?/],
    [["dev", "strat", "1"], /Unknown command: dev strat; did you mean dev start\?/],
    [["produce"], /`millrace produce` needs TOPIC: millrace produce <topic>$/m],
    [["consume"], /`millrace consume` needs TOPIC: millrace consume <topic>$/m],
    [["topic", "delete"], /`millrace topic delete` needs TOPICS: millrace topic delete <topics\.\.>$/m],
    [["partition", "transfer-leader", "t"], /`millrace partition transfer-leader` needs PARTITION: /],
    [["produce", "t", "extra"], /`millrace produce` does not take "extra": millrace produce <topic>$/m],
    [["version", "x"], /`millrace version` does not take "x"/],
    [["produce", "t", "--bogus"], /Unknown option of `millrace produce`: --bogus$/m],
    [["produce", "t", "--ack", "all"], /Unknown option of `millrace produce`: --ack; did you mean --acks\?/],
    [["produce", "t", "-q"], /Unknown option of `millrace produce`: -q$/m],
    [["topic", "create", "t", "--no-such", "1"], /Unknown option of `millrace topic create`: --no-such$/m],
    [["topic", "create", "t", "--config", "a=1", "--config", "a=2"], /--config names a twice: say it once/],
    [["topic", "delete", "t", "u", "t"], /topic delete names t twice: say it once/],
    [["consume", "t", "-p", "0", "-p", "00"], /--partition names 0 twice: say it once/],
    [["produce", "t", "--rate", "7x"], /--rate must be a whole number/],
    [["produce", "t", "--acks", "most"], /--acks must be all, quorum, leader or none: got "most"/],
    [["produce", "t", "--file", "/nonexistent/file"], /Cannot read --file \/nonexistent\/file: there is no such file/],
    [["produce", "t", "--file", "/"], /Cannot read --file \/: it is a directory/],
    [["consume", "t", "--format", "xml"], /--format must be text, json or kcat: got "xml"/],
    [["produce", "t", "-k", "a", "--key-field", "b"], /mutually exclusive/],
    [["consume", "t", "--from", "yesterday"], /--from must be start, end/],
    [["consume", "t", "--follow", "--to", "end"], /--follow has no end/],
    [["consume", "t", "-f", "%q"], /--template: "%q" says nothing/],
    [["consume", "t", "-f", "%v", "--format", "json"], /--template and --format json say two things/],
    [["consume", "t", "-f", "%v", "--format", "kcat"], /--template and --format kcat say two things/],
    [["produce", "t", "-H", "a"], /--header must be NAME:VALUE: got "a"/],
    [["produce", "t", "--format", "json", "-k", "a"], /leave --key and --key-field out/],
    [["check", "-n", "many"], /--records must be a whole number/],
    [["config"], /print or lint/],
    [["completion", "csh"], /shell must be bash, zsh or fish/],
    [["topic", "create", "t", "--partitions", "0"], /--partitions must be/],
    [["topic", "list", "--brokers", "localhost"], /--brokers must be HOST:PORT/],
    [["cluster", "health", "--wait", "--timeout", "soon"], /--timeout must be a time/],
    [["broker", "--id", "1", "--set", "no.such.key=1"], /no\.such\.key/],
    [["broker", "--id", "1", "--new-incarnation", "yes"], /--new-incarnation yes: name the "incarnation"/],
    [["dev", "--brokers", "0"], /--brokers must be/],
  ];
  for (const [args, said] of wrong) {
    it(`exits 2 and says why: ${args.join(" ") || "(nothing)"}`, async () => {
      const talk: string[] = [];
      const terminal: Terminal = {
        data: () => assert.fail("nothing may go to stdout"),
        flush: async () => undefined,
        say: (line) => void talk.push(line),
      };
      assert.equal(await runProgram(args, terminal), 2, talk.join("\n"));
      assert.match(talk.join("\n"), said);
    });
  }

  it("exits 2 as a process too, with nothing on stdout", async () => {
    const { code, stdout, stderr } = await millrace(["nope"]);
    assert.equal(code, 2);
    assert.equal(stdout.length, 0);
    assert.equal(stderr, "millrace: Unknown command: nope\nSee `millrace --help`, or --help after a command.\n");
  });

  it("takes brokers from MILLRACE_BROKERS and refuses a bad one by that name", async () => {
    const { code, stderr } = await millrace(["topic", "list"], { env: { MILLRACE_BROKERS: "x" } });
    assert.equal(code, 2);
    assert.match(stderr, /MILLRACE_BROKERS must be HOST:PORT/);
  });

  it("prints its version", async () => {
    for (const word of ["version", "--version"]) {
      const { code, stdout, stderr } = await millrace([word]);
      assert.equal(code, 0);
      assert.equal(stderr, "");
      assert.match(stdout.toString(), /^millrace \d+\.\d+\.\d+ \(Node \d+\.\d+\.\d+\)\n$/);
    }
  });

  it("lists every verb of this version in its help", async () => {
    const { code, stdout } = await millrace(["--help"]);
    assert.equal(code, 0);
    const listed = [...stdout.toString().matchAll(/^ {2}millrace (\w+)/gm)].map(([, verb]) => verb);
    assert.deepEqual(listed, [...verbs]);
  });

  it("says of a folder that is a file only that", async () => {
    const { code, stderr } = await millrace(["dev", "--data", "package.json"]);
    assert.equal(code, 1);
    assert.match(stderr, /^millrace: cannot read .*package\.json.dev\.json \(ENOTDIR\): see what it is, or choose another --data\n$/);
  });

  it("exits 3 when the cluster cannot be asked for its health", async () => {
    const { code, stderr } = await millrace(["cluster", "health", ...NOWHERE]);
    assert.equal(code, 3, stderr);
    assert.match(stderr, /BROKERS_UNREACHABLE/);
  });

  it("exits 3 for a broker of a development cluster that is not there", async () => {
    const { code, stderr } = await millrace(["dev", "stop", "2", "--data", "/nonexistent/folder"]);
    assert.equal(code, 3);
    assert.match(stderr, /no cluster in/);
  });
});
