import type { Scope, Setting } from "./setting.ts";
import { environmentName, settingKeys, settings } from "./table.ts";
import type { SettingValues } from "./values.ts";

/** One row of the reference page. */
export interface SettingDescription {
  readonly key: string;
  /** What a value is: "bytes", "time", "number", "text", … */
  readonly unit: string;
  readonly environment: string;
  /** As one would write it; undefined when there is none. */
  readonly default: string | undefined;
  readonly required: boolean;
  readonly range: string;
  readonly scope: Scope;
  readonly reloadable: boolean;
  readonly doc: string;
}

/** The table as text, in its order: docs/configuration.md is made from it. */
export function describeConfig(): readonly SettingDescription[] {
  return settingKeys.map((key) => describe(key, settings[key] as Setting<unknown>));
}

/** A row of the reference page with the value a broker would run with. */
export interface EffectiveSetting extends SettingDescription {
  /** As one would write it; undefined when there is none. */
  readonly value: string | undefined;
  /** "default", "flag", "environment", "broker.yaml line 3"; "missing" when it is required and nowhere given. */
  readonly source: string;
}

/** Every setting in the order of the table, with its value and where that comes from. */
export function explainConfig(values: SettingValues): readonly EffectiveSetting[] {
  return settingKeys.map((key) => {
    const value: unknown = values.find(key);
    const setting = settings[key] as Setting<unknown>;
    const shown = value === undefined ? undefined : setting.show(value);
    const source = value === undefined && setting.required ? "missing" : values.sourceOf(key);
    return { ...describe(key, setting), value: shown, source };
  });
}

const units: Readonly<Record<Setting<unknown>["kind"], string>> = {
  bytes: "bytes",
  ms: "time",
  count: "number",
  text: "text",
  address: "address",
  flag: "flag",
  choice: "word",
  seeds: "addresses",
};

function describe(key: string, setting: Setting<unknown>): SettingDescription {
  const { range, scope, reloadable, doc, required } = setting;
  const shown = setting.default === undefined ? undefined : setting.show(setting.default);
  return { key, unit: units[setting.kind], environment: environmentName(key), default: shown, required, range, scope, reloadable, doc };
}
