import type { Scope, Setting } from "./setting.ts";
import { environmentName, settingKeys, settings } from "./table.ts";

/** One row of the reference page. */
export interface SettingDescription {
  readonly key: string;
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

function describe(key: string, setting: Setting<unknown>): SettingDescription {
  const { range, scope, reloadable, doc, required } = setting;
  const shown = setting.default === undefined ? undefined : setting.show(setting.default);
  return { key, environment: environmentName(key), default: shown, required, range, scope, reloadable, doc };
}
