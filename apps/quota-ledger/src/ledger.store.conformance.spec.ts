import { describe, expect, it } from '@jest/globals';
import type { AcquireRequest } from '#contracts';
import { systemClock } from '#clock';
import { silentLog } from '#telemetry';
import { demoConfig } from './domain/demo-books.fixture.spec.js';
import { partitionOf } from './domain/partition.js';
import { standings } from './domain/standing.js';
import { EpochPassed, type LedgerStore } from './ledger.store.js';
import type { UsageRowCounts } from './domain/usage.js';
import { QuotaHandler } from './quota.handler.js';

/* oxlint-disable jest/no-export -- one suite for every adapter, run by the spec of each */

/** A ledger's tables that outlive their owners, as the suite needs them. */
export interface LedgerTables {
  /** Another process that may own partitions. */
  readonly open: () => Promise<LedgerStore>;
  /** Ends the session of every process there is, as a database that fails over does. */
  readonly endAll: () => Promise<void>;
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

  const PARTITION = partitionOf('demo');

  async function handlerOn(store: LedgerStore): Promise<QuotaHandler> {
    const handler = new QuotaHandler(systemClock, silentLog);
    const askedMonoMs = systemClock.monotonicMs();
    handler.begin(store, await store.readClock(), askedMonoMs);
    await handler.useVersions(await store.versions(0));
    const epoch = await store.take(PARTITION);
    if (epoch === null) throw new Error('the partition has another owner');
    await handler.adopt(PARTITION, epoch);
    return handler;
  }

  async function applied(store: LedgerStore, limits: Parameters<typeof demoConfig>[0]): Promise<void> {
    const version = ((await store.versions(0)).get('demo')?.length ?? 0) + 1;
    await store.addVersions([{ version, origin: 'file', config: demoConfig(limits) }], 0);
  }

  const standing = (handler: QuotaHandler) =>
    standings(handler.booksOf('demo')!, handler.nowMs(), null).map(({ limit, max, remaining }) => ({
      limit,
      max,
      remaining,
    }));

