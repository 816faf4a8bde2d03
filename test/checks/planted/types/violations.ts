import { type LogIndex, type Offset, toOffset } from "../../../../src/base/ids.ts";

export enum Erasable {
  no = 1,
}
export const mixed: LogIndex = toOffset(1);
export function unchecked(list: readonly Offset[]): Offset {
  return list[0];
}
export const absent: { readonly hint?: string } = { hint: undefined };
