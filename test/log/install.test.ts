import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ProducerId } from "../../src/base/ids.ts";
import { InvariantViolated } from "../../src/base/invariant.ts";
import type { InstallPoint } from "../../src/log/model/install.ts";
import { Producers } from "../../src/log/model/producers.ts";
import type { GroupLog, LogStore } from "../../src/log/types.ts";
import { append, draft, EMPTY, framesAfter, fromProducer, group, index, offset, replica, term, text } from "./frames.ts";
import { KiB, Machine } from "./machine.ts";

/** A beginning at `at` as a leader tells it, with producer 7 known as of there. */
function pointAt(at: number, inTerm: number, atOffset: number): InstallPoint {
  const producers = new Producers();
  const batch = { baseSequence: 5, recordCount: 1, baseOffset: offset(atOffset - 1), index: index(at), term: term(inTerm), appendTime: 50 };
  producers.append({ ...batch, producerId: 7 as ProducerId, producerEpoch: 0 });
  producers.advance(index(at));
  const start = { index: index(at), term: term(inTerm), offset: offset(atOffset) };
  return { start, terms: [{ term: term(inTerm), firstIndex: index(1) }], config: text("as of the start"), producers, appendTime: 5000 };
}

async function withLog(frames: number, run: (log: GroupLog, machine: Machine, store: LogStore) => Promise<void>): Promise<void> {
  const machine = new Machine();
  const store = await machine.open();
  const log = await machine.run(store.create(group(1), replica(1), EMPTY, text("first")));
  append(
    log,
    term(1),
    Array.from({ length: frames }, (_, i) => draft(i, 900)),
  );
  await machine.settle();
  await run(log, machine, store);
}

const filesOf = async (machine: Machine): Promise<string[]> => {
  const entries = await machine.run(machine.disk.list("groups/1-1"));
  return entries.map((entry) => entry.name).sort();
};

