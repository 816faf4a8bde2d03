import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { LogIndex, Offset } from "../../../src/base/ids.ts";
import { Applier } from "../../../src/broker/machine/applier.ts";
import { MachineView } from "../../../src/broker/machine/machine-view.ts";
import { MetadataView } from "../../../src/broker/metadata/metadata-view.ts";
import { GroupsImage } from "../../../src/consumer-groups/image.ts";
import { groupFacts } from "../../../src/consumer-groups/machine.ts";
import { PayloadFormat } from "../../../src/records/frame-types.ts";
import { draft, group, index, term, text } from "../../log/frames.ts";

const views = {
  groups: () => new MachineView({ name: "groups" }, GroupsImage.empty(), groupFacts),
  metadata: () => new MetadataView(),
};

describe("A committed frame that this version cannot read", () => {
  for (const [name, view] of Object.entries(views))
    it(`ends the broker with that as the reason, and is not tried again (${name})`, () => {
      const payload = text("\x0a\xff no facts");
      const made = { ...draft(1), format: PayloadFormat.facts, payload, bytes: payload };
      const frame = { ...made, magic: 0, groupId: group(9), index: index(1), term: term(1), baseOffset: 0 as Offset, appendTime: 0 };
      const failures: unknown[] = [];
      let asked = 0;
      const log = {
        frame: (at: LogIndex) => {
          asked += 1;
          return at === 1 ? frame : undefined;
        },
        read: () => assert.fail("nothing is read back"),
      };
      const applier = new Applier(
        log,
        view(),
        () => {},
        (error) => failures.push(error),
        () => assert.fail("no snapshot is asked for"),
      );
      applier.committed(index(1));
      applier.committed(index(1));
      assert.equal(failures.length, 1, String(failures));
      assert.equal(asked, 1);
    });
});
