import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readSecret, SecretUnavailable } from './read-secret.js';
import { envNameOf, readSettings, settingsCatalogue, summaryOf } from './read-settings.js';
import { choice, duration, flag, integer, parseDuration, secretText, text, url } from './setting.js';
import { SettingsError } from './settings-error.js';
import { natsSettings } from './shared-settings.js';

const SPEC = {
  httpPort: integer({ default: 0, min: 0, max: 65_535, doc: 'Port.' }),
  accountsFile: text({ doc: 'File.' }),
  accountsForce: flag({ default: false, doc: 'Force.' }),
  logLevel: choice({ default: 'info', of: ['debug', 'info'], doc: 'Level.' }),
  baseUrl: url({ default: 'https://example.com', protocols: ['http', 'https'], doc: 'Base.' }),
  postgresUrl: secretText({ doc: 'Postgres.' }),
  pollEvery: duration({ default: 1_000, minMs: 100, maxMs: 60_000, doc: 'Poll.' }),
} as const;
const NEEDED = { ACCOUNTS_FILE: 'accounts.yaml', POSTGRES_URL: 'postgres://u:p@h/d' };

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'settings with space-'));
  writeFileSync(join(folder, 'secret'), 'from a file\n');
});
afterAll(() => rmSync(folder, { recursive: true }));

const problemsOf = (env: Record<string, string>): readonly unknown[] => {
  try {
    readSettings(SPEC, env);
  } catch (error) {
    return (error as SettingsError).problems;
  }
  return [];
};

describe('reading settings', () => {
  it('takes the variables by their names, and defaults for the rest', () => {
    const settings = readSettings(SPEC, {
      ...NEEDED,
      HTTP_PORT: ' 8080 ',
      ACCOUNTS_FORCE: 'Yes',
      POLL_EVERY: '2s',
      LOG_LEVEL: '',
    });

    expect(settings).toEqual({
      httpPort: 8_080,
      accountsFile: 'accounts.yaml',
      accountsForce: true,
      logLevel: 'info',
      baseUrl: 'https://example.com',
      postgresUrl: 'postgres://u:p@h/d',
      pollEvery: 2_000,
    });
    expect(Object.isFrozen(settings)).toBe(true);
  });

  it('reports everything that is wrong at once', () => {
    const problems = problemsOf({
      HTTP_PORT: '70000',
      ACCOUNTS_FORCE: 'perhaps',
      LOG_LEVEL: 'loud',
      BASE_URL: 'ftp://example.com',
      POLL_EVERY: '5 minutes',
    });

    expect(problems).toEqual([
      { name: 'HTTP_PORT', message: 'must be a whole number from 0 to 65535, is "70000"' },
      { name: 'ACCOUNTS_FILE', message: 'must be given (text): File.' },
      { name: 'ACCOUNTS_FORCE', message: 'must be true or false, is "perhaps"' },
      { name: 'LOG_LEVEL', message: 'must be one of debug, info, is "loud"' },
      { name: 'BASE_URL', message: 'must be a URL beginning with http: or https:' },
      { name: 'POSTGRES_URL', message: 'must be given (secret): Postgres.' },
      { name: 'POLL_EVERY', message: 'must be a duration such as 500ms, 10s, 2m, 1h or 30d, is "5 minutes"' },
    ]);
  });

  it('refuses numbers that only look whole, and durations out of bounds', () => {
    for (const port of ['1.5', '1e3', '0x10', 'NaN', '-1'])
      expect(problemsOf({ ...NEEDED, HTTP_PORT: port })).toHaveLength(1);
    expect(problemsOf({ ...NEEDED, POLL_EVERY: '99ms' })).toEqual([
      { name: 'POLL_EVERY', message: 'must be from 100 to 60000 ms, is 99 ms' },
    ]);
  });

  it('takes a secret from the file that X_FILE names', () => {
    const env = { ACCOUNTS_FILE: 'a', POSTGRES_URL_FILE: join(folder, 'secret') };

    expect(readSettings(SPEC, env).postgresUrl).toBe('from a file');
    expect(problemsOf({ ...env, POSTGRES_URL: 'x' })).toEqual([
      { name: 'POSTGRES_URL', message: 'give either POSTGRES_URL or POSTGRES_URL_FILE, not both' },
    ]);
    expect(problemsOf({ ...env, POSTGRES_URL_FILE: '/nowhere' })).toEqual([
      { name: 'POSTGRES_URL_FILE', message: "can't read /nowhere: ENOENT" },
    ]);
  });

  it('shows no secret in its summary, nor a password within a URL', () => {
    const settings = readSettings({ ...SPEC, ...natsSettings }, { ...NEEDED, NATS_URL: 'nats://u:hidden@h:4222' });

    const summary = summaryOf(settings);

    expect(summary).toMatchObject({ POSTGRES_URL: '***', NATS_PASSWORD: '', HTTP_PORT: 0 });
    expect(JSON.stringify(summary)).not.toMatch(/hidden|u:p@h/);
    expect(() => summaryOf({})).toThrow(TypeError);
  });

  it('names variables by their properties', () => {
    expect(['natsUrl', 'streamMaxAgeDays', 'http2Port', 'x'].map(envNameOf)).toEqual([
      'NATS_URL',
      'STREAM_MAX_AGE_DAYS',
      'HTTP2_PORT',
      'X',
    ]);
  });

  it('lists what can be told, in alphabetical order', () => {
    const catalogue = settingsCatalogue(SPEC);

    expect(catalogue.map(({ name }) => name)).toEqual([
      'ACCOUNTS_FILE',
      'ACCOUNTS_FORCE',
      'BASE_URL',
      'HTTP_PORT',
      'LOG_LEVEL',
      'POLL_EVERY',
      'POSTGRES_URL',
    ]);
    expect(catalogue[5]).toEqual({
      name: 'POLL_EVERY',
      kind: 'duration (500ms, 10s, 2m, 1h, 30d)',
      default: '1000',
      secret: false,
      doc: 'Poll.',
    });
  });
});

describe('a duration', () => {
  it('is read in its unit, as whole milliseconds', () => {
    const read = ['250', '500ms', '1.5s', '2m', '1h', '30d', '1.5ms', '-1s', '', '10 s'].map(parseDuration);

    expect(read).toEqual([250, 500, 1_500, 120_000, 3_600_000, 2_592_000_000, null, null, null, null]);
  });
});

describe("a secret's reference", () => {
  it('is followed into the environment or a file', () => {
    expect(readSecret('env:TOKEN', { TOKEN: 'abc' })).toBe('abc');
    expect(readSecret(`file:${join(folder, 'secret')}`, {})).toBe('from a file');
  });

  it('says which one cannot be followed, and why', () => {
    const failures = ['env:TOKEN', 'file:/nowhere', 'abc', 'env:EMPTY'].map((ref) => {
      try {
        return readSecret(ref, { EMPTY: '' });
      } catch (error) {
        return error;
      }
    });

    for (const failure of failures) expect(failure).toBeInstanceOf(SecretUnavailable);
    expect(failures.map((failure) => (failure as Error).message)).toEqual([
      'secret env:TOKEN: this environment variable is not set',
      "secret file:/nowhere: can't be read (ENOENT)",
      'secret abc: must be env:NAME or file:/path',
      'secret env:EMPTY: is empty',
    ]);
  });
});
