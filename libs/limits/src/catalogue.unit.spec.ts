import { describe, expect, it } from '@jest/globals';
import { CALL_KINDS, type CallKind, CRM_TYPES, type CrmType } from '#contracts';
import {
  type Catalogue,
  type CatalogueLimit,
  catalogueOf,
  draws,
  isCountedByKey,
  licencesOf,
  termsOf,
  windowAt,
} from './index.js';

const HOUR_MS = 3_600_000;
const LONGEST_MS = 31 * 24 * HOUR_MS;
const TIME_SCALES = [1, 2, 4, 5, 8, 10, 20, 25, 40, 50, 100, 125, 200, 250, 500, 1_000];
const TERMS = [{}, { seats: 7 }, { timeZone: 'Europe/Berlin' }, { seats: 1, timeZone: 'Pacific/Apia' }];

interface Entry {
  readonly of: string;
  readonly catalogue: Catalogue;
}

const everything: Entry[] = CRM_TYPES.flatMap((type) =>
  licencesOf(type).flatMap((licence) =>
    TERMS.map((terms) => ({
      of: `${type} ${licence} ${JSON.stringify(terms)}`,
      catalogue: catalogueOf(type, licence, terms)!,
    })),
  ),
);

function isSound({ name, kind, lengthMs, anchor, max, edgeMs, headers }: CatalogueLimit): boolean {
  const { usedOfLimit, ...spelt } = headers;
  const headerNames = [...Object.values(spelt).flat(), ...usedOfLimit.map(({ header }) => header)];
  return (
    /^[a-z][a-z0-9-]{0,30}[a-z0-9]$/.test(name) &&
    (max === null || (Number.isInteger(max) && max > 0)) &&
    lengthMs > 0 &&
    lengthMs <= LONGEST_MS &&
    TIME_SCALES.every((scale) => lengthMs % scale === 0) &&
    Number.isInteger(edgeMs) &&
    edgeMs >= 0 &&
    // Only windows of a zone's whole days stand elsewhere than on the epoch.
    (anchor === 'UTC' || (kind === 'fixed' && lengthMs % (24 * HOUR_MS) === 0)) &&
    headerNames.every((header) => /^[a-z0-9-]+$/.test(header))
  );
}

describe('the catalogue of limits', () => {
  it('has licences of every CRM, and no others', () => {
    for (const type of CRM_TYPES) {
      expect(licencesOf(type).length).toBeGreaterThan(0);
      for (const none of ['platinum', '', 'toString', '__proto__', 'constructor']) {
        expect(catalogueOf(type, none)).toBeNull();
        expect(termsOf(type, none)).toEqual([]);
      }
    }
  });

  it('has only limits that can be counted', () => {
    const wrong = everything.flatMap(({ of, catalogue }) =>
      catalogue.limits.filter((limit) => !isSound(limit)).map(({ name }) => `${of}: ${name}`),
    );
    expect(everything.length).toBeGreaterThan(100);
    expect(wrong).toEqual([]);
  });

  it('names each limit once, and draws on known kinds of call only', () => {
    for (const { of, catalogue } of everything) {
      const all = [...catalogue.limits, ...catalogue.holds];
      expect([of, new Set(all.map(({ name }) => name)).size]).toEqual([of, all.length]);
      const kinds = all.flatMap(({ draws: kind }) => (kind === 'every' ? [] : kind));
      expect([of, kinds.filter((kind) => !CALL_KINDS.includes(kind))]).toEqual([of, []]);
      expect([of, all.filter(({ draws: drawn }) => drawn.length === 0)]).toEqual([of, []]);
    }
  });

  it('limits every call of every licence by something that may be shared out, or by its user', () => {
    const unlimited = everything.flatMap(({ of, catalogue }) =>
      CALL_KINDS.filter(
        (kind) => !catalogue.limits.some((limit) => draws(limit, kind) && ['account', 'user'].includes(limit.scope)),
      ).map((kind) => `${of}: ${kind}`),
    );
    expect(unlimited).toEqual([]);
  });

  it('heeds seats and time zones only where it says so', () => {
    for (const type of CRM_TYPES)
      for (const licence of licencesOf(type))
        for (const [term, value] of [
          ['seats', 7],
          ['timeZone', 'Europe/Berlin'],
        ] as const) {
          const differs =
            JSON.stringify(catalogueOf(type, licence, { [term]: value })) !==
            JSON.stringify(catalogueOf(type, licence));
          expect({ type, licence, term, differs }).toEqual({
            type,
            licence,
            term,
            differs: termsOf(type, licence).includes(term),
          });
        }
  });
});

const limitOf = (type: CrmType, licence: string, name: string, terms = {}) =>
  catalogueOf(type, licence, terms)?.limits.find((limit) => limit.name === name);

