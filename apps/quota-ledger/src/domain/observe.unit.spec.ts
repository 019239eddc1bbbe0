import { describe, expect, it } from '@jest/globals';
import type { ObserveRequest } from '#contracts';
import type { AccountBooks } from './books.js';
import { ask, askFor, demoBooks, granted, MINUTE_START, refused } from './demo-books.fixture.spec.js';
import { applyClosing, type ClosedEntry, closedFor } from './closing.js';
import { applyForeign, foreignAt, type ForeignEntry, withheldFrom } from './foreign.js';
import { LedgerChanges } from './ledger-changes.js';
import { applyLicence, type LicenceEntry } from './licence.js';
import { observe } from './observe.js';
import { standings } from './standing.js';
import type { UsageRowCounts } from './usage.js';

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

const TOLD_150 = { 'x-rate-limit': '200', 'x-rate-limit-remaining': '150' };

function minuteOf(books: AccountBooks) {
  return books.limits.find(({ limit }) => limit.name === 'minute')!;
}

/** All that was told of one kind. */
function entriesOf(changes: LedgerChanges, event: string): Readonly<Record<string, unknown>>[] {
  return changes.events.flatMap((one) => (one.event === event ? (one.entries as Record<string, unknown>[]) : []));
}

/** Of those with a grant that is still open nothing is to be seen here. */
function isCounted({ used, crmRefused }: UsageRowCounts): boolean {
  return used > 0 || crmRefused > 0;
}

