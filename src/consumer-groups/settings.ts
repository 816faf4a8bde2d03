export { defaultGroupSettings, type GroupSettings } from "../base/group-settings.ts";
