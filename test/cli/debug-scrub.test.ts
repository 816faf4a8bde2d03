import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, describe, it } from "node:test";
import { runProgram } from "../../src/cli/program.ts";
import type { Terminal } from "../../src/cli/terminal.ts";

const status = (running: boolean, more: object = {}) => ({
  running,
  passes: 1,
  groups: 2,
  segments: 3,
  bytes: 10,
  bytesTotal: 40,
  found: [],
  holes: [],
  rebuilt: [],
  ...more,
});

describe("debug scrub", () => {
  const servers: Server[] = [];
  after(() => {
    for (const server of servers) server.close().closeAllConnections();
  });

  /** Answers the first question with the first of these, and so on; the last one for ever. */
  async function admin(answers: readonly object[]): Promise<string> {
    let asked = 0;
    const server = createServer((_, response) => {
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify(answers[Math.min(asked++, answers.length - 1)]));
    });
    servers.push(server);
    await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
    return `127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  async function run(...admins: string[]) {
    let out = "";
    let said = "";
    const shown: (string | undefined)[] = [];
    const terminal: Terminal = {
      data: (piece) => {
        out += piece.toString();
        return undefined;
      },
      flush: async () => undefined,
      say: (line) => {
        said += `${line}\n`;
      },
      progress: (line) => void shown.push(line),
    };
    const code = await runProgram(["debug", "scrub", ...admins.flatMap((at, i) => ["--admin", `${i + 1}@${at}`])], terminal);
    return { code, out, said, shown };
  }

  it("shows how far it has come while it runs, and takes that away in the end", async () => {
    const { code, out, shown } = await run(await admin([status(true), status(false, { bytes: 40 })]));
    assert.equal(code, 0);
    assert.deepEqual(shown, ["10 bytes of 40 read on 1 broker", undefined]);
    assert.match(out, /^broker 1: 40 bytes of 3 segments/);
  });

  it("says what the others found when one broker does not answer: exit 3, or 1 when something is damaged", async () => {
    const hole = { path: "groups/1-1/0.log", position: 1, first: 1, last: 2, groupId: 1, what: "a flipped bit" };
    const whole = await admin([status(false)]);
    const nobody = "127.0.0.1:1";
    const well = await run(whole, nobody);
    assert.equal(well.code, 3);
    assert.match(well.out, /^broker 1: /);
    assert.match(well.said, /broker 2 does not answer at /);
    const bad = await run(nobody, await admin([status(false, { found: [hole], holes: [hole] })]));
    assert.equal(bad.code, 1);
    assert.match(bad.out, /^broker 2: .*not repaired yet: 1\n.*a flipped bit/);
    assert.match(bad.said, /broker 1 does not answer at .*\n.*1 place still damaged/);
    const none = await run(nobody, nobody);
    assert.equal(none.code, 3);
    assert.match(none.said, /2 brokers could not be asked/);
  });
});
