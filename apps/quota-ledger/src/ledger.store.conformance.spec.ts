import { describe, expect, it } from '@jest/globals';
import type { AcquireRequest } from '#contracts';
import { systemClock } from '#clock';
import { silentLog } from '#telemetry';
import { demoConfig } from './domain/demo-books.fixture.spec.js';
import { LedgerChanges } from './domain/ledger-changes.js';
import { standings } from './domain/standing.js';
import type { LedgerStore } from './ledger.store.js';
import { QuotaHandler } from './quota.handler.js';

/* oxlint-disable jest/no-export -- one suite for every adapter, run by the spec of each */

/** A ledger's tables that outlive their owners, as the suite needs them. */
export interface LedgerTables {
  /** Begins a new owner; the one before is no longer it. */
  readonly own: () => Promise<LedgerStore>;
}

const REQUEST: AcquireRequest = {
  requestId: 'r1',
  kind: 'other',
  calls: { min: 1, max: 4 },
  priority: 'normal',
  waitMs: 0,
};

/** What every adapter of the ledger's store promises. */
export function describeLedgerStore(name: string, tables: () => Promise<LedgerTables>): void {
  const ccai = { account: 'demo', integration: 'ccai' };

  async function handlerOn(store: LedgerStore): Promise<QuotaHandler> {
    const handler = new QuotaHandler(systemClock, silentLog);
    await handler.begin(store);
    return handler;
  }

  async function applied(store: LedgerStore, limits: Parameters<typeof demoConfig>[0]): Promise<void> {
    const version = ((await store.versions()).get('demo')?.length ?? 0) + 1;
    const changes = new LedgerChanges();
    changes.event('demo', '(account)', 'applied', { version });
    await store.apply({ versions: [{ version, origin: 'file', config: demoConfig(limits) }], changes }, 0);
  }

  describe(`${name}`, () => {
    it('gives books back as they stood, to the next owner', async () => {
      const { own } = await tables();
      const first = await own();
      await applied(first, [
        { max: 50 },
        { name: 'day', max: 90, lengthMs: 86_400_000 },
        { name: 'inflight-jobs', max: 3 },
        { name: 'per-ticket-updates', max: 2 },
      ]);
      const before = await handlerOn(first);
      const one = await before.ask(ccai, { verb: 'acquire', body: REQUEST });
      const jobs = { ...REQUEST, requestId: 'r2', kind: 'tickets.create_many' as const, calls: { min: 2, max: 2 } };
      const two = await before.ask(ccai, { verb: 'acquire', body: jobs });
      const keyed = {
        ...REQUEST,
        requestId: 'r3',
        kind: 'tickets.update' as const,
        calls: { min: 1, max: 2 },
        keys: [{ ticket: 'a' }, { ticket: 'a' }],
      };
      await before.ask(ccai, { verb: 'acquire', body: keyed });
      if (one.answer !== 'granted' || two.answer !== 'granted') throw new Error('not granted');
      const settle = {
        requestId: 's1',
        grantId: one.grantId,
        used: [
          { sentAgoMs: 9, answeredAgoMs: 3 },
          { sentAgoMs: 9, answeredAgoMs: null },
        ],
        returned: 1,
      };
      const settled = await before.ask(ccai, { verb: 'settle', body: settle });
      await before.ask(ccai, { verb: 'release', body: { requestId: 'x', holdIds: [two.holdIds[0]!] } });
      const refusal = { grantId: null, kind: 'tickets.export' as const, status: 429, answeredAgoMs: 0 };
      const headers = { 'zendesk-ratelimit-incremental-export': 'total=10; remaining=0; resets=30' };
      await before.ask(ccai, { verb: 'observe', body: { ...refusal, headers } });
      const books = before.booksOf('demo')!;
      const stood = standings(books, before.nowMs(), null).map(({ limit, max, remaining }) => ({
        limit,
        max,
        remaining,
      }));
      await before.end();

      const after = await handlerOn(await own());
      const again = after.booksOf('demo')!;
      const stands = standings(again, after.nowMs(), null).map(({ limit, max, remaining }) => ({
        limit,
        max,
        remaining,
      }));
      expect(stands).toEqual(stood);
      expect([...again.open.keys()].toSorted()).toEqual([...books.open.keys()].toSorted());
      expect(again.holds.map(({ taken }) => [...taken.keys()])).toEqual(
        books.holds.map(({ taken }) => [...taken.keys()]),
      );
      expect(await after.ask(ccai, { verb: 'acquire', body: REQUEST })).toMatchObject({
        grantId: one.grantId,
        calls: 4,
      });
      expect(await after.ask(ccai, { verb: 'settle', body: settle })).toEqual(settled);
      const third = { ...keyed, requestId: 'r4', keys: [{ ticket: 'a' }, { ticket: 'b' }] };
      expect(await after.ask(ccai, { verb: 'acquire', body: third })).toMatchObject({
        answer: 'refused',
        limit: 'per-ticket-updates',
      });
      await after.end();
    });

    it('counts every call in exactly one minute and one day', async () => {
      const { own } = await tables();
      const store = await own();
      await applied(store, [{ max: 50 }]);
      const handler = await handlerOn(store);
      const one = await handler.ask(ccai, { verb: 'acquire', body: REQUEST });
      if (one.answer !== 'granted') throw new Error('not granted');
      const used = [{ sentAgoMs: 0, answeredAgoMs: 0 }];
      await handler.ask(ccai, { verb: 'settle', body: { requestId: 's', grantId: one.grantId, used, returned: 1 } });
      const span = {
        account: 'demo',
        integration: null,
        fromMs: 0,
        toMs: Number.MAX_SAFE_INTEGER,
        hourMs: 3_600_000,
        limitRows: 9,
      };
      for (const per of ['minute', 'hour', 'day'] as const) {
        const rows = await store.usage({ ...span, per });
        const sum = (field: 'granted' | 'used' | 'returned' | 'expired' | 'open'): number =>
          rows.reduce((total, row) => total + row[field], 0);
        expect([sum('granted'), sum('used'), sum('returned'), sum('expired'), sum('open')]).toEqual([4, 1, 1, 0, 2]);
      }
      await handler.end();
    });

    it('lets an owner whose time is over change nothing', async () => {
      const { own } = await tables();
      const old = await own();
      await applied(old, [{ max: 50 }]);
      const handler = await handlerOn(old);
      const next = await own();
      expect(await handler.ask(ccai, { verb: 'acquire', body: REQUEST })).toMatchObject({ answer: 'unavailable' });
      expect(old.ended.aborted).toBe(true);
      const after = await handlerOn(next);
      expect(after.booksOf('demo')!.open.size).toBe(0);
      await handler.end();
      await after.end();
    });

    it('rebuilds with the smallest maximum that was in force within the window', async () => {
      const { own } = await tables();
      const store = await own();
      await applied(store, [{ name: 'day', max: 3, lengthMs: 86_400_000 }]);
      await applied(store, [{ name: 'day', max: 9, lengthMs: 86_400_000 }]);
      const handler = await handlerOn(store);
      const books = handler.booksOf('demo')!;
      expect(books.version).toBe(2);
      expect(standings(books, handler.nowMs(), null).find(({ limit }) => limit === 'day')?.max).toBe(3);
      await handler.end();
    });
  });
}
