import { describe, expect, it } from '@jest/globals';
import type { LimitConfig } from '#contracts';
import { limitsOf } from './index.js';

function crm(licence: string, timeScale = 1) {
  return {
    type: 'zendesk' as const,
    baseUrl: 'http://127.0.0.1:1',
    credential: { kind: 'oauth' as const, tokenRef: 'env:TOKEN' },
    licence,
    externalIdPrefix: '',
    timeScale,
    requestTimeoutMs: 1_000,
  };
}

function own(limit: Partial<LimitConfig> & Pick<LimitConfig, 'name' | 'max'>): LimitConfig {
  return { lengthMs: null, kind: null, anchor: null, draws: null, ...limit };
}

describe('limitsOf', () => {
  it("changes the licence's limits by name, keeping what isn't said, and adds others", () => {
    const limits = [
      own({ name: 'minute', max: 50 }),
      own({ name: 'day', max: 2_500, lengthMs: 86_400_000, anchor: 'Europe/Berlin' }),
      own({ name: 'inflight-jobs', max: 4 }),
    ];
    const set = limitsOf({ crm: crm('team'), limits });
    expect(set.limits.find(({ name }) => name === 'minute')).toMatchObject({
      max: 50,
      headers: { remaining: expect.arrayContaining(['ratelimit-remaining']) },
    });
    expect(set.limits.find(({ name }) => name === 'day')).toMatchObject({
      max: 2_500,
      kind: 'fixed',
      anchor: 'Europe/Berlin',
      scope: 'account',
      draws: 'every',
    });
    expect(set.holds).toMatchObject([{ name: 'inflight-jobs', max: 4 }]);
  });

  it('divides every length by the time scale, and keeps them whole', () => {
    for (const timeScale of [1, 2, 4, 5, 8, 10, 20, 25, 40, 50, 100, 125, 200, 250, 500, 1_000]) {
      const { limits } = limitsOf({
        crm: crm('team', timeScale),
        limits: [own({ name: 'day', max: 9, lengthMs: 86_400_000, anchor: 'Europe/Berlin' })],
      });
      for (const limit of limits) expect([limit.lengthMs, limit.edgeMs].every(Number.isInteger)).toBe(true);
      if (timeScale !== 1) expect(limits.every(({ anchor }) => anchor === 'UTC')).toBe(true);
    }
    expect(limitsOf({ crm: crm('team', 10), limits: [] }).limits[0]).toMatchObject({ lengthMs: 6_000, edgeMs: 150 });
  });

  it('refuses a licence that the catalogue does not have', () => {
    expect(() => limitsOf({ crm: crm('platinum'), limits: [] })).toThrow('platinum');
  });

  it("takes seats and time zone into account, and an administrator's number where only he knows it", () => {
    const common = { timeScale: 1, requestTimeoutMs: 1_000 };
    const enterprise = { ...common, type: 'salesforce', licence: 'enterprise', seats: 50 } as const;
    expect(limitsOf({ crm: enterprise, limits: [] }).limits).toMatchObject([{ name: 'day', max: 150_000 }]);
    const free = { ...common, type: 'hubspot', licence: 'free', timeZone: 'Europe/Berlin' } as const;
    expect(limitsOf({ crm: free, limits: [] }).limits[1]).toMatchObject({ name: 'day', anchor: 'Europe/Berlin' });
    const custom = { ...common, type: 'servicenow', licence: 'custom' } as const;
    expect(() => limitsOf({ crm: custom, limits: [] })).toThrow('hour');
    const set = limitsOf({ crm: custom, limits: [own({ name: 'hour', max: 900 })] });
    expect(set.limits).toMatchObject([{ name: 'hour', max: 900, kind: 'rolling', lengthMs: 3_600_000 }]);
  });
});
