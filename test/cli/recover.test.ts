import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import yargs from "yargs";
import { MillraceError } from "../../src/base/errors.ts";
import {
  type BrokerId,
  type GroupId,
  type Incarnation,
  METADATA_GROUP,
  type ReplicaId,
  type Term,
  type TopicId,
} from "../../src/base/ids.ts";
import type { Broker } from "../../src/broker/broker.ts";
import { recoverCommand } from "../../src/cli/commands/recover.ts";
import { CommandFailed } from "../../src/cli/exit-code.ts";
import { recoverCalls } from "../../src/cli/recover/calls.ts";
import type { GroupPlan, RecoveryPlan } from "../../src/cluster/recovery-plan.ts";
import { type AdminHttp, createAdminHttp } from "../../src/telemetry/admin-http.ts";
import { run as program } from "./run-here.ts";

const survivor = {
  replicaId: 3 as ReplicaId,
  brokerId: 3 as BrokerId,
  term: 4 as Term,
  lastIndex: 12,
  lastTerm: 4 as Term,
  commit: 11,
  endOffset: 9,
  quarantined: false,
  holes: 0,
  inSync: true,
};
const group: GroupPlan = {
  groupId: METADATA_GROUP,
  name: "metadata",
  survivor,
  others: [{ ...survivor, replicaId: 4 as ReplicaId, brokerId: 4 as BrokerId, inSync: false, quarantined: true, holes: 2 }],
  unreachable: [{ replicaId: 1 as ReplicaId, brokerId: 1 as BrokerId }],
  fenced: [1 as ReplicaId, 4 as ReplicaId],
  isr: [],
  isrVersion: 0,
  term: 4 as Term,
  mayBeLost: ["what came later"],
};
const plan: RecoveryPlan = {
  format: 1,
  digest: "0123456789abcdef",
  clusterId: "the-cluster",
  recoveryEpoch: 0,
  unreachable: [1 as BrokerId],
  metadata: group,
  partitions: [{ ...group, groupId: 9 as GroupId, name: "orders-0", adopting: "disk" as Incarnation }],
  gone: [{ groupId: 10 as GroupId, name: "single-0", replicas: [{ replicaId: 7 as ReplicaId, brokerId: 1 as BrokerId }] }],
  unplaced: [
    { groupId: 11 as GroupId, name: "odd-0", replicas: [], why: "replica 8 on broker 2: it has never voted", ways: ["stop broker 2"] },
  ],
  unknown: [
    {
      groupId: 12 as GroupId,
      topicId: "5f0c" as TopicId,
      topic: "lost",
      partition: 4,
      copies: [{ ...survivor, replicaId: 9 as ReplicaId, brokerId: 2 as BrokerId, endOffset: 120 }],
      remade: true,
    },
    { groupId: 13 as GroupId, topicId: "" as TopicId, topic: "", partition: 0, copies: [survivor], remade: false },
  ],
  notProved: ["that nobody else does it"],
};

