import { DEFAULT_SHARE } from '#contracts';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from '@jest/globals';
import { silentLog } from '#telemetry';
import { accountOf } from '../test/running-ingest.js';
import { CcaiCredentials, REREAD_MS } from './ccai.credentials.js';

const folder = mkdtempSync(join(tmpdir(), 'sluice-'));
const file = join(folder, 'password');
const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;
let nowMs = 0;
const clock = { nowMs: () => nowMs, monotonicMs: () => nowMs, sleep: () => Promise.resolve() };

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('credentials', () => {
  let credentials: CcaiCredentials;
  beforeEach(() => {
    nowMs = 0;
    writeFileSync(file, 'one:two');
    credentials = new CcaiCredentials(clock, silentLog);
    credentials.learn(accountOf('demo', `file:${file}`));
  });

  it.each<[string, string, string | undefined, string]>([
    ['are known', 'demo', basic('ccai:one:two'), 'known'],
    ['are known whatever the case of the scheme', 'demo', basic('ccai:one:two').replace('Basic', 'bASIC'), 'known'],
    ['are unknown with another password', 'demo', basic('ccai:one'), 'unknown'],
    ['are unknown of another user', 'demo', basic('admin:one:two'), 'unknown'],
    ['are unknown for another account', 'other', basic('ccai:one:two'), 'unknown'],
    ['are unknown when absent', 'demo', undefined, 'unknown'],
    ['are unknown when endless', 'demo', basic('ccai:one:two').padEnd(5_000), 'unknown'],
  ])('%s', (_, account, header, identity) => {
    expect(credentials.identify(account, header)).toBe(identity);
  });

  it('follow a secret that is changed, without being read at every attempt', () => {
    writeFileSync(file, 'three');
    expect(credentials.identify('demo', basic('ccai:three'))).toBe('unknown');
    nowMs += REREAD_MS;
    expect(credentials.identify('demo', basic('ccai:three'))).toBe('known');
    expect(credentials.identify('demo', basic('ccai:one:two'))).toBe('unknown');
  });

  it('are neither right nor wrong while the secret cannot be read, and recover', () => {
    const missing = join(folder, 'missing');
    credentials.learn(accountOf('demo', `file:${missing}`));
    expect(credentials.identify('demo', basic('ccai:x'))).toBe('unreadable');
    writeFileSync(missing, 'x');
    nowMs += REREAD_MS;
    expect(credentials.identify('demo', basic('ccai:x'))).toBe('known');
  });

  it('are forgotten with the account, or when it takes events no more', () => {
    credentials.learn({
      ...accountOf('demo', `file:${file}`),
      integrations: { ccai: { ingest: null, trusted: true, share: DEFAULT_SHARE, quotaPasswordRef: null } },
    });
    expect(credentials.identify('demo', basic('ccai:one:two'))).toBe('unknown');
    credentials.learn(accountOf('demo', `file:${file}`));
    credentials.forget('demo');
    expect(credentials.identify('demo', basic('ccai:one:two'))).toBe('unknown');
  });
});
