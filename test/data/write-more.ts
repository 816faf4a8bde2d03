import { crc32c } from "../../src/base/crc32c.ts";
import type { ProducerId } from "../../src/base/ids.ts";
import { Producers } from "../../src/log/model/producers.ts";
import type { GroupLog, LogStore } from "../../src/log/types.ts";
import { FrameType } from "../../src/records/frame-types.ts";
import { trimDraft } from "../../src/records/trim.ts";
import { append, draft, EMPTY, framesAfter, fromProducer, group, index, offset, replica, term, text } from "../log/frames.ts";
import type { Machine } from "../log/machine.ts";

/**
 * What later versions than v1 write besides: a log that was trimmed, one that was told to begin elsewhere, one that is doubted and one that was
 * vouched for, configurations in frames, one that was set aside.
 */
export async function writeMore(machine: Machine, store: LogStore): Promise<readonly GroupLog[]> {
  const make = (id: number): Promise<GroupLog> => machine.run(store.create(group(id), replica(10 + id), EMPTY, text(`config of ${id}`)));
  const config = (name: string) => {
    const payload = text(name);
    return { ...draft(1, 0), type: FrameType.config, recordCount: 0, payload, payloadCrc: crc32c(payload) };
  };

  const trimmed = await make(5);
  for (let n = 0; n < 60; n += 1) {
    // Large and even: segments go, and the archive stays small.
    const payload = new Uint8Array(4_000).fill(n);
    append(trimmed, term(1), [draft(n, 0, { payload, payloadCrc: crc32c(payload) })]);
    trimmed.commit(trimmed.lastIndex);
    await machine.settle();
  }
  append(trimmed, term(2), [trimDraft(offset(70)), config("voters of 5")]);
  await machine.settle();
  trimmed.commit(trimmed.lastIndex);
  await machine.settle();

  const elsewhere = await make(6);
  append(elsewhere, term(1), [draft(1), draft(2)]);
  await machine.settle();
  const producers = new Producers();
  const batch = { baseSequence: 5, recordCount: 1, baseOffset: offset(6999), index: index(1000), term: term(4), appendTime: 50 };
  producers.append({ ...batch, producerId: 7 as ProducerId, producerEpoch: 0 });
  producers.advance(index(1000));
  const start = { index: index(1000), term: term(4), offset: offset(7000) };
  await machine.run(
    elsewhere.install({
      start,
      terms: [{ term: term(4), firstIndex: index(1) }],
      config: text("config of 6"),
      producers,
      appendTime: 5000,
    }),
  );
  await machine.run(
    elsewhere.extend(framesAfter({ groupId: group(6), index: 1000, offset: 7000, appendTime: 5000 }, [term(4), term(5), term(5)])),
  );
  append(elsewhere, term(5), [fromProducer(7, 6, 3)]);
  await machine.settle();

  const doubted = await make(7);
  append(doubted, term(3), [draft(1), config("voters of 7"), draft(2)]);
  doubted.commit(index(2));
  await machine.settle();
  doubted.doubt();
  const vouched = await make(8);
  append(vouched, term(3), [draft(5)]);
  vouched.doubt();
  await machine.settle();
  vouched.vouched();
  await machine.settle();

  const aside = await make(9);
  append(aside, term(1), [draft(1)]);
  await machine.settle();
  await machine.run(store.drop(group(9), "set aside"));
  return [trimmed, elsewhere, doubted, vouched];
}
