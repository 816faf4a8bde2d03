import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type protobuf from "protobufjs";
import { publicMethods } from "../../src/protocol/methods.ts";
import { loadDescriptors } from "./descriptors.ts";

describe("public methods", () => {
  it("are those of the .proto services, with their streaming", () => {
    const root = loadDescriptors();
    const wanted: string[] = [];
    for (const nested of (root.lookup("millrace.v1") as protobuf.Namespace).nestedArray) {
      if (!("methodsArray" in nested)) continue;
      const service = nested as protobuf.Service;
      for (const method of service.methodsArray) {
        const kind = method.requestStream === true ? "bidi" : method.responseStream === true ? "server-stream" : "unary";
        wanted.push(`/${service.fullName.slice(1)}/${method.name} ${kind}`);
      }
    }
    assert.deepEqual(publicMethods.map((method) => `${method.path} ${method.kind}`).sort(), wanted.sort());
  });
});