  describe(`${name}`, () => {
    it.each([
      ['from the journal alone', null],
      ['from a checkpoint of usage and the journal', false],
      ['from snapshots', true],
    ])('gives books back as they stood, to the next owner, %s', async (_how, withSnapshots) => {
      const { open, endAll } = await tables();
      const first = await open();
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
      if (withSnapshots !== null) await before.checkpoint(PARTITION, withSnapshots);
      await before.ask(ccai, { verb: 'acquire', body: { ...REQUEST, requestId: 'later', calls: { min: 1, max: 1 } } });
      const books = before.booksOf('demo')!;
      const stood = standing(before);
      const counted = await usageOf(before, 'minute');
      await endAll();
      await before.end();

      const after = await handlerOn(await open());
      const again = after.booksOf('demo')!;
      expect(standing(after)).toEqual(stood);
      expect(await usageOf(after, 'minute')).toEqual(counted);
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

    it('counts every call in exactly one minute, hour and day', async () => {
      const { open } = await tables();
      const store = await open();
      await applied(store, [{ max: 50 }]);
      const handler = await handlerOn(store);
      const one = await handler.ask(ccai, { verb: 'acquire', body: REQUEST });
      if (one.answer !== 'granted') throw new Error('not granted');
      const used = [{ sentAgoMs: 0, answeredAgoMs: 0 }];
      const sums = async (): Promise<number[][]> => {
        const all = await Promise.all((['minute', 'hour', 'day'] as const).map((per) => usageOf(handler, per)));
        return all.map((rows) => ['granted', 'used', 'returned', 'expired', 'open'].map((field) => sumOf(rows, field)));
      };
      await handler.checkpoint(PARTITION, false);
      await handler.ask(ccai, { verb: 'settle', body: { requestId: 's', grantId: one.grantId, used, returned: 1 } });
      expect(await sums()).toEqual(Array.from({ length: 3 }, () => [4, 1, 1, 0, 2]));
      await handler.checkpoint(PARTITION, false);
      expect(await sums()).toEqual(Array.from({ length: 3 }, () => [4, 1, 1, 0, 2]));
      await handler.end();
    });

    it('lets one whose session has ended change nothing', async () => {
      const { open, endAll } = await tables();
      const old = await open();
      await applied(old, [{ max: 50 }]);
      const handler = await handlerOn(old);
      await endAll();
      expect(await handler.ask(ccai, { verb: 'acquire', body: REQUEST })).toMatchObject({ answer: 'unavailable' });
      expect(old.ended.aborted).toBe(true);
      const after = await handlerOn(await open());
      expect(after.booksOf('demo')!.open.size).toBe(0);
      await handler.end();
      await after.end();
    });

    it('gives a partition to one process at a time, and counts who is there', async () => {
      const { open } = await tables();
      const one = await open();
      const other = await open();
      expect([await one.members(), await other.members()]).toEqual([2, 2]);
      const epoch = await one.take(3);
      expect(await other.take(3)).toBeNull();
      await one.giveBack(3);
      expect(await other.take(3)).toBe(epoch! + 1);
      const events = [{ account: 'demo', integration: 'ccai', event: 'released' as const, entries: [] }];
      const late = one.record([{ partition: 3, epoch: epoch!, seq: 1, atMs: await one.readClock(), events }]);
      await expect(late).rejects.toBeInstanceOf(EpochPassed);
    });

    it('stores no checkpoint of an owner whose epoch has passed', async () => {
      const { open } = await tables();
      const one = await open();
      const epoch = await one.take(4);
      const checkpoint = { partition: 4, epoch: epoch!, seq: 0, usage: [], snapshots: [] };
      await one.checkpoint(checkpoint);
      await one.giveBack(4);
      await (await open()).take(4);
      await expect(one.checkpoint(checkpoint)).rejects.toBeInstanceOf(EpochPassed);
    });

    it('rebuilds with the smallest maximum that was in force within the window', async () => {
      const { open } = await tables();
      const store = await open();
      await applied(store, [{ name: 'day', max: 3, lengthMs: 86_400_000 }]);
      await applied(store, [{ name: 'day', max: 9, lengthMs: 86_400_000 }]);
      const handler = await handlerOn(store);
      const books = handler.booksOf('demo')!;
      expect(books.version).toBe(2);
      expect(standings(books, handler.nowMs(), null).find(({ limit }) => limit === 'day')?.max).toBe(3);
      await handler.end();
    });

    it('charges a limit that is new with what was counted before it was there', async () => {
      const { open, endAll } = await tables();
      const store = await open();
      await applied(store, [{ max: 50 }]);
      const handler = await handlerOn(store);
      const one = await handler.ask(ccai, { verb: 'acquire', body: REQUEST });
      if (one.answer !== 'granted') throw new Error('not granted');
      const used = [1, 2, 3].map(() => ({ sentAgoMs: 0, answeredAgoMs: 0 }));
      await handler.ask(ccai, { verb: 'settle', body: { requestId: 's', grantId: one.grantId, used, returned: 0 } });
      await applied(store, [{ max: 50 }, { name: 'day', max: 10, lengthMs: 86_400_000 }]);
      await handler.useVersions(await store.versions(0));
      const left = standing(handler).find(({ limit }) => limit === 'day');
      expect(left).toMatchObject({ max: 10, remaining: 6 });
      await endAll();
      const after = await handlerOn(await open());
      expect(standing(after).find(({ limit }) => limit === 'day')).toEqual(left);
      await handler.end();
      await after.end();
    });
  });

  function usageOf(handler: QuotaHandler, per: 'minute' | 'hour' | 'day'): Promise<UsageRowCounts[]> {
    const span = { account: 'demo', integration: null, fromMs: 0, toMs: Number.MAX_SAFE_INTEGER, limitRows: 9 };
    const lengthMs = { minute: 60_000, hour: 3_600_000, day: 86_400_000 }[per];
    const bucketOf = (at: number): number => Math.floor(at / lengthMs) * lengthMs;
    return handler.usage(
      'demo',
      (store) => store.usage({ ...span, per }),
      bucketOf,
      () => true,
    );
  }

  function sumOf(rows: readonly UsageRowCounts[], field: string): number {
    return rows.reduce((total, row) => total + row[field as 'granted'], 0);
  }
}
