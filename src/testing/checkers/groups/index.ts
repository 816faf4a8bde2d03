import type { Checker } from "../verdict.ts";
import { atLeastOnce } from "./at-least-once.ts";
import { fencing } from "./fencing.ts";
import { groupReplay } from "./group-replay.ts";
import { groupRest } from "./group-rest.ts";
import { noExpiry } from "./no-expiry.ts";
import { oneOwner } from "./one-owner.ts";
import { offsetsRegister } from "./register.ts";
import { resumePoint } from "./resume-point.ts";

/** C1 to C8: they judge runs in which consumer groups were at work. */
export const groupCheckers: readonly Checker[] = [
  offsetsRegister,
  fencing,
  oneOwner,
  atLeastOnce,
  resumePoint,
  groupReplay,
  noExpiry,
  groupRest,
];
