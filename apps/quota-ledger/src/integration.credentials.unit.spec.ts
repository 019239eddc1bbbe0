import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { AccountConfig } from '#contracts';
import { silentLog } from '#telemetry';
import { IntegrationCredentials, REREAD_MS } from './integration.credentials.js';

describe('who may ask for quota over HTTP', () => {
  let folder: string;
  let file: string;
  let nowMs: number;
  let credentials: IntegrationCredentials;
  beforeEach(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'sluice credentials '));
    file = path.join(folder, 'reporting');
    writeFileSync(file, 'pass:word\n');
    nowMs = 0;
    credentials = new IntegrationCredentials({ monotonicMs: () => nowMs }, silentLog);
    credentials.learn(account({ reporting: `file:${file}`, billing: null }));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  function account(refs: Record<string, string | null>): AccountConfig {
    const integrations = Object.fromEntries(
      Object.entries(refs).map(([name, quotaPasswordRef]) => [name, { quotaPasswordRef }]),
    );
    return { name: 'acme', integrations } as unknown as AccountConfig;
  }
  const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;

  it('is an integration that has a password, and gives it', () => {
    expect(credentials.identify(basic('acme.reporting:pass:word'))).toEqual({
      account: 'acme',
      integration: 'reporting',
    });
  });

  it.each([
    undefined,
    '',
    'Bearer x',
    'Basic !',
    basic('acme.reporting:wrong'),
    basic('acme.reporting:'),
    basic('acme.reporting'),
    basic('acme.billing:pass:word'),
    basic('globex.reporting:pass:word'),
    basic(':'),
    basic(''),
    `Basic ${'a'.repeat(2_000)}`,
  ])('is nobody else: %s', (authorization) => {
    expect(credentials.identify(authorization)).toBe('unknown');
  });

  it('follows a changed password, soon', () => {
    writeFileSync(file, 'new');
    expect(credentials.identify(basic('acme.reporting:new'))).toBe('unknown');
    nowMs += REREAD_MS;
    expect(credentials.identify(basic('acme.reporting:new'))).toMatchObject({ integration: 'reporting' });
    expect(credentials.identify(basic('acme.reporting:pass:word'))).toBe('unknown');
  });

  it('can’t be told while the password can’t be read', () => {
    rmSync(file);
    nowMs += REREAD_MS;
    expect(credentials.identify(basic('acme.reporting:guess'))).toBe('unreadable');
    writeFileSync(file, 'back');
    nowMs += REREAD_MS;
    expect(credentials.identify(basic('acme.reporting:back'))).toMatchObject({ integration: 'reporting' });
  });

  it('ends with the integration, its password’s reference, or the account', () => {
    credentials.learn(account({ reporting: null }));
    expect(credentials.identify(basic('acme.reporting:pass:word'))).toBe('unknown');
    credentials.learn(account({ reporting: `file:${file}` }));
    credentials.forget('acme');
    expect(credentials.identify(basic('acme.reporting:pass:word'))).toBe('unknown');
  });
});
