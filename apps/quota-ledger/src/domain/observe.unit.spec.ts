import { describe, expect, it } from '@jest/globals';
import type { ObserveRequest } from '#contracts';
import type { AccountBooks } from './books.js';
import { ask, demoBooks, granted, MINUTE_START, refused } from './demo-books.fixture.spec.js';
import { LedgerChanges } from './ledger-changes.js';
import { observe } from './observe.js';
import { standings } from './standing.js';

const NOW = MINUTE_START + 20_000;

function see(books: AccountBooks, seen: Partial<ObserveRequest>, integration = 'ccai', changes = new LedgerChanges()) {
  const request: ObserveRequest = {
    grantId: null,
    kind: 'tickets.update',
    status: 200,
    headers: {},
    answeredAgoMs: 0,
    ...seen,
  };
  const grant = request.grantId === null ? null : (books.open.get(request.grantId) ?? null);
  return observe(books, integration, grant, request, { nowMs: NOW, heldMs: 0 }, changes).closed;
}

const ACCOUNT_REFUSAL = {
  status: 429,
  headers: { 'retry-after': '40', 'x-rate-limit': '200', 'x-rate-limit-remaining': '0' },
  refusal: 'Number of allowed API requests per minute exceeded',
};

describe('observe', () => {
  it('closes the account minute until the named time when the account was refused, and leaves its day open', () => {
    const books = demoBooks([{ name: 'day', max: 100, lengthMs: 86_400_000 }]);
    expect(see(books, ACCOUNT_REFUSAL)).toEqual([{ limit: 'minute', forMs: 41_000 }]);
    expect(refused(ask(books, NOW + 1))).toMatchObject({ limit: 'minute', reason: 'closed_by_crm', retryInMs: 38_999 });
    granted(ask(books, NOW + 41_000));
  });

  it('closes only the endpoint whose header says that nothing is left', () => {
    const books = demoBooks();
    const headers = {
      'x-rate-limit-remaining': '130',
      'zendesk-ratelimit-tickets-update': 'total=100; remaining=0; resets=9',
    };
    const refusal = '{"error":"APIRateLimitExceeded","description":"x"}';
    expect(see(books, { status: 429, headers, refusal })).toEqual([{ limit: 'tickets-update', forMs: 10_000 }]);
    refused(ask(books, NOW + 1, { kind: 'tickets.update' }));
    granted(ask(books, NOW + 1, { kind: 'tickets.create' }));
  });

  it('closes one ticket where its own limit refused, and only when it is known which', () => {
    const books = demoBooks();
    const keys = [{ ticket: '7' }];
    const { grantId } = granted(ask(books, NOW, { kind: 'tickets.update', keys }));
    const headers = { 'zendesk-ratelimit-per-ticket-updates': 'total=30; remaining=0; resets=60' };
    expect(see(books, { status: 429, headers, grantId: 'gone' })).toEqual([]);
    expect(see(books, { status: 429, headers, grantId })).toEqual([{ limit: 'per-ticket-updates', forMs: 61_000 }]);
    expect(refused(ask(books, NOW + 1, { kind: 'tickets.update', keys })).limit).toBe('per-ticket-updates');
    granted(ask(books, NOW + 1, { kind: 'tickets.update', keys: [{ ticket: '8' }] }));
  });

  it('closes the places of bulk jobs for a moment when there are too many, whatever the status', () => {
    const books = demoBooks();
    const seen = {
      kind: 'tickets.create_many' as const,
      status: 422,
      refusal: '{"error":"TooManyJobs","description":"…"}',
    };
    expect(see(books, seen)).toEqual([{ limit: 'inflight-jobs', forMs: 5_000 }]);
    refused(ask(books, NOW + 1, { kind: 'tickets.create_many' }));
    granted(ask(books, NOW + 1, { kind: 'tickets.create' }));
  });

  it('closes nothing for edge protection, nor on the word of an integration that is not trusted', () => {
    const books = demoBooks();
    expect(see(books, { ...ACCOUNT_REFUSAL, refusal: 'Rate limited by Zendesk edge protection' })).toEqual([]);
    expect(see(books, ACCOUNT_REFUSAL, 'reporting')).toEqual([]);
    granted(ask(books, NOW + 1));
  });

  it('divides the named seconds by the time scale', () => {
    const books = demoBooks([], { timeScale: 10 });
    expect(see(books, { ...ACCOUNT_REFUSAL, headers: { 'retry-after': '40' } })).toEqual([
      { limit: 'minute', forMs: 4_100 },
    ]);
  });

  it('charges what is missing at the CRM to others, once, and counts it under their name', () => {
    const books = demoBooks();
    granted(ask(books, NOW, { kind: 'tickets.create', calls: { min: 5, max: 5 } }));
    const changes = new LedgerChanges();
    const headers = { 'x-rate-limit': '200', 'x-rate-limit-remaining': '150' };
    see(books, { headers }, 'ccai', changes);
    see(books, { headers }, 'ccai', changes);
    expect(standings(books, NOW, 'other')[0]).toMatchObject({ max: 200, remaining: 150 });
    expect([...changes.minutes.values()]).toMatchObject([{ integration: '(foreign)', granted: 45, used: 45 }]);
    expect(changes.foreign).toHaveLength(1);
  });

  it('concludes nothing from headers that may speak of another window', () => {
    const books = demoBooks();
    const changes = new LedgerChanges();
    see(books, { headers: { 'x-rate-limit-remaining': '1' }, answeredAgoMs: 19_500 }, 'ccai', changes);
    see(books, { headers: { 'x-rate-limit-remaining': '1' }, answeredAgoMs: 30_000 }, 'ccai', changes);
    expect(changes.isEmpty()).toBe(true);
  });

  it('concludes nothing where the answer may have come in the window before', () => {
    const headers = { 'x-rate-limit': '200', 'x-rate-limit-remaining': '1' };
    const told = (timeScale: number, nowMs: number): boolean => {
      const changes = new LedgerChanges();
      const books = demoBooks([], { timeScale });
      const request = { grantId: null, kind: 'other' as const, status: 200, headers, answeredAgoMs: 0 };
      observe(books, 'ccai', null, request, { nowMs, heldMs: 0 }, changes);
      return !changes.isEmpty();
    };
    expect([2_000, 6_000, 7_000].map((ms) => told(1, MINUTE_START + ms))).toEqual([false, false, true]);
    expect([500, 1_000].map((ms) => told(10, MINUTE_START + ms))).toEqual([false, true]);
  });

  it('takes a maximum smaller than ours for what it is, and counts only what others used as theirs', () => {
    const books = demoBooks();
    const changes = new LedgerChanges();
    granted(ask(books, NOW));
    see(books, { headers: { 'x-rate-limit': '100', 'x-rate-limit-remaining': '99' } }, 'ccai', changes);
    expect(standings(books, NOW, 'other')[0]).toMatchObject({ remaining: 99 });
    expect([...changes.minutes.values()]).toEqual([]);
    expect(changes.isEmpty()).toBe(false);
    see(books, { headers: { 'x-rate-limit': '100', 'x-rate-limit-remaining': '92' } }, 'ccai', changes);
    expect(standings(books, NOW, 'other')[0]).toMatchObject({ remaining: 92 });
    expect([...changes.minutes.values()]).toMatchObject([{ integration: '(foreign)', used: 7 }]);
  });

  it('charges nothing to a share smaller than the maximum while the CRM has more left than it', () => {
    const books = demoBooks([{ max: 50 }]);
    const changes = new LedgerChanges();
    see(books, { headers: { 'x-rate-limit': '200', 'x-rate-limit-remaining': '120' } }, 'ccai', changes);
    expect(changes.isEmpty()).toBe(true);
  });

  it('closes, where a refusal names no limit, the one that the CRM tells of in its headers', () => {
    const books = demoBooks([{ name: 'second', max: 5, lengthMs: 1_000 }]);
    const refusal = ACCOUNT_REFUSAL.refusal;
    expect(see(books, { status: 429, refusal }).map(({ limit }) => limit)).toEqual(['minute']);
  });
});
