import { beforeEach, describe, expect, it } from '@jest/globals';
import { systemClock } from '#clock';
import { type AccountConfig, DEFAULT_QUOTA_POLICY, DEFAULT_SHARE, type Granted } from '#contracts';
import { silentLog } from '#telemetry';
import { demoConfig, MINUTE_START } from './domain/demo-books.fixture.spec.js';
import { partitionOf } from './domain/partition.js';
import { QuotaHandler } from './quota.handler.js';
import { SimulatedLedgerStore, SimulatedTables } from './simulated.ledger-store.js';
import { UsageHandler } from './usage.handler.js';

const CCAI = { account: 'demo', integration: 'ccai' };
const HOUR_START = MINUTE_START;
const TODAY = { integration: null, from: null, to: null };

describe('usage', () => {
  let nowMs: number;
  let store: SimulatedLedgerStore;
  let quota: QuotaHandler;
  let usages: UsageHandler;

  const pass = (ms: number): void => {
    nowMs += ms;
    quota.noteClock(nowMs, systemClock.monotonicMs());
  };

  const acquire = (requestId: string, kind: 'other' | 'tickets.create_many') => {
    const body = { requestId, kind, calls: { min: 1, max: 1 }, priority: 'normal' as const, waitMs: 0 };
    return quota.ask(CCAI, { verb: 'acquire', body }) as Promise<Granted>;
  };

  beforeEach(async () => {
    nowMs = HOUR_START + 600_000;
    store = new SimulatedLedgerStore(new SimulatedTables(), { nowMs: () => nowMs });
    await store.addVersions([{ version: 1, origin: 'file', config: demoConfig() }], 0);
    quota = new QuotaHandler(systemClock, silentLog);
    usages = new UsageHandler(quota);
    quota.begin(store, nowMs, systemClock.monotonicMs());
    await quota.useVersions(await store.versions(0));
    await quota.adopt(partitionOf('demo'), (await store.take(partitionOf('demo')))!);
  });

  it('lists the places taken, oldest first, so that those of a holder who died can be found and freed', async () => {
    const old = await acquire('old', 'tickets.create_many');
    pass(60_000);
    await acquire('new', 'tickets.create_many');
    await quota.between(() => quota.rebuildAll());
    const usage = await usages.usage('demo', { per: 'day', ...TODAY });
    if (usage.answer !== 'usage') throw new Error(usage.code);
    const jobs = usage.holds.find(({ limit }) => limit === 'inflight-jobs');
    expect(jobs).toMatchObject({
      taken: 2,
      places: [
        { holdId: old.holdIds[0], grantId: old.grantId, integration: 'ccai', takenAgoMs: expect.any(Number) },
        { grantId: expect.any(String) },
      ],
    });
    const body = { requestId: 'free', holdIds: [jobs!.places[0]!.holdId] };
    expect(await quota.ask(CCAI, { verb: 'release', body })).toMatchObject({ released: 1 });
  });

  it('begins with the whole hour in which the span begins', async () => {
    await acquire('early', 'other');
    pass(1_800_000);
    await acquire('late', 'other');
    const query = { per: 'hour' as const, ...TODAY, from: HOUR_START + 1_200_000 };
    const usage = await usages.usage('demo', query);
    expect(usage).toMatchObject({ rows: [{ startsAt: new Date(HOUR_START).toISOString(), granted: 2 }] });
  });

  const configured = async (changed: Partial<AccountConfig>): Promise<void> => {
    const config = { ...demoConfig(), ...changed };
    await store.addVersions([{ version: 2, origin: 'operator', config }], 0);
    await quota.useVersions(await store.versions(0));
  };
  const usageNow = async () => {
    const usage = await usages.usage('demo', { per: 'day', ...TODAY });
    if (usage.answer !== 'usage') throw new Error(usage.code);
    return usage;
  };

  it('tells what each integration has of its guarantee and cap, and what of it is kept now', async () => {
    const { integrations, ...rest } = demoConfig();
    const calls = (minute: number) => ({ percent: 0, calls: { minute } });
    const share = { guarantee: calls(40), cap: calls(60), weight: 3 };
    await configured({
      ...rest,
      quota: { ...DEFAULT_QUOTA_POLICY, liveReservePercent: 0 },
      integrations: { ...integrations, ccai: { ...integrations['ccai']!, share } },
    });
    const minute = async () => {
      const { shares } = await usageNow();
      const { limits, ...ccai } = shares.find(({ integration }) => integration === 'ccai')!;
      return { ...ccai, ...limits.find(({ limit }) => limit === 'minute')! };
    };
    expect(await minute()).toEqual({
      integration: 'ccai',
      weight: 3,
      requestsWaiting: 0,
      limit: 'minute',
      guarantee: 40,
      cap: 60,
      used: 0,
      worth: 40,
    });
    pass(5_000);
    await quota.ask(CCAI, {
      verb: 'acquire',
      body: { requestId: 'a', kind: 'other', calls: { min: 30, max: 30 }, priority: 'normal', waitMs: 0 },
    });
    pass(25_000);
    // Half of the window is left, so at most half of the guarantee; 30 of the 40 were asked for in time.
    expect(await minute()).toMatchObject({ used: 30, worth: expect.any(Number) });
    expect((await minute()).worth).toBeLessThanOrEqual(10);
    pass(31_000);
    expect(await minute()).toMatchObject({ used: 0, worth: 40 });
    const { shares } = await usageNow();
    for (const other of shares.filter(({ integration }) => integration !== 'ccai'))
      expect(other).toMatchObject({ weight: DEFAULT_SHARE.weight, requestsWaiting: 0 });
  });

  it('counts what shadow mode would have refused, and says that it is on', async () => {
    expect((await usageNow()).mode).toBe('enforce');
    await configured({ quota: { ...DEFAULT_QUOTA_POLICY, mode: 'shadow', liveReservePercent: 0 } });
    const { limits } = await usageNow();
    const { max } = limits.find(({ limit }) => limit === 'minute')!;
    const ask = (requestId: string, calls: number) =>
      quota.ask(CCAI, {
        verb: 'acquire',
        body: { requestId, kind: 'other', calls: { min: calls, max: calls }, priority: 'normal', waitMs: 0 },
      });
    expect(await ask('all', max)).not.toHaveProperty('wouldRefuse');
    expect(await ask('more', 7)).toMatchObject({ answer: 'granted', wouldRefuse: { limit: 'minute' } });
    expect(await usageNow()).toMatchObject({
      mode: 'shadow',
      rows: [{ integration: 'ccai', granted: max + 7, open: max + 7, wouldRefuse: 7 }],
    });
  });

  it('tells who waits for how many calls, and what is kept for those who never ask', async () => {
    const { limits } = await usageNow();
    const { max } = limits.find(({ limit }) => limit === 'minute')!;
    await configured({ quota: { ...DEFAULT_QUOTA_POLICY, liveReservePercent: 0, foreignPerMinute: 20 } });
    const ask = (requestId: string, calls: number, waitMs: number) =>
      quota.ask(CCAI, {
        verb: 'acquire',
        body: { requestId, kind: 'other', calls: { min: calls, max: calls }, priority: 'normal', waitMs },
      });
    expect(await ask('most', max - 20, 0)).toMatchObject({ answer: 'granted' });
    const waiting = ask('waits', 12, 60_000);
    // Decided in the same turn or a later one.
    await quota.ask(CCAI, { verb: 'cancel', body: { requestId: 'nothing' } });
    const usage = await usageNow();
    expect(usage.waiting).toEqual([{ integration: 'ccai', priority: 'normal', requests: 1, calls: 12 }]);
    expect(usage.shares.find(({ integration }) => integration === 'ccai')).toMatchObject({ requestsWaiting: 1 });
    expect(usage.foreign.find(({ limit }) => limit === 'minute')).toEqual({
      limit: 'minute',
      atLeast: 0,
      atMost: 0,
      headroom: 20,
    });
    await quota.ask(CCAI, { verb: 'cancel', body: { requestId: 'waits' } });
    expect(await waiting).toMatchObject({ answer: 'refused' });
    expect((await usageNow()).waiting).toEqual([]);
  });
});
