import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { LogIndex } from "../../../src/base/ids.ts";
import { InvariantViolated, invariant } from "../../../src/base/invariant.ts";
import { Controller, type LedReplica } from "../../../src/broker/metadata/controller.ts";
import type { Command } from "../../../src/cluster/commands.ts";
import type { Fact } from "../../../src/cluster/facts.ts";
import { MetadataImage } from "../../../src/cluster/image.ts";
import type { CommandAnswer } from "../../../src/cluster/replies.ts";
import { SimClock } from "../../../src/testing/sim/clock.ts";
import { SimProcess } from "../../../src/testing/sim/process.ts";
import { Scheduler } from "../../../src/testing/sim/scheduler.ts";
import { index, term } from "../../log/frames.ts";

/** An image that takes no registration of broker 13: a decision that has a bug. */
class Superstitious extends MetadataImage {
  override replay(fact: Fact, at: LogIndex): void {
    invariant(!(fact.kind === "brokerRegistered" && fact.brokerId === 13), "broker 13 is registered");
    super.replay(fact, at);
  }

  override clone(): MetadataImage {
    return new Superstitious();
  }
}

function controlled() {
  let lastIndex = 3;
  const clock = new SimClock(new SimProcess(new Scheduler(1), "broker"));
  const replica: LedReplica & { readonly core: { lastIndex: LogIndex } } = {
    serves: true,
    core: {
      role: "leader",
      term: term(2),
      get lastIndex() {
        return index(lastIndex);
      },
    },
    propose: () => {
      lastIndex += 1;
      return { kind: "accepted", firstIndex: index(lastIndex), lastIndex: index(lastIndex), term: term(2) };
    },
  };
  const view = { image: new Superstitious(), applied: index(3) };
  const limits = { partitionsPerTopicMax: 10, partitionsMax: 10, defaultPartitions: 1, defaultReplicas: 1 };
  const confirmed = (done: (at: LogIndex) => void) => {
    done(view.applied);
    return () => {};
  };
  const controller = new Controller(clock, replica, view, limits, confirmed, () => {});
  controller.advanced();
  return { controller, appended: () => lastIndex - 3 };
}

const form: Command = { kind: "formCluster", clusterId: "c" as never, seeds: [] };
const register = (brokerId: number): Command => ({
  kind: "registerBroker",
  brokerId: brokerId as never,
  incarnation: `disk ${brokerId}` as never,
  clientAddress: "b:1",
  peerAddress: "b:2",
  rack: undefined,
  version: "test",
  featureLevelMin: 0,
  featureLevelMax: 0,
});

describe("a controller that decided on a fact no image takes", () => {
  it("appends nothing of it: it would end every broker that replays it, at every start", () => {
    const { controller, appended } = controlled();
    const answers: CommandAnswer[] = [];
    controller.submit(form, (answer) => void answers.push(answer));
    assert.equal(appended(), 1);
    assert.throws(() => controller.submit(register(13), (answer) => void answers.push(answer)), InvariantViolated);
    assert.equal(appended(), 1, "the log is clean");
    assert.equal(controller.active, false, "what was half replayed is nobody's image");
    assert.equal(answers.length, 1, "what waited for its commit hears that its outcome is unknown");
    assert.ok("error" in (answers[0] ?? {}));
  });
});
