import { reasonOf } from "../bundle/collect.ts";
import { CommandFailed, ExitCode } from "../exit-code.ts";

/** Making a plan waits for brokers that do not answer, applying one for a controller. */
const ANSWER_MS = 90_000;

/** @throws {CommandFailed} exit 3: nobody answers · exit 1: refused, with the code and why */
export async function askBroker<T>(address: string, path: string, body: object): Promise<T> {
  const url = `http://${address}${path}`;
  let status: number;
  let text: string;
  try {
    const answer = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(ANSWER_MS),
      redirect: "error",
    });
    status = answer.status;
    text = await answer.text();
  } catch (error) {
    throw new CommandFailed(ExitCode.absent, `no broker answers at ${url}: ${reasonOf(error)}`);
  }
  if (status === 200) return JSON.parse(text) as T;
  if (status !== 409)
    throw new CommandFailed(ExitCode.absent, `what answers at ${url} knows no recovery: ${status} ${text.trim().slice(0, 200)}`);
  const { code, message } = JSON.parse(text) as { code: string; message: string };
  throw new CommandFailed(ExitCode.failure, `${code}: ${message}`);
}
