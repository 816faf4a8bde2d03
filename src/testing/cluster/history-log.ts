import type { GroupHistoryRow } from "../checkers/groups/rows.ts";
import type { EndRow, HistoryRow, MetadataRow, ReadRow, SendRow, TimeRow, TopicRow, TrimRow } from "../checkers/history.ts";
import type { Operations } from "../sim/faults/fault-run.ts";
import type { World } from "../sim/world.ts";

type Part<Row> = Omit<Row, "i" | "tInv" | "tRet" | "type">;
/** The same of each row of a union. */
export type Open<Row> = Row extends unknown ? Part<Row> : never;

/** What the clients of a run did. Rows are numbered when they begin and kept when they end; what never ended is of unknown outcome. */
export class HistoryLog {
  /** Told of every send as it ends. */
  ended: (row: SendRow) => void = () => {};
  readonly #world: World;
  readonly #rows: HistoryRow[] = [];
  readonly #open = new Map<number, Part<SendRow> & { readonly tInv: number }>();
  #next = 1;
  #begun = 0;

  constructor(world: World) {
    this.#world = world;
  }

  /** Sends that began, and those of them that have not ended. */
  get sends(): Operations {
    return { begun: this.#begun, open: this.#open.size };
  }

  beginSend(row: Part<SendRow>): number {
    const i = this.#next++;
    this.#begun++;
    this.#open.set(i, { ...row, tInv: this.#world.now });
    return i;
  }

  endSend(
    i: number,
    end: Pick<SendRow, "type"> & Partial<Pick<SendRow, "offset" | "error" | "leaderEpoch" | "broker" | "durableOn">>,
  ): void {
    const begun = this.#open.get(i);
    if (begun === undefined) return;
    this.#open.delete(i);
    const tRet = end.type === "info" ? Number.POSITIVE_INFINITY : this.#world.now;
    const row: SendRow = { ...begun, ...end, i, tRet };
    this.#rows.push(row);
    this.ended(row);
    this.#world.note(`row ${i} ${end.type} ${end.offset ?? ""} ${end.error ?? ""}`);
  }

  /** A read is one row once it has brought something. */
  read(row: Part<ReadRow>, tInv: number): void {
    this.#rows.push({ ...row, i: this.#next++, type: "ok", tInv, tRet: this.#world.now });
  }

  /** A search by time that was answered. */
  time(row: Part<TimeRow>, tInv: number): void {
    this.#rows.push({ ...row, i: this.#next++, type: "ok", tInv, tRet: this.#world.now });
  }

  metadata(row: Part<MetadataRow>, tInv: number): void {
    this.#rows.push({ ...row, i: this.#next++, type: "ok", tInv, tRet: this.#world.now });
  }

  /** A change of unknown outcome may take effect at any time after. */
  topic(row: Part<TopicRow>, tInv: number, type: TopicRow["type"]): void {
    const i = this.#next++;
    this.#world.note(`row ${i} ${row.op} ${row.name} ${type} ${row.id ?? ""} ${row.error ?? ""}`);
    this.#rows.push({ ...row, i, type, tInv, tRet: type === "info" ? Number.POSITIVE_INFINITY : this.#world.now });
  }

  end(row: Part<EndRow>, tInv: number, type: EndRow["type"]): void {
    this.#rows.push({ ...row, i: this.#next++, type, tInv, tRet: type === "info" ? Number.POSITIVE_INFINITY : this.#world.now });
  }

  /** A trim that got no answer may have been done. */
  trim(row: Part<TrimRow>, tInv: number, type: TrimRow["type"]): void {
    this.#rows.push({ ...row, i: this.#next++, type, tInv, tRet: type === "info" ? Number.POSITIVE_INFINITY : this.#world.now });
  }

  /** What somebody did of a consumer group. @param ended when it was answered, if that was earlier */
  group(row: Open<GroupHistoryRow>, tInv: number, type: HistoryRow["type"], ended = this.#world.now): void {
    const i = this.#next++;
    this.#world.note(`row ${i} ${row.f} ${type} ${row.proc} ${row.error ?? ""}`);
    this.#rows.push({ ...row, i, type, tInv, tRet: type === "info" ? Number.POSITIVE_INFINITY : ended });
  }

  /** Everything, by number; what is still open counts as unknown. */
  finished(): readonly HistoryRow[] {
    for (const i of [...this.#open.keys()]) this.endSend(i, { type: "info", error: "never answered" });
    return this.#rows.toSorted((a, b) => a.i - b.i);
  }
}
