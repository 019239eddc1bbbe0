import { describe, expect, it } from '@jest/globals';
import type { LimitConfig } from '#contracts';
import { draws, limitsOf, ZENDESK_LICENCES, zendeskLimits } from './index.js';

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

describe('zendeskLimits', () => {
  it.each([
    ['essential', 10, 100],
    ['team', 200, 100],
    ['professional', 400, 100],
    ['enterprise', 700, 100],
    ['high-volume', 2_500, 300],
    ['sandbox', 200, 20],
  ])('knows what %s allows', (licence, perMinute, updates) => {
    const { limits, holds } = zendeskLimits(licence)!;
    expect(limits.find(({ name }) => name === 'minute')).toMatchObject({
      max: perMinute,
      scope: 'account',
      lengthMs: 60_000,
    });
    expect(limits.find(({ name }) => name === 'tickets-update')).toMatchObject({ max: updates, scope: 'endpoint' });
    expect(holds).toMatchObject([{ name: 'inflight-jobs', max: 30 }]);
  });

  it('knows no other licence', () => {
    expect(zendeskLimits('platinum')).toBeNull();
    expect(ZENDESK_LICENCES).toContain('team');
  });

  it('lets every call draw on the account, and each kind on its own limits besides', () => {
    const { limits } = zendeskLimits('team')!;
    const of = (kind: Parameters<typeof draws>[1]): string[] =>
      limits.filter((limit) => draws(limit, kind)).map(({ name }) => name);
    expect(of('other')).toEqual(['minute']);
    expect(of('tickets.update')).toEqual(['minute', 'tickets-update', 'per-ticket-updates']);
    expect(of('users.create_or_update')).toEqual(['minute', 'create-update-user', 'create-update-user-second']);
  });
});

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
});