describe("millrace recover", () => {
  let admin: AdminHttp;
  let address: string;
  let folder: string;
  const applied: unknown[] = [];
  const broker: Pick<Broker, "planRecovery" | "applyRecovery"> = {
    planRecovery: async () => plan,
    applyRecovery: async (confirmed) => {
      if (applied.length > 0)
        throw new MillraceError("RECOVERY_REFUSED", "Cannot recover: it was done. Nothing was changed.", { why: "not_needed" });
      applied.push(confirmed);
      return { recoveryEpoch: 1, metadata: true, partitions: ["orders-0"], changed: ["moved-0"] };
    },
  };
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "millrace-recover-"));
    const probe = () => ({ ok: true, detail: "" });
    admin = createAdminHttp({
      live: probe,
      ready: probe,
      started: probe,
      metrics: { text: async () => "", contentType: "text/plain" },
      calls: recoverCalls(broker),
    });
    address = await admin.listen("127.0.0.1:0");
  });
  after(async () => {
    await admin.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** What it prints; `typed` are the answers of the person who is asked. */
  async function run(args: readonly string[], typed: readonly (string | undefined)[] = []): Promise<{ out: string; questions: string[] }> {
    let out = "";
    const questions: string[] = [];
    const terminal = {
      data: (piece: Uint8Array | string) => {
        out += piece.toString();
        return undefined;
      },
      flush: async () => undefined,
      say: () => undefined,
    };
    const ask = async (question: string): Promise<string | undefined> => {
      questions.push(question);
      return typed[questions.length - 1];
    };
    const command = yargs().command(recoverCommand(terminal, ask)).exitProcess(false);
    await command
      .fail((message, error) => {
        throw error ?? new Error(message);
      })
      .parse(["recover", ...args, "--admin", address]);
    return { out, questions };
  }

  const file = (): string => join(folder, "plan.json");

  it("plan shows who goes on, what may be lost, what cannot be proved, and writes it to a file", async () => {
    const { out } = await run(["plan", "--out", file()]);
    for (const said of [
      /^cluster the-cluster, recovery epoch 0$/m,
      /^THE METADATA has lost its majority/m,
      /goes on from replica 3 on broker 3 \(in the ISR; last entry 12 of term 4, committed 11, next offset 9\)/,
      /given up, copied anew: replica 4 on broker 4 \(QUARANTINED: its disk forgot something; 2 DAMAGED PLACES;/,
      /given up for good: replica 1 on broker 1/,
      /^ {4}- what came later$/m,
      /^orders-0 has lost its majority$/m,
      /^ {2}single-0: was on broker 1$/m,
      /^ {2}odd-0: replica 8 on broker 2: it has never voted\n {4}- stop broker 2$/m,
      /^ {2}lost-4 \(topic 5f0c, group 12; another topic has its name now\)\n {4}replica 9 on broker 2 \(.*next offset 120\)$/m,
      /^ {2}group 13$/m,
      /millrace debug log-dump GROUP --data DIR --records \| millrace produce TOPIC --format json$/m,
      /^ {2}- that nobody else does it$/m,
      /^digest 0123456789abcdef$/m,
    ])
      assert.match(out, said);
    assert.deepEqual(JSON.parse(readFileSync(file(), "utf8")), plan);
    assert.equal((await run(["plan", "--format", "json"])).out, readFileSync(file(), "utf8"));
  });

  it("apply asks for the cluster and for the digest, and does nothing when either is another", async () => {
    for (const typed of [["another"], ["the-cluster", "0000"], [undefined], ["the-cluster", undefined]])
      await assert.rejects(run(["apply", file()], typed), CommandFailed);
    assert.deepEqual(applied, []);
    const { out, questions } = await run(["apply", file()], ["the-cluster\n", "0123456789abcdef"]);
    assert.equal(questions.length, 2);
    assert.deepEqual(applied, [{ clusterId: "the-cluster", digest: "0123456789abcdef" }]);
    assert.match(out, /recovery epoch 1/);
    assert.match(out, /orders-0/);
    assert.match(out, /^moved-0: not done/m);
  });

  it("apply takes both from a script, and says why a broker refuses", async () => {
    const yes = ["--cluster-id", "the-cluster", "--yes-i-give-up-what-is-lost", "0123456789abcdef"];
    const at = ["--admin", address];
    assert.equal((await program(["recover", "plan", ...at])).code, 0);
    applied.length = 0;
    assert.equal((await program(["recover", "apply", file(), ...at, ...yes])).code, 0);
    const again = await program(["recover", "apply", file(), ...at, ...yes]);
    assert.equal(again.code, 1);
    assert.match(again.talk, /RECOVERY_REFUSED: Cannot recover: it was done/);
    writeFileSync(join(folder, "other.json"), "[]");
    await assert.rejects(run(["apply", join(folder, "other.json"), ...yes]), /it is no plan/);
  });

  it("is not to be had by a page in somebody's browser, nor without saying what is confirmed", async () => {
    const ask = (body: string, type: string): Promise<Response> =>
      fetch(`http://${address}/recover/apply`, { method: "POST", body, headers: { "content-type": type } });
    assert.equal((await ask("{}", "text/plain")).status, 415);
    assert.equal((await ask("{", "application/json")).status, 409);
    assert.equal((await ask("null", "application/json")).status, 409);
    assert.equal((await ask(" ".repeat(70_000), "application/json")).status, 413);
    assert.equal(applied.length, 1);
  });
});
