import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { DataSource } from 'typeorm';
import { acquireOwnership, openPostgres, type Ownership, poolOf, type Tx } from '#postgres';
import { type TestPostgres, testPostgres } from '../../../../test/support/servers.js';
import { ask, demoBooks, granted, MINUTE_START } from '../domain/demo-books.fixture.spec.js';
import { LedgerChanges } from '../domain/ledger-changes.js';
import { LEDGER_ENTITIES } from '../entities/ledger.entities.js';
import { Ledger1763820000000 } from '../migrations/1763820000000-ledger.js';
import { grantOf } from './grant-row.js';
import { insertVersions } from './insert-versions.js';
import { raiseEpoch } from './raise-epoch.js';
import { readClock } from './read-clock.js';
import { readClosings } from './read-closings.js';
import { readForeign } from './read-foreign.js';
import { readGrants } from './read-grants.js';
import { readHolds } from './read-holds.js';
import { readVersions } from './read-versions.js';
import { recordTurn } from './record-turn.js';
import { setOpenSince } from './set-open-since.js';

const PARTITION = 0;

describe('what books are rebuilt from', () => {
  let postgres: TestPostgres;
  let dataSource: DataSource;
  let ownership: Ownership;
  let epoch: number;
  const tx: Tx = {
    query: async <R>(sql: string, params: readonly unknown[] = []) =>
      (await poolOf(dataSource).query(sql, params as unknown[])).rows as R[],
  };

  beforeAll(async () => {
    postgres = await testPostgres();
    const options = { url: postgres.url, schema: 'quota_ledger', applicationName: 'test' };
    const made = { entities: LEDGER_ENTITIES, migrations: [Ledger1763820000000], poolSize: 2 };
    dataSource = await openPostgres({ ...options, ...made });
    ownership = await acquireOwnership({ ...options, key: 'test' });
  });

  beforeEach(async () => {
    await dataSource.query(
      'TRUNCATE call_grant, usage_minute, usage_day, hold, ledger_event, account_version, limit_closing, foreign_calls',
    );
    epoch = await ownership.transaction((own) => raiseEpoch(own, PARTITION));
  });

  afterAll(async () => {
    await ownership?.release();
    await dataSource?.destroy();
    await postgres?.drop();
  });

  const record = async (changes: LedgerChanges): Promise<void> => {
    expect(await recordTurn(ownership, { partition: PARTITION, epoch }, changes, MINUTE_START)).toBe(true);
  };

  it('is every version of an account, oldest first', async () => {
    const { config } = demoBooks();
    const changed = { ...config, batching: 'off' as const };
    await insertVersions(tx, [{ version: 1, origin: 'file', config }], 1_000);
    await insertVersions(tx, [{ version: 2, origin: 'operator', config: changed }], 2_000);
    expect(await readVersions(tx, null)).toEqual([
      { account: 'demo', version: 1, appliedAt: 1_000, origin: 'file', config },
      { account: 'demo', version: 2, appliedAt: 2_000, origin: 'operator', config: changed },
    ]);
    expect(await readVersions(tx, 'other')).toEqual([]);
    await expect(insertVersions(tx, [{ version: 2, origin: 'file', config }], 3_000)).rejects.toThrow(
      'account_version',
    );
  });

  it('is the clock, who owns it, and since when grants may be open', async () => {
    const before = await readClock(tx, PARTITION);
    expect(before.epoch).toBe(epoch);
    expect(before.nowMs).toBeGreaterThan(MINUTE_START);
    await setOpenSince(tx, PARTITION, MINUTE_START);
    expect(await readClock(tx, PARTITION)).toMatchObject({ epoch, openSinceMs: MINUTE_START });
  });

  it('is every grant that may still be open, or whose calls can have arrived since', async () => {
    const changes = new LedgerChanges();
    const grant = granted(ask(demoBooks(), MINUTE_START, { requestId: 'r1', kind: 'users.search' }, changes));
    await record(changes);
    const all = { arrivesFromMs: 0, openSinceMs: 0 };
    const [row] = await readGrants(tx, 'demo', all);
    expect(grantOf(row!)).toMatchObject({ id: grant.grantId, requestId: 'r1', calls: [{ state: 'open', key: null }] });
    const later = MINUTE_START + 3_600_000;
    expect(await readGrants(tx, 'demo', { arrivesFromMs: later, openSinceMs: 0 })).toHaveLength(1);
    expect(await readGrants(tx, 'demo', { arrivesFromMs: later, openSinceMs: later })).toEqual([]);
    expect(await readGrants(tx, 'other', all)).toEqual([]);
  });

  it('is every place taken, every limit closed, and the calls of others', async () => {
    await dataSource.query(
      `INSERT INTO hold (account, id, limit_name, integration, grant_id, taken_at_ms)
       VALUES ('demo', 'g1.0', 'inflight-jobs', 'ccai', 'g1', 5)`,
    );
    await dataSource.query(`INSERT INTO limit_closing VALUES ('demo', 'minute', '', 100), ('demo', 'day', '', 50)`);
    await dataSource.query(`INSERT INTO foreign_calls VALUES ('demo', 'minute', 10, 3), ('demo', 'minute', 20, 4)`);
    const place = {
      account: 'demo',
      id: 'g1.0',
      limit: 'inflight-jobs',
      integration: 'ccai',
      grantId: 'g1',
      takenAt: 5,
    };
    expect(await readHolds(tx, null)).toEqual([place]);
    expect(await readHolds(tx, 'other')).toEqual([]);
    expect(await readClosings(tx, 'demo', 50)).toEqual([{ account: 'demo', limit: 'minute', key: '', until: 100 }]);
    expect(await readForeign(tx, 'demo', 20)).toEqual([{ account: 'demo', limit: 'minute', at: 20, calls: 4 }]);
  });
});
