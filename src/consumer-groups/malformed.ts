import { MillraceError } from "../base/errors.ts";

/**
 * What is stored is no facts or no snapshot of groups that this version can read: damage that no checksum saw, or a later version's.
 * No bug of this one: the broker that reads it ends with that as its reason.
 */
export class GroupsMalformed extends MillraceError {
  override readonly name = "GroupsMalformed";

  constructor(message: string) {
    super("INVALID_REQUEST", message);
  }
}

export function malformed(what: string): never {
  throw new GroupsMalformed(what);
}

/** The codec's refusals, which are made for requests, as what they are here. */
export function malformedUnless<T>(decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    if (error instanceof MillraceError) throw new GroupsMalformed(error.message);
    throw error;
  }
}
