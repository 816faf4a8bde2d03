import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Producers } from "../../src/log/model/producers.ts";
import type { GroupLog, LogStore } from "../../src/log/types.ts";
import type { OperationKind } from "../../src/testing/sim/disk/device.ts";
import { file, peer, segmentPaths, twoGroups, unpaced } from "./damaged.ts";
import { append, draft, EMPTY, group, index, offset, replica, term, text } from "./frames.ts";
import { KiB, Machine } from "./machine.ts";

/** Something that is written besides the log itself, and what of the disk it uses. */
interface Work {
  readonly name: string;
  readonly under: string;
  readonly failures: readonly (readonly [OperationKind, string])[];
  /** What waits for room is left to itself when the disk is asked for the next failure. */
  readonly run: (machine: Machine, store: LogStore, log: GroupLog) => Promise<unknown>;
}

const works: readonly Work[] = [
  {
    name: "a repair",
    under: "groups/7-3",
    failures: [
      ["write", "EIO"],
      ["sync", "EIO"],
      ["sync", "ENOSPC"],
      ["syncDirectory", "EIO"],
      ["rename", "EIO"],
    ],
    run: (_machine, _store, log) => log.repair(peer(framesOf.get(log) ?? [])),
  },
  {
    name: "a snapshot",
    under: "groups/7-3",
    failures: [
      ["write", "EIO"],
      ["sync", "ENOSPC"],
      ["syncDirectory", "EIO"],
    ],
    run: (_machine, store) => {
      const start = { index: index(5), term: term(1), offset: offset(5) };
      return store.snapshots(group(7)).write({ start, appendTime: 1, recoveryEpoch: 0, config: text("") }, [new Uint8Array(100)]);
    },
  },
  {
    name: "the first segment of a log that begins anew",
    under: "groups/7-3",
    failures: [
      ["write", "EIO"],
      ["sync", "ENOSPC"],
      ["syncDirectory", "ENOSPC"],
    ],
    run: (_machine, _store, log) => {
      const start = { index: index(500), term: term(9), offset: offset(500) };
      return log.install({ start, terms: [], config: text(""), producers: new Producers(), appendTime: 1_000_000 });
    },
  },
];

const framesOf = new Map<GroupLog, Parameters<typeof peer>[0]>();

describe("a failed write", () => {
  for (const { name, under, failures, run } of works) {
    it(`or sync of ${name} ends the broker and is not tried again (D3)`, async () => {
      for (const [kind, code] of failures) {
        const { machine, frames } = await twoGroups();
        file(machine, segmentPaths(machine)[0] as string).flipBit(20_000, 2);
        const store = await machine.open();
        const log = store.open(group(7));
        framesOf.set(log, frames);
        await machine.run(log.scrub(unpaced));
        machine.device.failNext(kind, code, under);
        let ended = "not yet";
        void run(machine, store, log).then(
          () => {
            ended = "well";
          },
          (error: Error) => {
            ended = error.message;
          },
        );
        await machine.settle();
        assert.match(ended, new RegExp(code), `${kind} ${code}`);
        assert.equal(machine.failures.length, 1, `${kind} ${code}`);
        assert.match(String(machine.failures[0]), new RegExp(code));
      }
    });
  }

  it("of a ring file that finds no room to sync ends the broker; one that finds none to write waits (ADR 0010)", async () => {
    for (const [kind, ends] of [
      ["sync", true],
      ["write", false],
    ] as const) {
      const machine = new Machine();
      const store = await machine.open({ walFilesMax: 8 });
      const log = await machine.run(store.create(group(1), replica(1), EMPTY, text("")));
      await machine.settle();
      const made = machine.device.files().filter(({ path }) => path.includes("wal/")).length;
      machine.device.failNext(kind, "ENOSPC", `wal/${String(made).padStart(2, "0")}`);
      for (let i = 0; i < 40; i += 1) {
        append(log, term(1), [draft(i, 4 * KiB)]);
        await machine.settle();
      }
      assert.equal(machine.failures.length, ends ? 1 : 0, kind);
    }
  });
});
