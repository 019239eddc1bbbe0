/** One thing wrong with one setting. */
export interface SettingsProblem {
  /** The environment variable as the operator knows it. */
  readonly name: string;
  /** What is wrong, in plain words; never the value of a secret. */
  readonly message: string;
}

/** The settings can't be used; lists everything that is wrong, so that one look is enough to mend it. */
export class SettingsError extends Error {
  readonly code = 'settings_invalid';
  constructor(readonly problems: readonly SettingsProblem[]) {
    super(`settings are not usable:\n${problems.map(({ name, message }) => `  ${name}: ${message}`).join('\n')}`);
    this.name = 'SettingsError';
  }
}
