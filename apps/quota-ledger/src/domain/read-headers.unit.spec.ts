import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { CrmType } from '#contracts';
import { catalogueOf, type Limit } from '#limits';
import { httpDateMs } from './http-date.js';
import { headerStanding, retryAfterSeconds } from './read-headers.js';

function limitOf(type: CrmType, licence: string, name: string): Limit {
  const limit = catalogueOf(type, licence)!.limits.find((one) => one.name === name)!;
  return { ...limit, max: limit.max ?? 1 };
}

const MINUTE = limitOf('zendesk', 'team', 'minute');
const UPDATES = limitOf('zendesk', 'team', 'tickets-update');
const DATE = 'Sun, 22 Nov 2026 18:09:23 GMT';
const DATE_MS = Date.parse(DATE);
const DATE_SECONDS = DATE_MS / 1_000;

describe('the standing of a limit', () => {
  it.each([
    ['x-rate-limit', 'x-rate-limit-remaining', 'ratelimit-reset'],
    ['ratelimit-limit', 'ratelimit-remaining', 'ratelimit-reset'],
    ['rate-limit', 'rate-limit-remaining', 'rate-limit-reset'],
    ['X-Rate-Limit', 'X-RATE-LIMIT-REMAINING', 'RateLimit-Reset'],
  ])("is read from Zendesk's %s and %s", (limit, remaining, reset) => {
    const headers = { [limit]: '200', [remaining]: '199', [reset]: '41' };
    expect(headerStanding(MINUTE, headers)).toEqual({ max: 200, remaining: 199, resetSeconds: 41 });
    expect(headerStanding(MINUTE, { [limit]: '200' })).toEqual({ max: 200, remaining: null, resetSeconds: null });
    expect(headerStanding(MINUTE, { [remaining]: '0' })).toEqual({ max: null, remaining: 0, resetSeconds: null });
  });

  it.each([
    ['tickets-update', 'tickets-update'],
    ['per-ticket-updates', 'per-ticket-updates'],
    ['tickets-create', 'ticket-request-create-by-user-and-ip'],
    ['create-update-user', 'create-update-user'],
    ['tickets-list-deep', 'tickets-index'],
    ['search-export', 'search-index'],
  ])("is read from Zendesk's one header for %s, in either spelling", (name, told) => {
    const limit = limitOf('zendesk', 'team', name);
    const standing = { max: 100, remaining: 99, resetSeconds: 41 };
    for (const prefix of ['zendesk-ratelimit-', 'zendesk-rate-limit-', 'Zendesk-RateLimit-'])
      for (const value of [
        'total=100; remaining=99; resets=41',
        'Total=100;Remaining=99;Resets=41',
        ' resets = 41; total = 100; remaining = 99 ',
      ])
        expect(headerStanding(limit, { [`${prefix}${told}`]: value })).toEqual(standing);
    expect(headerStanding(MINUTE, { [`zendesk-ratelimit-${told}`]: 'total=100; remaining=0; resets=1' })).toBeNull();
  });

  it('reads one spelling where the other is spoilt', () => {
    const headers = { 'x-rate-limit': 'many', 'ratelimit-limit': '400', 'x-rate-limit-remaining': '-3' };
    expect(headerStanding(MINUTE, headers)).toEqual({ max: 400, remaining: null, resetSeconds: null });
    const endpoint = {
      'zendesk-ratelimit-tickets-update': 'soon',
      'zendesk-rate-limit-tickets-update': 'total=100; remaining=1',
    };
    expect(headerStanding(UPDATES, endpoint)).toEqual({ max: 100, remaining: 1, resetSeconds: null });
  });

  it.each([
    ['api-usage=18/5000', 5_000, 4_982],
    ['API-Usage = 18 / 5000', 5_000, 4_982],
    ['per-app-api-usage=17/250(appName=sample); api-usage=25/5000', 5_000, 4_975],
    ['api-usage=5003/5000', 5_000, 0],
    ['api-usage=0/15000', 15_000, 15_000],
  ])("is what Salesforce's used calls leave: %s", (value, max, remaining) => {
    const day = limitOf('salesforce', 'developer', 'day');
    expect(headerStanding(day, { 'sforce-limit-info': value })).toEqual({ max, remaining, resetSeconds: null });
    expect(headerStanding(day, { 'Sforce-Limit-Info': value })).toEqual({ max, remaining, resetSeconds: null });
  });

  it.each([
    'api-usage=18',
    'api-usage=/5000',
    'api-usage=18/',
    'api-usage=1/2/3',
    'api-usage=a/b',
    'api-usage=-1/5000',
    'my-api-usage=1/2',
    '',
  ])('is not read from %j', (value) => {
    expect(headerStanding(limitOf('salesforce', 'developer', 'day'), { 'sforce-limit-info': value })).toBeNull();
  });

  it("tells HubSpot's two limits apart", () => {
    const headers = {
      'X-HubSpot-RateLimit-Daily': '250000',
      'X-HubSpot-RateLimit-Daily-Remaining': '249000',
      'X-HubSpot-RateLimit-Interval-Milliseconds': '10000',
      'X-HubSpot-RateLimit-Max': '100',
      'X-HubSpot-RateLimit-Remaining': '98',
    };
    const standing = (name: string) => headerStanding(limitOf('hubspot', 'free', name), headers);
    expect(standing('day')).toEqual({ max: 250_000, remaining: 249_000, resetSeconds: null });
    expect(standing('ten-seconds')).toEqual({ max: 100, remaining: 98, resetSeconds: null });
  });

  it("is read from Freshdesk's headers, and from nothing of Dataverse's", () => {
    const headers = {
      'X-RateLimit-Total': '400',
      'X-RateLimit-Remaining': '397',
      'X-RateLimit-Used-CurrentRequest': '2',
    };
    const minute = limitOf('freshdesk', 'pro', 'minute');
    expect(headerStanding(minute, headers)).toEqual({ max: 400, remaining: 397, resetSeconds: null });
    expect(headerStanding(limitOf('dataverse', 'standard', 'five-minutes'), { 'retry-after': '3' })).toBeNull();
  });

  it.each([
    ['servicenow', 'custom', 'hour'],
    ['kustomer', 'business', 'minute'],
  ] as const)(
    "counts %s's reset, an instant, from the CRM's own clock, else from when the answer came",
    (type, licence, name) => {
      const limit = limitOf(type, licence, name);
      const resetOf = (reset: string, more: Record<string, string> = {}, answeredAtMs?: number) =>
        headerStanding(limit, { 'X-RateLimit-Limit': '500', 'X-RateLimit-Reset': reset, ...more }, answeredAtMs)
          ?.resetSeconds;
      const inTen = String(DATE_SECONDS + 10);
      expect(resetOf(inTen, { Date: DATE })).toBe(10);
      expect(resetOf(inTen, { Date: DATE }, DATE_MS + 5_000)).toBe(10);
      expect(resetOf(inTen, {}, DATE_MS + 4_400)).toBe(6);
      expect(resetOf(inTen, { Date: 'yesterday' }, DATE_MS)).toBe(10);
      expect(resetOf(inTen)).toBeNull();
      expect(resetOf(`${inTen}000`, { Date: DATE })).toBe(10);
      expect(resetOf(`${inTen}.25`, { Date: DATE })).toBe(11);
      expect(resetOf(String(DATE_SECONDS - 2), { Date: DATE })).toBe(0);
      for (const junk of ['41', '0', '-5', 'NaN', '', String(DATE_SECONDS - 3_600), String(DATE_SECONDS + 1e9)])
        expect(resetOf(junk, { Date: DATE })).toBeNull();
    },
  );

  it.each(['', ' ', '-1', '+5', 'NaN', 'Infinity', '1e3', '0x10', '12.5', '99999999999999999999', '2000000000', '१'])(
    'takes no number from %j',
    (junk) => {
      expect(headerStanding(MINUTE, { 'x-rate-limit': junk, 'x-rate-limit-remaining': junk })).toBeNull();
      expect(
        headerStanding(UPDATES, { 'zendesk-ratelimit-tickets-update': `total=${junk}; remaining=${junk}` }),
      ).toBeNull();
    },
  );

  it('takes no number from a list of several', () => {
    for (const list of ['5;w=60', '1, 2', '1, 1, 2', ',', '1,'])
      expect(headerStanding(MINUTE, { 'x-rate-limit': list })).toBeNull();
    const twice = 'total=100; remaining=99, total=100; remaining=98';
    const standing = { max: 100, remaining: null, resetSeconds: null };
    expect(headerStanding(UPDATES, { 'zendesk-ratelimit-tickets-update': twice })).toEqual(standing);
  });

  it('is null for a limit of nothing, and where more remains than there is', () => {
    expect(headerStanding(MINUTE, { 'x-rate-limit': '0' })).toBeNull();
    expect(headerStanding(MINUTE, { 'x-rate-limit': '200', 'x-rate-limit-remaining': '201' })).toBeNull();
    expect(headerStanding(UPDATES, { 'zendesk-ratelimit-tickets-update': 'total=9; remaining=10' })).toBeNull();
  });

  it('takes a repeated header where it says the same each time', () => {
    const same = { max: 200, remaining: null, resetSeconds: null };
    expect(headerStanding(MINUTE, { 'x-rate-limit': '200, 200' })).toEqual(same);
    expect(headerStanding(MINUTE, { 'x-rate-limit': ['200', '200'] })).toEqual(same);
    expect(headerStanding(MINUTE, { 'x-rate-limit': ['200', '100'] })).toBeNull();
    expect(headerStanding(MINUTE, { 'x-rate-limit': [] })).toBeNull();
  });

  it('never tells what cannot be, whatever the headers hold', () => {
    const all = (
      ['zendesk team', 'salesforce developer', 'hubspot free', 'servicenow custom', 'kustomer business'] as const
    ).flatMap((of) => {
      const [type, licence] = of.split(' ') as [CrmType, string];
      return catalogueOf(type, licence)!.limits.map((limit) => limitOf(type, licence, limit.name));
    });
    const names = all.flatMap(({ headers: { usedOfLimit, ...spelt } }) => [
      ...Object.values(spelt).flat(),
      ...usedOfLimit.map(({ header }) => header),
    ]);
    const number = fc.oneof(fc.nat(300), fc.integer(), fc.double()).map(String);
    const pairs = fc
      .tuple(number, number, number)
      .map(([a, b, c]) => `total=${a}; remaining=${b}; resets=${c}, api-usage=${a}/${b}`);
    const value = fc.oneof(number, pairs, fc.string(), fc.array(number), fc.constant(undefined));
    const headers = fc.dictionary(fc.constantFrom(...names, 'date', 'retry-after'), value as fc.Arbitrary<string>);
    const whole = (number: number | null): boolean => number === null || (Number.isSafeInteger(number) && number >= 0);
    const property = fc.property(headers, fc.option(fc.nat(), { nil: undefined }), (given, answeredAtMs) => {
      expect(whole(retryAfterSeconds(given, answeredAtMs))).toBe(true);
      for (const limit of all) {
        const told = headerStanding(limit, given, answeredAtMs);
        if (!told) continue;
        expect([told.max, told.remaining, told.resetSeconds].every(whole)).toBe(true);
        expect(told.max).not.toBe(0);
        if (told.max !== null && told.remaining !== null) expect(told.remaining).toBeLessThanOrEqual(told.max);
      }
    });
    fc.assert(property, { numRuns: 300 });
  });
});