describe('observe', () => {
  it('closes the account minute until the named time when the account was refused, and leaves its day open', () => {
    const books = demoBooks([{ name: 'day', max: 1_000, lengthMs: 86_400_000 }]);
    expect(see(books, ACCOUNT_REFUSAL)).toEqual([{ limit: 'minute', forMs: 41_000 }]);
    expect(refused(ask(books, NOW + 1))).toMatchObject({ limit: 'minute' });
    granted(ask(books, NOW + 41_500));
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

  it('closes nothing for edge protection, nor for a refusal that names no limit', () => {
    const books = demoBooks();
    expect(see(books, { status: 429, refusal: 'Rate limited by Zendesk edge protection' })).toEqual([]);
    expect(see(books, { status: 429, headers: { 'x-rate-limit-remaining': '130', 'retry-after': '40' } })).toEqual([]);
    granted(ask(books, NOW + 1));
  });

  it('tells a refusal that our own calls caused from one that others caused, and counts them apart', () => {
    const caused = (calls: number): unknown => {
      const books = demoBooks([{ max: 20 }]);
      const changes = new LedgerChanges();
      granted(ask(books, NOW, { calls: { min: calls, max: calls } }));
      see(books, { ...ACCOUNT_REFUSAL, headers: { 'retry-after': '40' } }, 'ccai', changes);
      const { cause } = changes.events.find(({ event }) => event === 'closed')!.entries[0] as { cause: string };
      const refusals = books.usage
        .rows()
        .filter(isCounted)
        .filter(({ crmRefused }) => crmRefused > 0);
      return [cause, refusals.map(({ integration, crmRefused }) => [integration, crmRefused])];
    };
    expect(caused(20)).toEqual(['own', [['ccai', 1]]]);
    expect(caused(19)).toEqual(['foreign', [['(foreign)', 1]]]);
  });

  it('holds only themselves to the word of integrations that are not trusted', () => {
    const books = demoBooks();
    const changes = new LedgerChanges();
    expect(see(books, ACCOUNT_REFUSAL, 'reporting', changes)).toEqual([{ limit: 'minute', forMs: 41_000 }]);
    expect(closedFor(books, 'reporting', 'minute', '')).toBe(NOW + 41_000);
    expect(closedFor(books, 'ccai', 'minute', '')).toBe(0);
    expect(withheldFrom(minuteOf(books), 'reporting', NOW)).toBe(200);
    expect(withheldFrom(minuteOf(books), 'ccai', NOW)).toBe(0);
    books.closedForOne.clear();
    refused(askFor(books, 'reporting', NOW + 1));
    granted(ask(books, NOW + 1, { calls: { min: 180, max: 180 } }));
    expect(changes.events.map(({ event }) => event).toSorted()).toEqual(['closed', 'foreign', 'refused']);
    expect(books.usage.rows().filter(isCounted)).toMatchObject([{ integration: 'reporting', used: 0, crmRefused: 1 }]);
  });

  it('divides the named seconds by the time scale', () => {
    const books = demoBooks([], { timeScale: 10 });
    expect(see(books, { ...ACCOUNT_REFUSAL, headers: { 'retry-after': '40' } })).toEqual([
      { limit: 'minute', forMs: 4_100 },
    ]);
  });

  it('counts as others calls what surely is, once, and charges what may be', () => {
    const books = demoBooks();
    const { grantId } = granted(ask(books, NOW, { kind: 'tickets.create', calls: { min: 5, max: 5 } }));
    const changes = new LedgerChanges();
    const seen = { kind: 'tickets.create' as const, grantId, headers: TOLD_150 };
    see(books, seen, 'ccai', changes);
    see(books, seen, 'ccai', changes);
    // One of the five is the call that was answered; the other four may be among the fifty told, or still to come.
    expect(foreignAt(minuteOf(books), NOW)).toEqual({ atLeast: 45, atMost: 49 });
    expect(standings(books, NOW, 'other')[0]).toMatchObject({ max: 200, remaining: 146 });
    expect(books.usage.rows().filter(isCounted)).toMatchObject([{ integration: '(foreign)', granted: 45, used: 45 }]);
    expect(entriesOf(changes, 'foreign').filter(({ counted }) => counted)).toHaveLength(1);
  });

  it('counts others calls in the windows of which nothing is told as well', () => {
    const books = demoBooks([{ name: 'day', max: 1_000, lengthMs: 86_400_000 }]);
    see(books, { headers: TOLD_150 });
    see(books, { headers: { 'x-rate-limit': '200', 'x-rate-limit-remaining': '140' } });
    const left = new Map(standings(books, NOW, 'other').map(({ limit, remaining }) => [limit, remaining]));
    expect([left.get('minute'), left.get('day')]).toEqual([140, 940]);
  });

  it('concludes nothing from headers that may speak of another window', () => {
    const books = demoBooks();
    const changes = new LedgerChanges();
    see(books, { headers: { 'x-rate-limit-remaining': '1' }, answeredAgoMs: 19_500 }, 'ccai', changes);
    see(books, { headers: { 'x-rate-limit-remaining': '1' }, answeredAgoMs: 30_000 }, 'ccai', changes);
    expect(changes.isEmpty()).toBe(true);
  });

  it('concludes nothing where the answer may have been made in the window before', () => {
    const headers = { 'x-rate-limit': '200', 'x-rate-limit-remaining': '1' };
    const told = (timeScale: number, nowMs: number, reset?: string): boolean => {
      const changes = new LedgerChanges();
      const books = demoBooks([], { timeScale });
      const all = { ...headers, ...(reset === undefined ? {} : { 'ratelimit-reset': reset }) };
      const request = { grantId: null, kind: 'other' as const, status: 200, headers: all, answeredAgoMs: 0 };
      observe(books, 'ccai', null, request, { nowMs, heldMs: 0 }, changes);
      return !changes.isEmpty();
    };
    // On its way for up to 5 s, after a call of up to 3 s; edges 1.5 s.
    expect([2_000, 9_000, 9_500].map((ms) => told(1, MINUTE_START + ms))).toEqual([false, false, true]);
    expect([500, 1_000].map((ms) => told(10, MINUTE_START + ms))).toEqual([false, true]);
    // What is left of its window tells when it was made: 4 s into this one, or at the end of the one before.
    expect(told(1, MINUTE_START + 6_000, '54')).toBe(true);
    expect(told(1, MINUTE_START + 6_000, '2')).toBe(false);
    // No clock is off by so much without being another window's.
    expect(told(1, MINUTE_START + 20_000, '20')).toBe(false);
  });

  it('adopts a smaller maximum at once, and counts only what others used as theirs', () => {
    const books = demoBooks();
    const changes = new LedgerChanges();
    const { grantId } = granted(ask(books, NOW));
    see(books, { grantId, headers: { 'x-rate-limit': '100', 'x-rate-limit-remaining': '99' } }, 'ccai', changes);
    expect(standings(books, NOW, 'other')[0]).toMatchObject({ max: 100, remaining: 99 });
    expect(books.usage.rows().filter(isCounted)).toEqual([]);
    expect(entriesOf(changes, 'licence')).toMatchObject([{ limit: 'minute', from: 200, to: 100 }]);
    see(books, { headers: { 'x-rate-limit': '100', 'x-rate-limit-remaining': '92' } }, 'ccai', changes);
    expect(standings(books, NOW, 'other')[0]).toMatchObject({ remaining: 92 });
    expect(books.usage.rows().filter(isCounted)).toMatchObject([{ integration: '(foreign)', used: 7 }]);
  });

  it('charges nothing to a maximum of our own while the CRM has more left than it', () => {
    const books = demoBooks([{ max: 50 }]);
    const changes = new LedgerChanges();
    see(books, { headers: { 'x-rate-limit': '200', 'x-rate-limit-remaining': '120' } }, 'ccai', changes);
    expect(standings(books, NOW, 'other')[0]).toMatchObject({ max: 50, remaining: 50 });
    see(books, { headers: { 'x-rate-limit': '200', 'x-rate-limit-remaining': '20' } }, 'ccai', changes);
    expect(standings(books, NOW, 'other')[0]).toMatchObject({ max: 50, remaining: 20 });
    expect(entriesOf(changes, 'licence')).toEqual([]);
  });

  it('leaves fresh books, given what it changed, as it left its own', () => {
    const books = demoBooks([{ name: 'day', max: 1_000, lengthMs: 86_400_000 }]);
    const again = demoBooks([{ name: 'day', max: 1_000, lengthMs: 86_400_000 }]);
    const changes = new LedgerChanges();
    see(books, { headers: { 'x-rate-limit': '150', 'x-rate-limit-remaining': '100' } }, 'ccai', changes);
    see(books, ACCOUNT_REFUSAL, 'ccai', changes);
    see(books, ACCOUNT_REFUSAL, 'reporting', changes);
    for (const entry of entriesOf(changes, 'licence')) applyLicence(again, entry as unknown as LicenceEntry);
    for (const entry of entriesOf(changes, 'foreign')) applyForeign(again, entry as unknown as ForeignEntry);
    for (const entry of entriesOf(changes, 'foreign')) applyForeign(again, entry as unknown as ForeignEntry);
    for (const entry of entriesOf(changes, 'closed')) applyClosing(again, entry as unknown as ClosedEntry);
    expect(standings(again, NOW, null)).toEqual(standings(books, NOW, null));
    expect(again.closedForOne).toEqual(books.closedForOne);
    expect(again.limits.map(({ foreign }) => foreign)).toEqual(books.limits.map(({ foreign }) => foreign));
  });

  it('closes, where a refusal names no limit, the one that the CRM tells of in its headers', () => {
    const books = demoBooks([{ name: 'second', max: 5, lengthMs: 1_000 }]);
    const refusal = ACCOUNT_REFUSAL.refusal;
    expect(see(books, { status: 429, refusal }).map(({ limit }) => limit)).toEqual(['minute']);
  });
});
