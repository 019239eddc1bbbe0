import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { systemClock } from '#clock';
import type { AcquireRequest } from '#contracts';
import { LockSession } from '#postgres';
import { silentLog } from '#telemetry';
import { type LedgerDatabase, ledgerDatabase } from '../test/ledger-database.js';
import { audit, type AuditOptions, type AuditReport, OwnerChanged, RepairUnderWay } from './audit.handler.js';
import { demoConfig } from './domain/demo-books.fixture.spec.js';
import { partitionOf } from './domain/partition.js';
import type { LedgerStore } from './ledger.store.js';
import { LEDGER_SCHEMA, PostgresLedgerStores } from './postgres.ledger-store.js';
import { QuotaHandler } from './quota.handler.js';
import { raiseEpoch } from './sql/raise-epoch.js';

const DAY_MS = 86_400_000;
const PARTITION = partitionOf('demo');
const ccai = { account: 'demo', integration: 'ccai' };

describe('the audit', () => {
  let db: LedgerDatabase;
  let store: LedgerStore;
  let handler: QuotaHandler;
  let asked = 0;

  beforeAll(async () => {
    db = await ledgerDatabase();
  });
  afterAll(async () => {
    await store?.close();
    await db?.drop();
  });

  beforeEach(async () => {
    await store?.close();
    await db.empty();
    store = await new PostgresLedgerStores({ url: db.url, pool: db.pool, log: silentLog }).open(
      AbortSignal.timeout(10_000),
    );
    const base = demoConfig([{ max: 500 }, { name: 'day', max: 5_000, lengthMs: DAY_MS }]);
    const scaled = { ...base, name: 'scaled', crm: { ...base.crm, timeScale: 20 } };
    await store.addVersions([{ version: 1, origin: 'file', config: base }], 0);
    await store.addVersions([{ version: 1, origin: 'file', config: scaled }], 0);
    handler = new QuotaHandler(systemClock, silentLog);
    handler.begin(store, await store.readClock(), systemClock.monotonicMs());
    await handler.useVersions(await store.versions(0));
    for (const partition of new Set([PARTITION, partitionOf('scaled')])) {
      const epoch = await store.take(partition);
      await handler.adopt(partition, epoch!);
    }
    await traffic();
  });

  const acquire = async (who: typeof ccai, calls: number): Promise<string> => {
    const body: AcquireRequest = {
      requestId: `r${(asked += 1)}`,
      kind: 'other',
      calls: { min: calls, max: calls },
      priority: 'normal',
      waitMs: 0,
    };
    const answer = await handler.ask(who, { verb: 'acquire', body });
    if (answer.answer !== 'granted') throw new Error(`not granted: ${JSON.stringify(answer)}`);
    return answer.grantId;
  };
  const settle = (who: typeof ccai, grantId: string, used: number, returned: number) => {
    const calls = Array.from({ length: used }, () => ({ sentAgoMs: 1, answeredAgoMs: 0 }));
    const body = { requestId: `s${(asked += 1)}`, grantId, used: calls, returned };
    return handler.ask(who, { verb: 'settle', body });
  };

  /** Grants of several integrations, used, returned and open, refusals and others' calls; part of it not checkpointed yet. */
  async function traffic(): Promise<void> {
    for (const account of ['demo', 'scaled']) {
      const who = { account, integration: 'ccai' };
      for (let round = 0; round < 12; round += 1) {
        const grantId = await acquire({ account, integration: round % 3 === 0 ? 'reporting' : 'ccai' }, 4);
        await settle({ account, integration: round % 3 === 0 ? 'reporting' : 'ccai' }, grantId, round % 4, 1);
        if (round === 5) await handler.checkpoint(partitionOf(account), true);
      }
      const headers = { 'x-rate-limit': '700', 'x-rate-limit-remaining': '400' };
      const told = { grantId: null, kind: 'other' as const, status: 429, answeredAgoMs: 0, headers };
      await handler.ask(who, { verb: 'observe', body: told });
      await handler.checkpoint(partitionOf(account), false);
      await acquire(who, 2);
    }
  }

  async function audited(more: Partial<AuditOptions> = {}): Promise<AuditReport> {
    const session = await LockSession.open({
      url: db.url,
      schema: LEDGER_SCHEMA,
      applicationName: 'audit',
      name: 'audit',
    });
    try {
      const whole = { account: null, fromMs: null, toMs: null, repair: false, keepMinutesMs: 30 * DAY_MS };
      return await audit(session, { ...whole, say: () => undefined, ...more });
    } finally {
      await session.close();
    }
  }

  const kinds = ({ differences }: AuditReport): string[] =>
    [...new Set(differences.map((one) => (one.difference === 'journal' ? one.fault : one.difference)))].toSorted();
  const sql = (text: string) => db.tx.query(text);

  it('finds that usage agrees with the journal while the ledger goes on, and counts what it read', async () => {
    const report = await audited();
    expect(report.differences).toEqual([]);
    expect(report).toMatchObject({ ok: true, grants: 26, accounts: 2, grantsFromBefore: 0, repaired: 0 });
    expect(report.turns).toBeGreaterThanOrEqual(50);
    const counted = await sql(
      `SELECT sum(granted)::integer AS granted FROM usage_minute WHERE integration <> '(foreign)'`,
    );
    expect(counted).toEqual([{ granted: 96 }]);
    expect(await audited({ account: 'scaled' })).toMatchObject({ ok: true, grants: 13, accounts: 1 });
    await expect(audited({ account: 'nobody' })).rejects.toThrow('never heard of an account nobody');
  });

  it.each([
    ['a minute with a call too many', `UPDATE usage_minute SET used = used + 1, granted = granted + 1`, 'usage_minute'],
    ['a minute that is gone', `DELETE FROM usage_minute`, 'usage_minute'],
    [
      'an hour with a call too few',
      `UPDATE usage_hour SET returned = returned - 1, granted = granted - 1`,
      'usage_hour',
    ],
    ['a refusal that nobody counted', `UPDATE usage_minute SET crm_refused = crm_refused + 1`, 'usage_minute'],
  ])('finds and repairs %s, beside a ledger that goes on counting', async (_what, corrupt, found) => {
    const before = await sums();
    await sql(`${corrupt} WHERE account = 'demo' AND integration = 'ccai'`);
    const report = await audited();
    expect(report.ok).toBe(false);
    expect(kinds(report)).toContain(found);
    expect(await audited({ account: 'scaled' })).toMatchObject({ ok: true });
    const repaired = await audited({ repair: true });
    expect(repaired.repaired).toBeGreaterThan(0);
    expect(await audited()).toMatchObject({ ok: true, differencesFound: 0 });
    expect(await sums()).toEqual(before);
    await settle(ccai, await acquire(ccai, 3), 2, 1);
    await handler.checkpoint(PARTITION, false);
    expect(await audited()).toMatchObject({ ok: true });
  });

  it('finds a day that its minutes do not come to', async () => {
    await sql(`UPDATE usage_day SET used = used + 5, granted = granted + 5 WHERE account = 'scaled'`);
    // Only days that the journal's minutes fill as a whole are judged: all, where it begins with the account.
    expect(kinds(await audited())).toEqual(['usage_day']);
    await audited({ repair: true });
    expect(await audited()).toMatchObject({ ok: true });
  });

  it.each([
    ['a turn that is gone', 'DELETE FROM journal WHERE', 'seq_gap'],
    ['a turn that is no JSON', `UPDATE journal SET events = '[' WHERE`, 'unreadable'],
    ['an epoch that fell', 'UPDATE journal SET epoch = 0 WHERE', 'epoch_fell'],
    [
      'a settle of calls that the grant never had',
      `UPDATE journal SET events = replace(events, '"returned":[', '"returned":[99,') WHERE`,
      'no_such_call',
    ],
    [
      'a call in two states',
      `UPDATE journal SET events = replace(events, '"returned":[', '"returned":[3,3,') WHERE`,
      'two_states',
    ],
    [
      'a grant that nobody made',
      `UPDATE journal SET events = replace(events, '"grantId":"g', '"grantId":"x') WHERE`,
      'unknown_grant',
    ],
    [
      'an account of another partition',
      `UPDATE journal SET events = replace(events, '"account":"demo"', '"account":"demo2"') WHERE`,
      'wrong_partition',
    ],
  ])('finds %s, and repairs nothing by such a journal', async (_what, corrupt, fault) => {
    const [row] = await db.tx.query<{ seq: number }>(
      `SELECT max(seq) AS seq FROM journal WHERE partition = ${PARTITION} AND events LIKE '%"settled"%' AND events LIKE '%"account":"demo"%'`,
    );
    await sql(`${corrupt} partition = ${PARTITION} AND seq = ${row!.seq}`);
    const report = await audited({ repair: true });
    expect(report.ok).toBe(false);
    expect(kinds(report)).toContain(fault);
    expect(report).toMatchObject({ repaired: 0, notRepaired: [PARTITION] });
  });

  it('judges only what the journal still tells, once its beginning is removed', async () => {
    await sql(`DELETE FROM journal WHERE partition = ${PARTITION} AND seq <= 9`);
    await sql(`UPDATE usage_minute SET used = used + 1, granted = granted + 1 WHERE account = 'demo'`);
    const report = await audited({ account: 'demo' });
    expect(report).toMatchObject({ ok: true, differences: [] });
    expect(report.turns).toBeGreaterThan(0);
  });

  it('judges the minutes of a span alone', async () => {
    await sql(`UPDATE usage_minute SET used = used + 1, granted = granted + 1 WHERE account = 'demo'`);
    const nowMs = await store.readClock();
    expect(await audited({ toMs: nowMs - DAY_MS })).toMatchObject({ ok: true });
    expect(await audited({ fromMs: nowMs + DAY_MS })).toMatchObject({ ok: true });
    expect(await audited({ fromMs: nowMs - DAY_MS, toMs: nowMs + DAY_MS })).toMatchObject({ ok: false });
  });

  it('lets one repair run at a time, and none after the owner has changed', async () => {
    const other = await LockSession.open({ url: db.url, schema: LEDGER_SCHEMA, applicationName: 'x', name: 'x' });
    try {
      await other.tryLock('sluice quota-ledger repair');
      await expect(audited({ repair: true })).rejects.toBeInstanceOf(RepairUnderWay);
    } finally {
      await other.close();
    }
    await sql(`UPDATE usage_minute SET used = used + 1, granted = granted + 1 WHERE account = 'demo'`);
    let changed: Promise<number> | null = null;
    const say = (): void => {
      changed ??= raiseEpoch(db.session, PARTITION);
    };
    await expect(audited({ repair: true, say }).then(async (report) => (await changed, report))).rejects.toBeInstanceOf(
      OwnerChanged,
    );
  });

  function sums(): Promise<Record<string, unknown>[]> {
    const counts = ['granted', 'used', 'returned', 'open', 'crm_refused'].map(
      (field) => `sum(${field})::integer AS ${field}`,
    );
    return sql(`SELECT account, integration, ${counts.join(', ')} FROM usage_hour GROUP BY 1, 2 ORDER BY 1, 2`);
  }
});