describe('the time to wait', () => {
  it.each([
    ['40', 40],
    [' 40 ', 40],
    ['0', 0],
    ['0.4', 1],
    ['40, 40', 40],
    ['Sun, 22 Nov 2026 18:10:03 GMT', 40],
    ['sun, 22 nov 2026 18:10:03 gmt', 40],
    ['Sun, 22 Nov 2026 18:09:00 GMT', 0],
    ['Sun, 22 Nov 2026 17:09:00 GMT', null],
    ['Mon, 22 Nov 2027 18:09:23 GMT', null],
    ['-40', null],
    ['soon', null],
    ['99999999', null],
    ['', null],
  ])('is read from %j', (value, seconds) => {
    expect(retryAfterSeconds({ 'Retry-After': value, date: DATE })).toBe(seconds);
    expect(retryAfterSeconds({ 'retry-after': value }, DATE_MS)).toBe(seconds);
  });

  it('is not known from a date alone, or from nothing', () => {
    expect(retryAfterSeconds({ 'retry-after': DATE })).toBeNull();
    expect(retryAfterSeconds({})).toBeNull();
  });
});

describe("HTTP's dates", () => {
  it('are read as the language reads them', () => {
    const instant = fc.integer({ min: 0, max: Date.parse('2400-01-01') / 1_000 }).map((seconds) => seconds * 1_000);
    fc.assert(
      fc.property(instant, (at) => expect(httpDateMs(new Date(at).toUTCString())).toBe(at)),
      { numRuns: 1_000 },
    );
  });

  it.each([
    '',
    '2026-11-22T18:09:23Z',
    'Sun, 31 Feb 2026 00:00:00 GMT',
    'Sun, 22 Nov 2026 24:00:00 GMT',
    'Sun, 22 Nov 1969 00:00:00 GMT',
    'Sun, 22 Foo 2026 00:00:00 GMT',
    'Sun, 00 Nov 2026 00:00:00 GMT',
  ])('are not %j', (text) => {
    expect(httpDateMs(text)).toBeNull();
  });
});
