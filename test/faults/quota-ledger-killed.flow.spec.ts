import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { type AcquireRequest, type Granted, subjects } from '#contracts';
import { connectNats } from '#jetstream';
import { callEvents, envelope, type RunningSluice, startSluice } from '../flow/running-sluice.js';
import { until } from '../support/until.js';

const START_LIMIT_MS = 60_000;
const TEST_LIMIT_MS = 90_000;
/** The grants that a turn of the journal tells of. */
function grantsIn(events: string): { readonly grantId: string; readonly calls: number; readonly requestId: string }[] {
  const told = JSON.parse(events) as { event: string; entries: ReturnType<typeof grantsIn> }[];
  return told.flatMap(({ event, entries }) => (event === 'granted' ? entries : []));
}

/** Long enough to kill a process in the middle of a commit. */
const COMMIT_TAKES_S = 3;

describe('the quota-ledger', () => {
  let sluice: RunningSluice;
  let database: pg.Client;
  beforeAll(async () => {
    sluice = await startSluice();
    database = new pg.Client(sluice.stack.postgres.url);
    await database.connect();
  }, START_LIMIT_MS);
  afterAll(async () => {
    await database.end();
    await sluice.stop();
  });

  /** Makes each commit of a turn take its time: between the decision and its answer lies a moment to kill in. */
  const slowDownCommits = async (): Promise<void> => {
    await database.query(`CREATE FUNCTION public.dawdle() RETURNS trigger LANGUAGE plpgsql
      AS 'BEGIN PERFORM pg_sleep(${COMMIT_TAKES_S}); RETURN NULL; END'`);
    await database.query(`CREATE CONSTRAINT TRIGGER dawdle AFTER INSERT ON quota_ledger.journal
      DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.dawdle()`);
  };

  const isCommitting = async (): Promise<boolean> => {
    const { rowCount } = await database.query(`SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep'`);
    return rowCount === 1;
  };

  it(
    'killed between the decision and its answer, gives the same grant for the same request and counts it once',
    async () => {
      const nats = await connectNats({
        servers: sluice.stack.nats.url,
        name: 'reporting',
        ...sluice.stack.credentials('flow.reporting'),
      });
      const request: AcquireRequest = {
        requestId: randomUUID(),
        kind: 'other',
        calls: { min: 7, max: 7 },
        priority: 'normal',
        waitMs: 0,
      };
      const ask = () =>
        nats.request(subjects.quota('flow', 'reporting', 'acquire'), JSON.stringify(request), { timeout: 2_000 });
      try {
        await slowDownCommits();
        const unanswered = ask().then(
          () => 'answered',
          () => 'unanswered',
        );
        await until('the decision is being committed', isCommitting);
        const ledger = sluice.stack.service('quota-ledger');
        await ledger.kill9();
        expect(await unanswered).toBe('unanswered');
        await until('the commit is over', async () => !(await isCommitting()));
        await database.query('DROP TRIGGER dawdle ON quota_ledger.journal');
        const stored = await database.query<{ events: string }>(
          'SELECT events FROM quota_ledger.journal WHERE events LIKE $1',
          [`%${request.requestId}%`],
        );
        const [entry] = stored.rows.flatMap(({ events }) => grantsIn(events));
        expect(entry).toMatchObject({ calls: 7, requestId: request.requestId });
        await ledger.restart();
        const granted = (await ask()).json<Granted>();
        expect(granted).toMatchObject({ answer: 'granted', calls: 7, grantId: entry!.grantId });
        const { rows } = await sluice.usage('day');
        expect(rows.filter(({ integration }) => integration === 'reporting')).toMatchObject([{ granted: 7 }]);
      } finally {
        await nats.close();
      }
    },
    TEST_LIMIT_MS,
  );

  it(
    'killed again and again under load, costs no interaction and exceeds no limit',
    async () => {
      const ledger = sluice.stack.service('quota-ledger');
      const many = 40;
      for (let n = 0; n < many; n += 1) {
        const { assigned, ended } = callEvents(1_000 + n, `+12025550${String(100 + n)}`);
        await sluice.post('calls', envelope(assigned, ended));
        if (n % 15 === 14) {
          await ledger.kill9();
          await ledger.restart();
        }
      }
      await until(
        'every interaction has its ticket and nothing is open',
        async () => {
          const outcomes = await sluice.outcomes();
          const done = outcomes.filter(({ type }) => type === 'done').map(({ data }) => data.interactionId);
          return new Set(done).size === many && outcomes.length >= 2 * many;
        },
        TEST_LIMIT_MS,
      );
      const books = await sluice.books();
      expect(Object.values(books.ticketsPerExternalId)).toEqual(Array.from({ length: many }, () => 1));
      expect(Object.values(books.marks).every((count) => count === 1)).toBe(true);
      expect(await sluice.audit()).toMatchObject({ ok: true, refusals: { ours: 0 } });
      const { rows } = await sluice.usage('day');
      for (const { granted, used, returned, expired, open } of rows)
        expect(granted).toBe(used + returned + expired + open);
      const counted = rows
        .filter(({ integration }) => integration === 'ccai')
        .reduce((sum, row) => sum + row.used + row.expired + row.open, 0);
      expect(counted).toBeGreaterThanOrEqual(books.callers['sluice']!.calls);
    },
    TEST_LIMIT_MS,
  );
});
