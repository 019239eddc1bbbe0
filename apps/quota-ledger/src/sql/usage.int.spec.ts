import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { inTransaction } from '#postgres';
import { silentLog } from '#telemetry';
import { type LedgerDatabase, ledgerDatabase } from '../../test/ledger-database.js';
import { noCalls, type UsageCounts } from '../domain/usage.js';
import { dropUsagePartitions, makeUsagePartitions } from '../usage-partitions.js';
import { addUsage, type UsageTable } from './add-usage.js';
import { attachUsagePartition } from './attach-usage-partition.js';
import { createUsagePartition } from './create-usage-partition.js';
import { dropUsagePartition } from './drop-usage-partition.js';
import { limitLockWait } from './limit-lock-wait.js';
import { lockUsage } from './lock-usage.js';
import { moveUsageFromOther } from './move-usage-from-other.js';
import { pruneUsage } from './prune-usage.js';
import { readCountedAccounts } from './read-counted-accounts.js';
import { readUsageBetween } from './read-usage-between.js';
import { readUsagePartitions } from './read-usage-partitions.js';
import { readUsage, type UsageSpan } from './read-usage.js';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const DAY_START = Date.UTC(2031, 5, 15);
const NOW_MS = DAY_START + DAY_MS / 2;

describe('the statements about counted calls', () => {
  let db: LedgerDatabase;

  beforeAll(async () => {
    db = await ledgerDatabase();
  });
  afterAll(() => db?.drop());
  beforeEach(async () => {
    await db.empty();
    for (const table of ['usage_minute', 'usage_hour', 'usage_day'] as const)
      for (const { name } of await partitions(table)) await dropUsagePartition(db.tx, name);
  });

  const partitions = (table: UsageTable) => readUsagePartitions(db.tx, table);
  const add = (startsAt: number, counts: Partial<UsageCounts>, of: { account?: string; integration?: string } = {}) =>
    addUsage(db.tx, 'usage_minute', [
      { account: 'demo', integration: 'ccai', startsAt, ...noCalls(), ...of, ...counts },
    ]);
  const read = (span: Partial<UsageSpan> = {}) =>
    readUsage(db.tx, 'usage_minute', {
      account: 'demo',
      integration: null,
      fromMs: 0,
      toMs: Number.MAX_SAFE_INTEGER,
      limitRows: 100,
      ...span,
    });
  const countIn = async (table: string): Promise<number> =>
    (await db.tx.query<{ rows: number }>(`SELECT count(*)::integer AS rows FROM ${table}`))[0]!.rows;

  it('make a bucket, and add changes to it, less as well as more', async () => {
    await add(DAY_START, { granted: 5, open: 5, wouldRefuse: 2 });
    await add(DAY_START, { granted: -1, open: -4, used: 2, returned: 1, crmRefused: 3 });
    expect(await read()).toEqual([
      {
        integration: 'ccai',
        startsAt: DAY_START,
        granted: 4,
        used: 2,
        returned: 1,
        expired: 0,
        open: 1,
        crmRefused: 3,
        wouldRefuse: 2,
      },
    ]);
  });

  it('add to buckets that are there and to ones that are not, of several accounts, in one statement', async () => {
    await makeUsagePartitions(db.pool, NOW_MS, silentLog);
    await add(DAY_START, { granted: 1, open: 1 });
    const one = { integration: 'ccai', ...noCalls(), granted: 1, used: 1 };
    await addUsage(db.tx, 'usage_minute', [
      { ...one, account: 'demo', startsAt: DAY_START },
      { ...one, account: 'demo', startsAt: DAY_START - 40 * DAY_MS },
      { ...one, account: 'acme', startsAt: DAY_START + DAY_MS },
    ]);
    expect((await read()).map(({ startsAt, granted }) => [startsAt, granted])).toEqual([
      [DAY_START - 40 * DAY_MS, 1],
      [DAY_START, 2],
    ]);
    expect(await read({ account: 'acme' })).toMatchObject([{ startsAt: DAY_START + DAY_MS, used: 1 }]);
  });

  it.each<[string, Partial<UsageCounts>]>([
    ['more used than were open', { used: 2, open: -2 }],
    ['granted that come to nothing', { granted: 1 }],
    ['fewer refused than none', { crmRefused: -1 }],
  ])('refuse %s', async (_what, wrong) => {
    await makeUsagePartitions(db.pool, NOW_MS, silentLog);
    await add(DAY_START, { granted: 1, open: 1 });
    await expect(add(DAY_START, wrong)).rejects.toThrow('violates check constraint');
    await expect(add(DAY_START + MINUTE_MS, wrong)).rejects.toThrow('violates check constraint');
  });

  it('read the buckets of a span, oldest first, of one integration or of all', async () => {
    for (const minute of [2, 0, 1])
      for (const integration of ['reporting', 'ccai'])
        await add(DAY_START + minute * MINUTE_MS, { granted: 1, open: 1 }, { integration });
    await add(DAY_START, { granted: 1, open: 1 }, { account: 'acme' });
    const found = async (span: Partial<UsageSpan>) =>
      (await read(span)).map(({ startsAt, integration }) => `${(startsAt - DAY_START) / MINUTE_MS} ${integration}`);
    expect(await found({ fromMs: DAY_START, toMs: DAY_START + 2 * MINUTE_MS })).toEqual([
      '0 ccai',
      '0 reporting',
      '1 ccai',
      '1 reporting',
    ]);
    expect(await found({ integration: 'ccai', fromMs: DAY_START + 1 })).toEqual(['1 ccai', '2 ccai']);
    expect(await found({ limitRows: 1 })).toEqual(['0 ccai']);
  });

  it('read everything counted of accounts within a span, for an audit', async () => {
    for (const account of ['acme', 'demo', 'other'])
      await add(DAY_START, { granted: 3, used: 2, open: 1 }, { account });
    await add(DAY_START + MINUTE_MS, { granted: 1, expired: 1, crmRefused: 4, wouldRefuse: 5 });
    await add(DAY_START + 2 * MINUTE_MS, { granted: 1, returned: 1 });
    const span = { fromMs: DAY_START, toMs: DAY_START + 2 * MINUTE_MS };
    const rows = await readUsageBetween(db.tx, 'usage_minute', ['demo', 'acme'], span);
    const sorted = rows.toSorted((a, b) => a.startsAt - b.startsAt || (a.account < b.account ? -1 : 1));
    const integration = 'ccai';
    expect(sorted).toEqual([
      { account: 'acme', integration, startsAt: DAY_START, counts: [3, 2, 0, 0, 1, 0, 0] },
      { account: 'demo', integration, startsAt: DAY_START, counts: [3, 2, 0, 0, 1, 0, 0] },
      { account: 'demo', integration, startsAt: DAY_START + MINUTE_MS, counts: [1, 0, 0, 1, 0, 4, 5] },
    ]);
  });

  it('name every account of which anything was counted', async () => {
    await add(DAY_START, { granted: 1, open: 1 }, { account: 'without-partition' });
    const row = { account: 'by-day', integration: 'ccai', startsAt: DAY_START, ...noCalls() };
    await addUsage(db.tx, 'usage_day', [row]);
    expect((await readCountedAccounts(db.tx)).toSorted()).toEqual(['by-day', 'without-partition']);
  });

  it('tell partitions in order, and not the one for whatever has none', async () => {
    await makeUsagePartitions(db.pool, NOW_MS, silentLog);
    const days = await partitions('usage_minute');
    expect(days.map(({ name }) => name)).toEqual([14, 15, 16, 17, 18].map((day) => `usage_minute_203106${day}`));
    expect(days[1]).toMatchObject({ fromMs: DAY_START, toMs: DAY_START + DAY_MS });
    expect((await partitions('usage_hour')).map(({ name }) => name)).toEqual(
      ['05', '06', '07'].map((month) => `usage_hour_2031${month}`),
    );
    expect((await partitions('usage_day')).map(({ name }) => name)).toEqual(
      [2030, 2031, 2032].map((year) => `usage_day_${year}`),
    );
  });

  it('move what was counted without a partition into it as it is made, and only that', async () => {
    await add(DAY_START - 1, { granted: 1, open: 1 });
    await add(DAY_START, { granted: 2, open: 2 });
    await add(DAY_START + 90 * DAY_MS, { granted: 3, used: 3 });
    expect(await countIn('usage_minute_other')).toBe(3);
    await makeUsagePartitions(db.pool, NOW_MS, silentLog);
    expect(await countIn('usage_minute_other')).toBe(1);
    expect([await countIn('usage_minute_20310614'), await countIn('usage_minute_20310615')]).toEqual([1, 1]);
    await add(DAY_START, { open: -2, used: 2 });
    expect((await read()).map(({ granted, used }) => [granted, used])).toEqual([
      [1, 0],
      [2, 2],
      [3, 3],
    ]);
  });

  it('make a partition step by step, alike the others and with room for updates', async () => {
    const june = { name: 'usage_hour_203106', fromMs: Date.UTC(2031, 5), toMs: Date.UTC(2031, 6) };
    await inTransaction(db.pool, async (tx) => {
      await limitLockWait(tx, 400);
      expect(await tx.query(`SHOW lock_timeout`)).toEqual([{ lock_timeout: '400ms' }]);
      await lockUsage(tx, 'usage_hour');
      await createUsagePartition(tx, 'usage_hour', june.name);
      await moveUsageFromOther(tx, 'usage_hour', june);
      await attachUsagePartition(tx, 'usage_hour', june);
    });
    expect(await partitions('usage_hour')).toEqual([june]);
    const [made] = await db.tx.query<{ reloptions: string[] }>(
      `SELECT reloptions FROM pg_class WHERE oid = 'usage_hour_203106'::regclass`,
    );
    expect(made).toEqual({ reloptions: ['fillfactor=50'] });
    const wrong = db.tx.query(`INSERT INTO usage_hour VALUES ('demo', ${june.fromMs}, 'ccai', 5, 1, 1, 1, 1, 0, 0)`);
    await expect(wrong).rejects.toThrow('violates check constraint');
  });

  it('do not wait long for a table that somebody reads for minutes; calls are counted meanwhile', async () => {
    await inTransaction(db.pool, async (tx) => {
      await tx.query('SELECT count(*) FROM usage_minute');
      await makeUsagePartitions(db.pool, NOW_MS, silentLog);
      await add(DAY_START, { granted: 1, open: 1 });
    });
    expect(await partitions('usage_minute')).toEqual([]);
    expect(await partitions('usage_day')).toHaveLength(3);
    await makeUsagePartitions(db.pool, NOW_MS, silentLog);
    expect(await countIn('usage_minute_20310615')).toBe(1);
  });

  it('let two that make partitions at once make each once', async () => {
    await Promise.all([1, 2, 3].map(() => makeUsagePartitions(db.pool, NOW_MS, silentLog)));
    await makeUsagePartitions(db.pool, NOW_MS, silentLog);
    expect(await partitions('usage_minute')).toHaveLength(5);
  });

  it('drop partitions that are over as a whole, and remove what has none row by row', async () => {
    await add(DAY_START - 90 * DAY_MS, { granted: 1, open: 1 });
    await add(DAY_START - 91 * DAY_MS, { granted: 1, open: 1 });
    await makeUsagePartitions(db.pool, NOW_MS, silentLog);
    await add(DAY_START - 1, { granted: 1, open: 1 });
    await add(DAY_START, { granted: 1, open: 1 });
    await dropUsagePartitions(db.pool, 'usage_minute', DAY_START + 1, silentLog);
    expect((await partitions('usage_minute')).map(({ fromMs }) => fromMs)[0]).toBe(DAY_START);
    expect(await pruneUsage(db.tx, 'usage_minute', DAY_START - 90 * DAY_MS + 1, 1)).toBe(1);
    expect(await pruneUsage(db.tx, 'usage_minute', DAY_START - 90 * DAY_MS + 1, 9)).toBe(1);
    expect(await pruneUsage(db.tx, 'usage_minute', DAY_START - 90 * DAY_MS + 1, 9)).toBe(0);
    expect((await read()).map(({ startsAt }) => startsAt)).toEqual([DAY_START]);
  });

  it("read an account's day by the index of that day's partition alone", async () => {
    for (let day = 0; day < 6; day += 1) await makeUsagePartitions(db.pool, NOW_MS + day * DAY_MS, silentLog);
    await db.tx.query(
      `INSERT INTO usage_minute
       SELECT 'account-' || a, $1::bigint + m * 60000, i, 1, 1, 0, 0, 0, 0, 0
       FROM generate_series(1, 40) AS a, generate_series(0, 1439, 5) AS m, unnest(ARRAY['ccai', 'reporting']) AS i`,
      [DAY_START],
    );
    await db.tx.query('ANALYZE usage_minute');
    const plan = await explain({ account: 'account-7', fromMs: DAY_START, toMs: DAY_START + DAY_MS });
    expect(plan.match(/\bon usage_minute_\d+(?= )/g)).toEqual(['on usage_minute_20310615']);
    expect(plan).toMatch(/Index Scan (using|on) usage_minute_20310615_pkey/);
    expect(plan).not.toMatch(/Seq Scan|_other/);
    // A day of another time zone lies in two.
    const shifted = await explain({
      account: 'account-7',
      fromMs: DAY_START - 3_600_000,
      toMs: DAY_START + DAY_MS - 3_600_000,
    });
    expect(shifted.match(/\bon usage_minute_\d+(?= )/g)).toEqual([
      'on usage_minute_20310614',
      'on usage_minute_20310615',
    ]);
  });

  it('change counts by the present partitions alone', async () => {
    await makeUsagePartitions(db.pool, NOW_MS, silentLog);
    const sent: [string, readonly unknown[]][] = [];
    const row = { account: 'demo', integration: 'ccai', startsAt: NOW_MS, ...noCalls(), granted: 1, open: 1 };
    await addUsage({ query: async (sql, params = []) => (sent.push([sql, params]), []) }, 'usage_minute', [row]);
    const plan = await explained(...sent[0]!);
    expect(plan).toMatch(/Update on usage_minute_20310615/);
    expect(plan).not.toMatch(/usage_minute_2031061[4678]|_other/);
  });

  /** The plan of what `readUsage` asks. */
  async function explain(span: Partial<UsageSpan>): Promise<string> {
    const sent: [string, readonly unknown[]][] = [];
    const whole = { account: 'demo', integration: null, fromMs: 0, toMs: 0, limitRows: 5_001, ...span };
    await readUsage({ query: async (sql, params = []) => (sent.push([sql, params]), []) }, 'usage_minute', whole);
    return explained(...sent[0]!);
  }

  async function explained(sql: string, params: readonly unknown[]): Promise<string> {
    const rows = await db.tx.query<{ 'QUERY PLAN': string }>(`EXPLAIN ${sql}`, params);
    return rows.map((row) => row['QUERY PLAN']).join('\n');
  }
});
