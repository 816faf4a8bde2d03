import { crc32c } from "../../base/crc32c.ts";
import { Malformed } from "./bytes.ts";

const SEAL = /,\n {2}"crc": "([0-9a-f]{8})"\n\}\n$/;

/**
 * JSON for a person's eyes that notices a changed byte: its last field, `crc`, is the CRC-32C of all the text before it, as eight hex
 * digits. A letter of an id may change into another letter, and the text is as good JSON as before.
 */
export function sealJson(fields: object): string {
  const body = JSON.stringify(fields, null, 2).slice(0, -"\n}".length);
  return `${body},\n  "crc": "${crcOf(body)}"\n}\n`;
}

/** It ends as one that was sealed; whether it is what was written then is another question. */
export function isSealed(text: string): boolean {
  return SEAL.test(text);
}

/**
 * @param unsealed fields of a text that was written before there was a seal; with any other it is one whose seal was damaged
 * @returns the fields, without the seal
 * @throws {Malformed} it is not what was written
 */
export function openSealedJson(text: string, unsealed: ReadonlySet<string>): Readonly<Record<string, unknown>> {
  const seal = SEAL.exec(text);
  if (seal !== null && seal[1] !== crcOf(text.slice(0, seal.index))) throw new Malformed("does not match its CRC");
  const fields = parse(text);
  if (seal !== null) {
    delete fields["crc"];
    return fields;
  }
  const odd = Object.keys(fields).find((key) => !unsealed.has(key));
  if (odd !== undefined) throw new Malformed(`has no CRC, but a field ${JSON.stringify(odd)}`);
  return fields;
}

function parse(text: string): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === "object" && parsed !== null) return parsed as Record<string, unknown>;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new Malformed("is not JSON");
}

function crcOf(text: string): string {
  return crc32c(new TextEncoder().encode(text)).toString(16).padStart(8, "0");
}
