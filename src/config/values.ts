import { invariant } from "../base/invariant.ts";
import { nearest } from "../cluster/nearest.ts";
import type { ConfigProblem } from "./config-error.ts";
import type { Setting } from "./setting.ts";
import type { Given } from "./sources.ts";
import { environmentName, isSettingKey, type SettingKey, type SettingValue, settingKeys, settings } from "./table.ts";

/** Checked values of all keys, each with the place it came from. */
export class SettingValues {
  readonly #values: ReadonlyMap<SettingKey, unknown>;
  readonly #sources: ReadonlyMap<SettingKey, string>;

  constructor(values: ReadonlyMap<SettingKey, unknown>, sources: ReadonlyMap<SettingKey, string>) {
    this.#values = values;
    this.#sources = sources;
  }

  /** Only for keys that are required or have a default. */
  get<K extends SettingKey>(key: K): SettingValue<K> {
    const value = this.find(key);
    invariant(value !== undefined, () => `setting ${key} has a value`);
    return value;
  }

  find<K extends SettingKey>(key: K): SettingValue<K> | undefined {
    return this.#values.get(key) as SettingValue<K> | undefined;
  }

  /** "default", "flag", "environment" or a line of a file. */
  sourceOf(key: SettingKey): string {
    return this.#sources.get(key) ?? "default";
  }
}

export interface ReadValues {
  /** Without those that could not be read. */
  readonly values: SettingValues;
  /** Every unknown key, unreadable value, value out of range and, when asked for, missing key. */
  readonly problems: readonly ConfigProblem[];
}

/**
 * Reads and checks what was given; what comes later wins over what comes earlier.
 *
 * @param unread keys that were given, but not in a way that makes a text
 * @param complete a required key that is missing is a problem
 */
export function readValues(given: readonly Given[], unread: readonly string[], complete: boolean): ReadValues {
  const problems: ConfigProblem[] = [];
  const bad = new Set(unread);
  const values = new Map<SettingKey, unknown>();
  const sources = new Map<SettingKey, string>();
  for (const { key, text, source } of given) {
    if (!isSettingKey(key)) {
      problems.push(unknownKey(key, source));
      continue;
    }
    const read = readValue(settings[key] as Setting<unknown>, text);
    if ("problem" in read) {
      problems.push({ key, source, message: read.problem });
      bad.add(key);
    } else {
      values.set(key, read.value);
      sources.set(key, source);
    }
  }
  for (const key of settingKeys) {
    // A default in the place of a value that is wrong would make conflicts nobody wrote.
    if (bad.has(key)) values.delete(key);
    if (bad.has(key) || values.has(key)) continue;
    const setting: Setting<unknown> = settings[key] as Setting<unknown>;
    if (setting.default !== undefined) values.set(key, setting.default);
    else if (setting.required && complete) problems.push({ key, source: undefined, message: `must be given (${setting.expects})` });
  }
  return { values: new SettingValues(values, sources), problems };
}

function readValue(setting: Setting<unknown>, text: string): { value: unknown } | { problem: string } {
  const value = setting.read(text);
  if (value === undefined) return { problem: `cannot read ${JSON.stringify(text.slice(0, 100))}: give ${setting.expects}` };
  const checked = setting.schema.safeParse(value);
  if (checked.success) return { value: checked.data };
  return { problem: `cannot be ${JSON.stringify(text.slice(0, 100))}: ${checked.error.issues.map((issue) => issue.message).join("; ")}` };
}

function unknownKey(key: string, source: string): ConfigProblem {
  const known = key.startsWith("MILLRACE_") ? settingKeys.map(environmentName) : settingKeys;
  const near = nearest(key, known);
  const hint = near === undefined ? "" : `; did you mean ${near}?`;
  return { key, source, message: `is not a setting${hint}`, ...(near === undefined ? {} : { nearest: near }) };
}
