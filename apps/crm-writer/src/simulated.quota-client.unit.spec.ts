import { describe, expect, it } from '@jest/globals';
import { SimulatedQuotaClient } from './simulated.quota-client.js';

describe('the simulated ledger', () => {
  const wanted = { kind: 'tickets.create_many', keys: [], priority: 'normal' } as const;
  function ledger(): SimulatedQuotaClient {
    let ids = 0;
    return new SimulatedQuotaClient({
      clock: { monotonicMs: () => 0 },
      newId: () => `g${(ids += 1)}`,
      callsPerWindow: 5,
    });
  }

  it('grants as many of the calls as fit, with a place for each, and refuses fewer than the least', async () => {
    const quota = ledger();
    const first = await quota.acquire('acme', { ...wanted, calls: { min: 1, max: 3 } });
    expect(first).toMatchObject({ grant: { calls: 3, holdIds: ['hold-g1', 'hold-g1-1', 'hold-g1-2'] } });
    expect(await quota.acquire('acme', { ...wanted, calls: { min: 3, max: 3 } })).toMatchObject({
      acquired: 'refused',
    });
    expect(await quota.acquire('acme', { ...wanted, calls: { min: 1, max: 9 } })).toMatchObject({
      grant: { calls: 2 },
    });
    expect(await quota.acquire('acme', wanted)).toMatchObject({ acquired: 'refused' });
  });

  it('counts what became of each call', async () => {
    const quota = ledger();
    await quota.acquire('acme', { ...wanted, calls: { min: 1, max: 3 } });
    const used = { settled: 'used', sentAtMonoMs: 0, answeredAtMonoMs: 0 } as const;
    expect(await quota.settle('acme', 'g1', [used, { settled: 'returned', calls: 2 }])).toBe(true);
    expect(quota.counts.get('g1')).toMatchObject({ calls: 3, used: 1, returned: 2 });
  });

  it('hears nothing while it is away', async () => {
    const quota = ledger();
    quota.away = true;
    expect(await quota.acquire('acme', wanted)).toMatchObject({ acquired: 'silent' });
    expect(await quota.settle('acme', 'g1', { settled: 'returned' })).toBe(false);
  });
});
