import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { DataSource } from 'typeorm';
import { acquireOwnership, openPostgres, type Ownership, poolOf } from '#postgres';
import { type TestPostgres, testPostgres } from '../../../../test/support/servers.js';
import { ask, demoBooks, granted, MINUTE_START } from '../domain/demo-books.fixture.spec.js';
import { LedgerChanges } from '../domain/ledger-changes.js';
import { LEDGER_ENTITIES } from '../entities/ledger.entities.js';
import { Ledger1763820000000 } from '../migrations/1763820000000-ledger.js';
import { gatherTurn } from './gather-turn.js';
import { moveRelay } from './move-relay.js';
import { neverScanTables } from './never-scan-tables.js';
import { pruneRows } from './prune-rows.js';
import { raiseEpoch } from './raise-epoch.js';
import { readUsage } from './read-usage.js';
import { recordTurn } from './record-turn.js';
import { takeEvents } from './take-events.js';

const SCHEMA = 'quota_ledger';
const PARTITION = 0;

describe("the ledger's statements", () => {
  let postgres: TestPostgres;
  let dataSource: DataSource;
  let ownership: Ownership;
  let epoch: number;
  const reader = {
    query: async <R>(sql: string, params: readonly unknown[] = []) =>
      (await poolOf(dataSource).query(sql, params as unknown[])).rows as R[],
  };

  beforeAll(async () => {
    postgres = await testPostgres();
    const options = { url: postgres.url, schema: SCHEMA, applicationName: 'test' };
    const made = { entities: LEDGER_ENTITIES, migrations: [Ledger1763820000000], poolSize: 2 };
    dataSource = await openPostgres({ ...options, ...made });
    ownership = await acquireOwnership({ ...options, key: 'test' });
  });

  beforeEach(async () => {
    await dataSource.query('TRUNCATE call_grant, usage_minute, usage_day, hold, ledger_event RESTART IDENTITY');
    await dataSource.query('UPDATE relay_position SET last_id = 0');
    epoch = await ownership.transaction(async (tx) => {
      await neverScanTables(tx);
      return raiseEpoch(tx, PARTITION);
    });
  });

  afterAll(async () => {
    await ownership?.release();
    await dataSource?.destroy();
    await postgres?.drop();
  });

  function turnWithGrants(count: number, from = 0): LedgerChanges {
    const books = demoBooks([{ max: 10_000 }]);
    const changes = new LedgerChanges();
    for (let i = 0; i < count; i++)
      granted(ask(books, MINUTE_START, { requestId: `r${from + i}`, kind: 'users.search' }, changes));
    return changes;
  }

  const rowsOf = async (table: string): Promise<number> =>
    (await reader.query<{ n: number }>(`SELECT count(*)::int AS n FROM ${table}`))[0]!.n;

  it('record all of a turn', async () => {
    expect(await recordTurn(ownership, { partition: PARTITION, epoch }, turnWithGrants(3), MINUTE_START)).toBe(true);
    expect(await recordTurn(ownership, { partition: PARTITION, epoch }, turnWithGrants(2, 3), MINUTE_START)).toBe(true);
    expect(await Promise.all(['call_grant', 'usage_minute', 'usage_day', 'ledger_event'].map(rowsOf))).toEqual([
      5, 1, 1, 2,
    ]);
    const span = {
      account: 'demo',
      integration: null,
      fromMs: 0,
      toMs: MINUTE_START + 1,
      bucketMs: null,
      limitRows: 9,
    };
    expect(await readUsage(reader, 'usage_minute', span)).toEqual([
      { integration: 'ccai', startsAt: MINUTE_START, granted: 5, used: 0, returned: 0, expired: 0, open: 5 },
    ]);
  });

  it('record nothing under an epoch that is over', async () => {
    const owner = { partition: PARTITION, epoch: epoch - 1 };
    expect(await recordTurn(ownership, owner, turnWithGrants(3), MINUTE_START)).toBe(false);
    expect(await Promise.all(['call_grant', 'usage_minute', 'usage_day', 'ledger_event'].map(rowsOf))).toEqual([
      0, 0, 0, 0,
    ]);
  });

  it('record nothing of a turn of which a part is refused', async () => {
    await recordTurn(ownership, { partition: PARTITION, epoch }, turnWithGrants(1), MINUTE_START);
    const twice = recordTurn(ownership, { partition: PARTITION, epoch }, turnWithGrants(2), MINUTE_START);
    await expect(twice).rejects.toThrow('call_grant_request');
    expect(await Promise.all(['call_grant', 'ledger_event'].map(rowsOf))).toEqual([1, 1]);
  });

  it('find grants by their requests and by their ids, and tell the time when there is none', async () => {
    await recordTurn(ownership, { partition: PARTITION, epoch }, turnWithGrants(3), MINUTE_START);
    const asked = { account: 'demo', integration: 'ccai', requestId: 'r1' };
    const [found] = await gatherTurn(ownership, PARTITION, [asked, { ...asked, requestId: 'never' }], []);
    expect(found).toMatchObject({ epoch, request_id: 'r1', runs: [[1, 0, MINUTE_START, MINUTE_START + 13_000]] });
    expect(await gatherTurn(ownership, PARTITION, [], [found!.id!, 'never'])).toMatchObject([{ id: found!.id }]);
    const [none] = await gatherTurn(ownership, PARTITION, [{ ...asked, integration: 'reporting' }], []);
    expect(none).toMatchObject({ epoch, id: null });
    expect(none!.nowMs).toBeGreaterThan(MINUTE_START);
  });

  it('tell events in order, once past', async () => {
    for (const from of [0, 1, 2])
      await recordTurn(ownership, { partition: PARTITION, epoch }, turnWithGrants(1, from), MINUTE_START);
    const first = await takeEvents(reader, PARTITION, 2);
    expect(first.map(({ id }) => id)).toEqual([1, 2]);
    await moveRelay(reader, PARTITION, 2);
    await moveRelay(reader, PARTITION, 1);
    expect(await takeEvents(reader, PARTITION, 9)).toMatchObject([
      { id: 3, event: 'granted', entries: [{ requestId: 'r2' }] },
    ]);
  });

  it('prune what is old, a piece at a time, but nothing that is open or untold', async () => {
    await recordTurn(ownership, { partition: PARTITION, epoch }, turnWithGrants(4), MINUTE_START);
    const later = MINUTE_START + 86_400_000;
    expect(await pruneRows(reader, 'call_grant', later, 10)).toBe(0);
    expect(await pruneRows(reader, 'ledger_event', later, 10)).toBe(0);
    await dataSource.query('UPDATE call_grant SET open = 0, expired = 1');
    await moveRelay(reader, PARTITION, 1);
    expect(await pruneRows(reader, 'call_grant', later, 3)).toBe(3);
    expect(await pruneRows(reader, 'call_grant', MINUTE_START, 3)).toBe(0);
    expect(await pruneRows(reader, 'ledger_event', later, 10)).toBe(1);
  });
});