describe('Zendesk', () => {
  it.each([
    ['essential', 10, 100, 10],
    ['team', 200, 100, 10],
    ['growth', 400, 100, 10],
    ['professional', 400, 100, 10],
    ['enterprise', 700, 100, 10],
    ['enterprise-plus', 2_500, 300, 30],
    ['high-volume', 2_500, 300, 30],
    ['sandbox', 200, 20, 10],
    ['sandbox-high-volume', 2_500, 100, 30],
    ['trial', 200, 20, 10],
    ['trial-high-volume', 2_500, 100, 30],
  ])('allows %s its calls a minute, updates and exports', (licence, perMinute, updates, exports) => {
    const minute = { lengthMs: 60_000, kind: 'fixed', anchor: 'UTC' };
    expect(limitOf('zendesk', licence, 'minute')).toMatchObject({ ...minute, max: perMinute, scope: 'account' });
    expect(limitOf('zendesk', licence, 'tickets-update')).toMatchObject({ ...minute, max: updates, scope: 'endpoint' });
    expect(limitOf('zendesk', licence, 'incremental-export')).toMatchObject({ ...minute, max: exports });
  });

  it.each([
    ['tickets-create', 300, 60_000, 'endpoint'],
    ['per-ticket-updates', 30, 600_000, 'ticket'],
    ['create-update-user', 5, 60_000, 'user'],
    ['create-update-user-second', 1, 1_000, 'endpoint'],
    ['tickets-list-deep', 50, 60_000, 'endpoint'],
    ['search-export', 100, 60_000, 'endpoint'],
    ['organizations-update', 5, 60_000, 'organization'],
    ['tickets-delete', 400, 60_000, 'endpoint'],
    ['ceiling', 100_000, 60_000, 'endpoint'],
  ])('limits %s alike for every plan', (name, max, lengthMs, scope) => {
    for (const licence of licencesOf('zendesk'))
      expect(limitOf('zendesk', licence, name)).toMatchObject({ max, lengthMs, scope, kind: 'fixed' });
  });

  it('lets every call draw on the account, and each kind on its own limits besides', () => {
    const { limits, holds } = catalogueOf('zendesk', 'team')!;
    const of = (kind: CallKind): string[] =>
      [...limits.filter((limit) => draws(limit, kind)), ...holds.filter((hold) => draws(hold, kind))]
        .map(({ name }) => name)
        .filter((name) => name !== 'minute' && name !== 'ceiling');
    expect(Object.fromEntries(CALL_KINDS.map((kind) => [kind, of(kind)]))).toEqual({
      'tickets.create': ['tickets-create'],
      'tickets.create_many': ['inflight-jobs'],
      'tickets.update': ['tickets-update', 'per-ticket-updates'],
      'tickets.update_many': ['tickets-update', 'inflight-jobs'],
      'tickets.delete': ['tickets-delete'],
      'tickets.list': [],
      'tickets.list_deep': ['tickets-list-deep'],
      'tickets.audits': [],
      'tickets.export': ['incremental-export'],
      'jobs.show': [],
      'jobs.list': [],
      'users.search': [],
      'users.create': [],
      'users.create_or_update': ['create-update-user', 'create-update-user-second'],
      'users.update': ['create-update-user', 'create-update-user-second'],
      'organizations.update': ['organizations-update'],
      'search.export': ['search-export'],
      other: [],
    });
    expect(holds).toMatchObject([{ name: 'inflight-jobs', max: 30 }]);
  });
});

describe('Salesforce', () => {
  it.each([
    ['developer', undefined, 15_000],
    ['professional', 10, 110_000],
    ['enterprise', 50, 150_000],
    ['enterprise', undefined, 100_000],
    ['unlimited', 50, 350_000],
  ])('allows %s with %s seats so many calls in any 24 hours', (licence, seats, max) => {
    const day = { kind: 'rolling', lengthMs: 24 * HOUR_MS, scope: 'account', max };
    expect(limitOf('salesforce', licence, 'day', { seats })).toMatchObject(day);
  });
});

describe('HubSpot', () => {
  it.each([
    ['free', 100, 250_000],
    ['starter', 100, 250_000],
    ['professional', 190, 625_000],
    ['enterprise', 190, 1_000_000],
    ['limit-increase', 250, 1_000_000],
  ])('allows %s its ten seconds and its day', (licence, perTenSeconds, perDay) => {
    expect(limitOf('hubspot', licence, 'ten-seconds')).toMatchObject({ max: perTenSeconds, lengthMs: 10_000 });
    expect(limitOf('hubspot', licence, 'day')).toMatchObject({ max: perDay });
  });

  it("begins its day at the account's own midnight, so that it has 23 to 25 hours", () => {
    const day = limitOf('hubspot', 'free', 'day', { timeZone: 'Europe/Berlin' })!;
    expect(day).toMatchObject({ kind: 'fixed', lengthMs: 24 * HOUR_MS, anchor: 'Europe/Berlin' });
    const hoursOf = (iso: string): number => {
      const { startsAt, endsAt } = windowAt(day, Date.parse(iso));
      return (endsAt - startsAt) / HOUR_MS;
    };
    expect(['2026-03-29', '2026-06-01', '2026-10-25'].map((date) => hoursOf(`${date}T12:00:00Z`))).toEqual([
      23, 24, 25,
    ]);
  });

  it('holds any span as long as the longest day to one, where nobody says which midnight', () => {
    const day = limitOf('hubspot', 'free', 'day')!;
    expect(day).toMatchObject({ kind: 'rolling', lengthMs: 25 * HOUR_MS });
  });
});

describe('the others', () => {
  it('are limited as documented, in windows that may begin anywhere', () => {
    const per = (type: CrmType, name: string) => licencesOf(type).map((licence) => limitOf(type, licence, name)?.max);
    expect(per('freshdesk', 'minute')).toEqual([50, 200, 400, 700]);
    expect(per('kustomer', 'minute')).toEqual([300, 500, 1_000, 2_000]);
    expect(per('servicenow', 'hour')).toEqual([null]);
    expect(per('dataverse', 'five-minutes')).toEqual([6_000]);
    for (const type of ['freshdesk', 'kustomer', 'servicenow', 'dataverse'] as const)
      for (const licence of licencesOf(type))
        for (const limit of catalogueOf(type, licence)!.limits) expect(limit.kind).toBe('rolling');
  });

  it('count each user of Dataverse apart', () => {
    const limits = catalogueOf('dataverse', 'standard')!.limits;
    expect(limits.map(({ scope }) => [scope, isCountedByKey(scope)])).toEqual([['user', true]]);
  });
});
