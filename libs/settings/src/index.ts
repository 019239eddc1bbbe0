export { SettingsError, type SettingsProblem } from './settings-error.js';
export { choice, duration, flag, integer, parseDuration, secretText, type Setting, text, url } from './setting.js';
export {
  type CatalogueEntry,
  envNameOf,
  readSettings,
  settingsCatalogue,
  type SettingsOf,
  type SettingsSpec,
  summaryOf,
} from './read-settings.js';
export { readSecret, SecretUnavailable } from './read-secret.js';
export { httpSettings, natsSettings, postgresSettings, streamSettings } from './shared-settings.js';
