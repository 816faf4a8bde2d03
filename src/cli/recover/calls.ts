import { MillraceError } from "../../base/errors.ts";
import type { Broker } from "../../broker/broker.ts";
import type { AdminAnswer } from "../../telemetry/admin-http.ts";

export const PLAN_PATH = "/recover/plan";
export const APPLY_PATH = "/recover/apply";

/** `millrace recover` on a broker's admin port (ADR 0014). A refusal is 409 and says its code. */
export function recoverCalls(
  broker: Pick<Broker, "planRecovery" | "applyRecovery">,
): ReadonlyMap<string, (body: string) => Promise<AdminAnswer>> {
  return new Map([
    [PLAN_PATH, () => answered(() => broker.planRecovery())],
    [
      APPLY_PATH,
      (body: string) =>
        answered(() => {
          const { clusterId, digest } = confirmed(body);
          return broker.applyRecovery({ clusterId, digest });
        }),
    ],
  ]);
}

async function answered(work: () => Promise<unknown>): Promise<AdminAnswer> {
  try {
    return { status: 200, text: `${JSON.stringify(await work())}\n` };
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    const { code, message, metadata } = error;
    return { status: 409, text: `${JSON.stringify({ code, message, metadata })}\n` };
  }
}

/** @throws {MillraceError} INVALID_REQUEST */
function confirmed(body: string): { readonly clusterId: string; readonly digest: string } {
  let fields: unknown;
  try {
    fields = JSON.parse(body);
  } catch {
    fields = undefined;
  }
  const { clusterId, digest } = (fields ?? {}) as Record<string, unknown>;
  if (typeof clusterId !== "string" || typeof digest !== "string")
    throw new MillraceError("INVALID_REQUEST", "Cannot apply a plan: name its clusterId and digest", { field: "digest" });
  return { clusterId, digest };
}
