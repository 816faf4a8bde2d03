import { MillraceError } from "../base/errors.ts";

/** What is stored is no facts or no snapshot of groups that this version can read: damage that no checksum saw, or a later version's. */
export class GroupsMalformed extends Error {
  override readonly name = "GroupsMalformed";
}

export function malformed(what: string): never {
  throw new GroupsMalformed(what);
}

/** The codec's refusals, which are made for requests, as what they are here. */
export function malformedUnless<T>(decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    if (error instanceof MillraceError) throw new GroupsMalformed(error.message, { cause: error });
    throw error;
  }
}
