import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MillraceError } from "../../../src/base/errors.ts";
import type { ServerStream } from "../../../src/base/ports/rpc-server.ts";
import { fitting } from "../../../src/broker/groups/calls/fetch-call.ts";
import type { GroupCalls } from "../../../src/broker/groups/calls/group-calls.ts";
import { GroupSession } from "../../../src/broker/services/group-session.ts";
import { SessionRequest } from "../../../src/protocol/public.ts";
import { HandClock } from "./coordinator-run.ts";

/** A stream whose other side is in the hands of the test. */
function stream(): { readonly stream: ServerStream; readonly said: { error: MillraceError | undefined; paused: boolean } } {
  const said: { error: MillraceError | undefined; paused: boolean } = { error: undefined, paused: false };
  const unused = { message() {}, ended() {}, drain() {} };
  return {
    said,
    stream: {
      call: { deadline: undefined, peer: "client:1", principal: "anonymous", cancelled: false, unsentBytes: 0, onCancel: () => () => {} },
      handlers: unused,
      unsentBytes: 0,
      unsentBytesMax: 0,
      write: () => true,
      pause() {
        said.paused = true;
      },
      resume() {
        said.paused = false;
      },
      end(error) {
        said.error = error;
      },
    },
  };
}

describe("A limit of group calls that is reached", () => {
  it("is named: session.heartbeats.waiting, by a stream that is read no further after its first heartbeat", () => {
    const { stream: server, said } = stream();
    const errors = () => [said.error?.code, said.error?.metadata["limit"]];
    const groupCalls = { call: () => new Promise(() => {}) } as Partial<GroupCalls> as GroupCalls;
    new GroupSession(server, () => ({ groupCalls }), new HandClock()).start(() => {});
    const message = SessionRequest.encode({ heartbeat: { groupId: "g", memberId: "a", topics: ["t"] } });
    server.handlers.message(message);
    assert.equal(said.paused, true);
    // What was read before it stopped.
    for (let more = 0; more < 64; more++) server.handlers.message(message);
    assert.deepEqual(errors(), [undefined, undefined]);
    server.handlers.message(message);
    assert.deepEqual(errors(), ["TOO_MANY_REQUESTS", "session.heartbeats.waiting"]);
  });

  it("is named: group.answer.max.bytes, with what to ask instead", () => {
    const most = new Uint8Array(3 * 1024 * 1024);
    assert.equal(fitting(most, "Ask for less"), most);
    assert.throws(
      () => fitting(new Uint8Array(most.length + 1), "Ask for less"),
      (error: unknown) =>
        error instanceof MillraceError &&
        error.code === "REQUEST_TOO_LARGE" &&
        error.metadata["limit"] === "group.answer.max.bytes" &&
        error.message.endsWith("Ask for less"),
    );
  });
});