describe("a log that is told to begin elsewhere", () => {
  it("forgets what it held, keeps term and vote, and goes on from there, also after restarts", async () => {
    await withLog(200, async (log, machine) => {
      log.write({ state: { term: term(9), votedFor: replica(3) }, truncateFrom: undefined, frames: [] }, () => {});
      log.commit(index(150));
      await machine.settle();
      const before = await filesOf(machine);
      assert.ok(before.length > 1, "it had segments");
      assert.equal(await machine.run(log.install(pointAt(1000, 4, 7000))), "installed");
      assert.deepEqual([log.start, log.lastIndex, log.endOffset, log.lastAppendTime], [pointAt(1000, 4, 7000).start, 1000, 7000, 5000]);
      assert.equal(log.pendingBytes, 0);
      assert.deepEqual(await filesOf(machine), ["00000000000000001001-00000000000000007000.log"]);
      assert.deepEqual(await Promise.resolve(log.read(index(1000), 1, index(1000))), { kind: "below-start", start: log.start });
      const frames = framesAfter({ groupId: group(1), index: 1000, offset: 7000, appendTime: 5000 }, [term(4), term(4), term(5)]);
      await machine.run(log.extend(frames));
      for (let restart = 0; restart < 2; restart += 1) {
        machine.crash(true);
        const store = await machine.open();
        const [recovered] = store.recovered;
        assert.deepEqual(
          [recovered?.term, recovered?.votedFor, recovered?.start.index, recovered?.lastIndex, recovered?.syncedIndex],
          [9, 3, 1000, 1003, 1003],
        );
        assert.deepEqual(recovered?.config, text("as of the start"));
        const again = store.open(group(1));
        assert.equal(again.producers.get(7)?.batches[0]?.baseSequence, 5);
        const read = await machine.run(Promise.resolve(again.read(index(1001), 64 * KiB, index(1003))));
        assert.deepEqual(read.kind === "frames" && read.frames.map((frame) => frame.index), [1001, 1002, 1003]);
      }
    });
  });

  it("takes appends by the write-ahead log afterwards, and can be told again", async () => {
    await withLog(20, async (log, machine) => {
      await machine.run(log.install(pointAt(100, 2, 300)));
      append(log, term(2), [fromProducer(7, 6), draft(1)]);
      log.commit(index(101));
      assert.equal(await machine.run(log.install(pointAt(400, 3, 900))), "installed");
      append(log, term(3), [draft(2)]);
      await machine.settle();
      machine.crash(true);
      const store = await machine.open();
      assert.deepEqual(
        store.recovered.map(({ start, lastIndex }) => [start.index, lastIndex]),
        [[400, 401]],
      );
      assert.equal(store.open(group(1)).producers.get(7)?.batches.length, 1, "what producers did behind the new start is forgotten");
    });
  });

  it("gives the ring back what its forgotten frames kept: nothing of them is needed any more", async () => {
    await withLog(0, async (log, machine, store) => {
      // Not committed: only their truncation, or the install, gives the room back.
      append(
        log,
        term(1),
        Array.from({ length: 20 }, (_, i) => draft(i, 900)),
      );
      await machine.settle();
      assert.ok(store.uncommittedBytes > 0);
      await machine.run(log.install(pointAt(100, 2, 300)));
      assert.equal(store.uncommittedBytes, 0);
      const other = await machine.run(store.create(group(2), replica(2), EMPTY, text("")));
      // Far more than the ring holds: it goes round only if nothing of the first group keeps a file.
      for (let round = 0; round < 60; round += 1) {
        append(
          other,
          term(1),
          Array.from({ length: 10 }, (_, i) => draft(i, 900)),
        );
        other.commit(other.lastIndex);
        await machine.settle();
      }
      assert.equal(other.lastIndex, 600);
      assert.deepEqual(machine.failures, []);
    });
  });

  it("ignores a beginning that is committed here already (scenario 45)", async () => {
    await withLog(50, async (log, machine) => {
      log.commit(index(40));
      const point = pointAt(30, 1, log.offsetAfter(index(30)));
      assert.equal(await machine.run(log.install(point)), "older");
      assert.deepEqual([log.start.index, log.lastIndex], [0, 50]);
    });
  });

  it("stops loudly when the beginning contradicts what is committed here (scenario 46)", async () => {
    await withLog(50, async (log, machine) => {
      log.commit(index(40));
      await assert.rejects(machine.run(log.install(pointAt(30, 2, 60))), InvariantViolated);
      assert.deepEqual([log.start.index, log.lastIndex], [0, 50]);
    });
  });

  it("keeps its suffix when it leads through the beginning, and drops it when it does not (scenario 47)", async () => {
    await withLog(50, async (log, machine) => {
      log.commit(index(10));
      assert.equal(await machine.run(log.install(pointAt(30, 1, log.offsetAfter(index(30))))), "kept");
      assert.deepEqual([log.start.index, log.lastIndex], [0, 50]);
      assert.throws(
        () => log.write({ state: undefined, truncateFrom: index(30), frames: [] }, () => {}),
        InvariantViolated,
        "30 is committed",
      );
      assert.equal(await machine.run(log.install(pointAt(40, 2, 70))), "installed");
      assert.deepEqual([log.start.index, log.lastIndex], [40, 40]);
    });
  });

  it("says where it begins so that another can begin there", async () => {
    await withLog(5, async (log, machine, store) => {
      await machine.run(log.install(pointAt(1000, 4, 7000)));
      const frames = framesAfter({ groupId: group(1), index: 1000, offset: 7000, appendTime: 5000 }, [term(4), term(5)]);
      await machine.run(log.extend(frames));
      const told = await machine.run(log.startState());
      assert.deepEqual([told.start, told.config], [log.start, text("as of the start")]);
      assert.equal(told.producers.get(7)?.batches[0]?.baseSequence, 5);
      const other = await machine.run(store.create(group(2), replica(2), EMPTY, text("")));
      assert.equal(await machine.run(other.install(told)), "installed");
      assert.deepEqual(other.start, log.start);
    });
  });

  it("is not appended to while it changes", async () => {
    await withLog(5, async (log, machine) => {
      const installing = log.install(pointAt(100, 2, 300));
      await machine.run(Promise.resolve());
      let refused = false;
      machine.device.watch = () => {
        try {
          append(log, term(2), [draft(1)]);
        } catch (error) {
          refused = error instanceof InvariantViolated;
        }
        machine.device.watch = undefined;
      };
      await machine.run(installing);
      assert.ok(refused);
    });
  });

  it("goes away in the middle of it, whatever disk operation it is at, and leaves nothing behind", async () => {
    let cut = 0;
    for (let at = 0; at < 12; at += 1) {
      await withLog(40, async (log, machine, store) => {
        log.commit(index(30));
        await machine.settle();
        const from = machine.device.operations;
        let dropped: Promise<void> | undefined;
        const written: string[] = [];
        let removing = false;
        machine.device.watch = (kind, path, number) => {
          removing ||= kind === "list" && path === "groups/1-1";
          if (removing && path.startsWith("groups/1-1/") && kind !== "unlink") written.push(`${kind} ${path}`);
          // Outside of the disk's own turn, as whoever deletes a topic is.
          if (number >= from + at) dropped ??= Promise.resolve().then(() => store.drop(group(1)));
        };
        const installing = log.install(pointAt(100, 2, 300)).then(
          () => "installed",
          () => "given up",
        );
        if (at === 0) dropped = store.drop(group(1));
        if ((await machine.run(installing)) === "given up") cut += 1;
        dropped ??= store.drop(group(1));
        await machine.run(dropped);
        await machine.settle();
        machine.device.watch = undefined;
        assert.deepEqual(written, [], `nothing is written into a folder that is being removed, cut at ${at}`);
        assert.deepEqual(machine.failures, [], `cut at ${at}`);
        assert.deepEqual(await machine.run(machine.disk.list("groups")), [], `cut at ${at}`);
        machine.crash(true);
        assert.deepEqual((await machine.open()).recovered, []);
      });
    }
    assert.ok(cut > 0, "some were cut short");
  });

  it("stays as it was when there is no room for its new beginning, says so at once, and takes it when there is", async () => {
    for (const kind of ["open", "write"] as const) {
      await withLog(40, async (log, machine, store) => {
        log.commit(index(30));
        await machine.settle();
        const before = await filesOf(machine);
        machine.device.failNext(kind, "ENOSPC", "groups/1-1/");
        const began = machine.scheduler.now;
        assert.equal(await machine.run(log.install(pointAt(100, 2, 300))), "no-room");
        assert.ok(machine.scheduler.now - began < 100, "it does not wait for room");
        assert.equal(store.space.full, true, "nothing is offered again at once");
        assert.deepEqual([log.start.index, log.lastIndex, machine.failures], [0, 40, []]);
        assert.deepEqual(await filesOf(machine), before);
        append(log, term(1), [draft(1)]);
        log.commit(index(41));
        await machine.settle();
        assert.equal(store.space.full, false);
        assert.equal(await machine.run(log.install(pointAt(100, 2, 300))), "installed");
      });
    }
  });
});
