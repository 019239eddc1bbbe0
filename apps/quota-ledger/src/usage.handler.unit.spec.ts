import { beforeEach, describe, expect, it } from '@jest/globals';
import { systemClock } from '#clock';
import type { Granted } from '#contracts';
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
});
