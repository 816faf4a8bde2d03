import type { MillraceError } from "../base/errors.ts";
import { refuseGroupName } from "./names.ts";
import { invalid } from "./refusals.ts";

/** Groups in one page, at most: of the longest names they fit an answer. */
export const PAGE_GROUPS_MAX = 5_000;

/** Which groups are asked for. */
export interface GroupsPage {
  /** 0: all. */
  readonly pageSize: number;
  /** Name of the last group of the page before; empty: none. */
  readonly pageToken: string;
}

export function refusePage({ pageSize, pageToken }: GroupsPage): MillraceError | undefined {
  if (pageSize < 0) return invalid("page_size", `${pageSize} is below 0`);
  if (pageToken !== "" && refuseGroupName(pageToken) !== undefined)
    return invalid("page_token", "no answer has said it; begin without one");
  return undefined;
}

/** Those behind the token by name (UTF-16 order), as many as a page has; and whether there are more. */
export function pageOf<T>(
  all: readonly T[],
  nameOf: (one: T) => string,
  page: GroupsPage,
): { readonly listed: readonly T[]; readonly more: boolean } {
  const behind = page.pageToken === "" ? all : all.filter((one) => nameOf(one) > page.pageToken);
  if (page.pageSize === 0) return { listed: behind, more: false };
  const size = Math.min(page.pageSize, PAGE_GROUPS_MAX);
  const sorted = [...behind].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
  return { listed: sorted.slice(0, size), more: sorted.length > size };
}
