import { describe, expect, it } from '@jest/globals';
import { systemClock } from '#clock';
import type { AccountConfig } from '#contracts';
import { type Log, silentLog } from '#telemetry';
import { config } from '../test/commands.js';
import { AccountWriters, type TakeOwnership } from './account.writers.js';
import type { CrmWriterSettings } from './crm-writer.settings.js';
import type { QuotaClient } from './quota.client.js';
import type { Rehearsals } from './rehearsals.js';
import type { WriteStore } from './write.store.js';

const WRITTEN = config('http://127.0.0.1:1');
const QUOTA_ONLY: AccountConfig = {
  ...WRITTEN,
  crm: { type: 'salesforce', licence: 'enterprise', timeScale: 1, requestTimeoutMs: 1_000 },
};

/** Writers that never get the ownership they wait for: all they may do before it is wait. */
function waitingWriters() {
  const asked: string[] = [];
  const said: string[] = [];
  const own: TakeOwnership = (account, signal) => {
    asked.push(account);
    return new Promise((_resolve, reject) =>
      signal.addEventListener('abort', () => reject(new Error('no longer wanted')), { once: true }),
    );
  };
  const log: Log = { ...silentLog, info: (message) => void said.push(message) };
  const noCrm = () => {
    throw new Error('nothing may be written');
  };
  const settings = { maxCallsInFlight: 1, maxSubmissionsInFlight: 1 } as CrmWriterSettings;
  const writers = new AccountWriters(
    {} as WriteStore & Rehearsals,
    {} as QuotaClient,
    noCrm,
    own,
    systemClock,
    log,
    settings,
  );
  return { writers, asked, said };
}

describe('the writers of accounts', () => {
  it('leave accounts for quota only alone, and say so', async () => {
    const { writers, asked, said } = waitingWriters();
    writers.put({ version: 1, config: QUOTA_ONLY });
    await writers.stop();
    expect(asked).toEqual([]);
    expect(said).toEqual(['an account is for quota only: nothing is written']);
    expect(writers.standing(QUOTA_ONLY.name)).toBeNull();
  });

  it('let go of an account that becomes one, and take it again when it is one no more', async () => {
    const { writers, asked } = waitingWriters();
    writers.put({ version: 1, config: WRITTEN });
    expect(writers.standing(WRITTEN.name)).toEqual({ owned: false, closed: null });
    writers.put({ version: 2, config: QUOTA_ONLY });
    expect(writers.standing(WRITTEN.name)).toBeNull();
    writers.put({ version: 3, config: WRITTEN });
    expect(writers.standing(WRITTEN.name)).toEqual({ owned: false, closed: null });
    await writers.stop();
    expect(asked.every((account) => account === WRITTEN.name)).toBe(true);
  });
});
