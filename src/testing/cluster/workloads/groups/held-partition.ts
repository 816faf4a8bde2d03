import { GroupService, LogService } from "../../../../protocol/methods.ts";
import { FetchOffsetsRequest, FetchOffsetsResponse, ListOffsetsRequest, ListOffsetsResponse } from "../../../../protocol/public.ts";
import { wait } from "../../clients.ts";
import { fetchFrom } from "../fetch.ts";
import type { WorkloadContext } from "../workload.ts";
import { callOnce } from "./calls.ts";
import type { Tenure } from "./tenure.ts";

const TIMEOUT_MS = 1_500;
/** Records that are done with at a time; more when nothing is sent any more, so that it comes to an end. */
const RECORDS_MAX = 16;
const LAST_RECORDS_MAX = 200;
const FETCH_BYTES = 256 * 1_024;

export interface Place {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  /** As the history names it. */
  readonly name: string;
}

/** A partition in the hands of a member: it is processed in order, from where the group is, until it is to be given back or is lost. */
export class HeldPartition {
  readonly place: Place;
  /** The next offset to process; undefined: not known yet. */
  position: number | undefined;
  /** What was sent in a commit last, or was found committed. */
  sent = 0;
  /** What is committed for sure. */
  committed = 0;
  /** It is to be given back: no more is begun. */
  leaving = false;
  readonly #context: WorkloadContext;
  readonly #tenure: Tenure;
  #done = false;

  constructor(context: WorkloadContext, tenure: Tenure, place: Place) {
    this.#context = context;
    this.#tenure = tenure;
    this.place = place;
  }

  /** Nothing of it is in work any more. */
  get done(): boolean {
    return this.#done;
  }

  async run(): Promise<void> {
    const { random, ports } = this.#context;
    while (this.#goesOn && this.position === undefined) {
      await this.#begin();
      if (this.position === undefined) await wait(ports, 100 + random.below(200));
    }
    while (this.#goesOn) {
      await this.#tenure.awake();
      const worked = this.#goesOn && (await this.#work());
      if (!worked && this.#goesOn) await wait(ports, 50 + random.below(300));
    }
    this.#done = true;
    this.#tenure.finished();
  }

  get #goesOn(): boolean {
    return !this.leaving && !this.#tenure.over;
  }

  /** Asks where the group is, and begins where its partition does if it is nowhere. */
  async #begin(): Promise<void> {
    const { world, history, random } = this.#context;
    const { group, member, proc } = this.#tenure;
    const { topic, topicId, partition, name } = this.place;
    const tInv = world.now;
    const request = FetchOffsetsRequest.encode({ groupId: group.id, topics: [{ topic, partitions: [partition] }] });
    const told = await callOnce(
      random.pick(this.#tenure.channels),
      GroupService.FetchOffsets.path,
      request,
      FetchOffsetsResponse,
      TIMEOUT_MS,
    );
    if (!("answer" in told) || !this.#goesOn) return;
    const answer = told.answer.offsets.find((one) => one.topic === topic && one.partition === partition);
    // Whoever answers may know another topic of that name: that says nothing of this one.
    if (answer?.topicId !== topicId) return;
    const { offset } = answer;
    const said = offset === undefined ? {} : { offset };
    history.group({ f: "committed", proc, group: group.id, partition: name, ...said }, tInv, "ok");
    const asked = world.now;
    const from = offset ?? (await this.#start());
    if (from === undefined) return;
    this.position = from;
    this.sent = offset ?? 0;
    this.committed = this.sent;
    this.#tenure.resumed(asked);
    const found = offset === undefined ? { otherwise: from } : { committed: offset };
    history.group({ f: "resume", proc, group: group.id, member, partition: name, from, ...found }, tInv, "ok");
  }

  /** @returns where the log begins; undefined: nobody said */
  async #start(): Promise<number | undefined> {
    const { random } = this.#context;
    const { topic, topicId, partition } = this.place;
    const request = ListOffsetsRequest.encode({ topic, topicId, partitions: [partition] });
    const told = await callOnce(random.pick(this.#tenure.channels), LogService.ListOffsets.path, request, ListOffsetsResponse, TIMEOUT_MS);
    const found = "answer" in told ? told.answer.partitions[0] : undefined;
    return found === undefined || found.error !== undefined ? undefined : found.logStartOffset;
  }

  /** Reads some records and is done with them after a while. @returns whether there were any */
  async #work(): Promise<boolean> {
    const { world, history, activity, random, ports } = this.#context;
    const { group, member, proc } = this.#tenure;
    const { name } = this.place;
    const from = this.position ?? 0;
    const tInv = world.now;
    const fetched = await fetchFrom(this.#context, random.pick(this.#tenure.channels), {
      ...this.place,
      proc,
      offset: from,
      maxBytes: FETCH_BYTES,
    });
    if (fetched === undefined) return false;
    if (fetched.begins) {
      // What the group had not read is gone: it goes on where the log begins.
      this.position = Math.max(from, fetched.next);
      return false;
    }
    const end = Math.min(fetched.next, from + (activity.stopped ? LAST_RECORDS_MAX : RECORDS_MAX));
    if (end <= from) return false;
    await wait(ports, activity.stopped ? 1 : random.below(this.#tenure.handlerMs));
    await this.#tenure.awake();
    // A process that died is done with nothing; one that lost the partition meanwhile has processed it all the same.
    if (this.#tenure.dead) return false;
    history.group({ f: "work", proc, group: group.id, member, partition: name, from, end }, tInv, "ok");
    this.position = end;
    return true;
  }
}
