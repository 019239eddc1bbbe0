import { describe, expect, it } from '@jest/globals';
import type { AccountConfig, AcquireRequest, Share } from '#contracts';
import { DEFAULT_SHARE } from '#contracts';
import { acquire } from './acquire.js';
import { type AccountBooks, openBooks } from './books.js';
import { cancel } from './cancel.js';
import { askFor, demoBooks, demoConfig, granted, MINUTE_START, refused } from './demo-books.fixture.spec.js';
import { forecast } from './forecast.js';
import { hold } from './hold.js';
import { LedgerChanges } from './ledger-changes.js';
import { release } from './release.js';
import { nextWakeAt, serveWaiting } from './serve-waiting.js';
import { settle } from './settle.js';
import { standings } from './standing.js';

const MIDDLE = MINUTE_START + 30_000;

function booksOf(
  limits: Parameters<typeof demoConfig>[0],
  shares: Readonly<Record<string, Partial<Share>>> = {},
  quota: Partial<AccountConfig['quota']> = {},
): AccountBooks {
  const config = demoConfig(limits);
  const integrations = Object.fromEntries(
    ['ccai', 'reporting'].map((name) => {
      return [name, { ...config.integrations[name]!, share: { ...DEFAULT_SHARE, ...shares[name] } }];
    }),
  );
  const policy = { ...config.quota, foreignPerMinute: 0, ...quota };
  return openBooks([{ version: 1, appliedAt: 0, config: { ...config, integrations, quota: policy } }]);
}

let ids = 0;

function serve(books: AccountBooks, nowMs: number): string[] {
  const served = serveWaiting(books, { nowMs, newId: () => `w${(ids += 1)}` }, new LedgerChanges());
  return served.map(({ requestId, answer }) => `${requestId} ${answer.answer}`);
}

const portion = (percent: number): Share['guarantee'] => ({ percent, calls: {} });
const waiting = (requestId: string, request: Partial<AcquireRequest> = {}): Partial<AcquireRequest> => ({
  requestId,
  waitMs: 60_000,
  ...request,
});

describe('a request that may wait', () => {
  it('is answered when its window ends, by priority and then in order of arrival', () => {
    const books = booksOf([{ max: 3 }]);
    granted(askFor(books, 'ccai', MIDDLE, { calls: { min: 3, max: 3 } }));
    for (const [id, priority] of [
      ['late', 'backlog'],
      ['first', 'normal'],
      ['second', 'normal'],
      ['urgent', 'live'],
    ] as const)
      expect(askFor(books, 'ccai', MIDDLE, waiting(id, { priority }))).toBe('waits');
    expect(serve(books, MIDDLE)).toEqual([]);
    // Two seconds before the next window's edge a grant may say to wait for it.
    expect(nextWakeAt(books, MIDDLE)).toBe(MINUTE_START + 59_500);
    expect(serve(books, MINUTE_START + 59_500)).toEqual(['urgent granted', 'first granted', 'second granted']);
    expect(books.waiting.byRequest.size).toBe(1);
  });

  it('is refused with what was in its way once its time is up', () => {
    const books = booksOf([{ max: 1 }]);
    granted(askFor(books, 'ccai', MIDDLE));
    expect(askFor(books, 'ccai', MIDDLE, waiting('r', { waitMs: 5_000 }))).toBe('waits');
    expect(serve(books, MIDDLE)).toEqual([]);
    expect(nextWakeAt(books, MIDDLE)).toBe(MIDDLE + 5_000);
    const [served] = serveWaiting(books, { nowMs: MIDDLE + 5_000, newId: () => 'x' }, new LedgerChanges());
    expect(served).toMatchObject({ answer: { answer: 'refused', limit: 'minute', reason: 'limit_reached' } });
    expect(nextWakeAt(books, MIDDLE + 5_000)).toBeNull();
  });

  it('waits once, however often it is asked, and not as another', () => {
    const books = booksOf([{ max: 1 }]);
    granted(askFor(books, 'ccai', MIDDLE));
    expect(askFor(books, 'ccai', MIDDLE, waiting('r'))).toBe('waits');
    expect(askFor(books, 'ccai', MIDDLE, waiting('r'))).toBe('waits');
    expect(books.waiting.byRequest.size).toBe(1);
    expect(askFor(books, 'ccai', MIDDLE, waiting('r', { kind: 'tickets.create' }))).toMatchObject({
      code: 'request_id_reused',
    });
    expect(askFor(books, 'reporting', MIDDLE, waiting('r'))).toBe('waits');
    expect(books.waiting.byRequest.size).toBe(2);
  });

  it('keeps those who will not wait from taking the room it waits for, but not what draws on other limits', () => {
    const books = booksOf([{ max: 10 }, { name: 'tickets-update', max: 3 }]);
    granted(askFor(books, 'ccai', MIDDLE, { kind: 'tickets.update', calls: { min: 2, max: 2 } }));
    expect(askFor(books, 'ccai', MIDDLE, waiting('r', { kind: 'tickets.update', calls: { min: 2, max: 2 } }))).toBe(
      'waits',
    );
    expect(refused(askFor(books, 'reporting', MIDDLE, { kind: 'tickets.update' }))).toMatchObject({
      limit: 'tickets-update',
      reason: 'others_wait',
    });
    granted(askFor(books, 'reporting', MIDDLE, { kind: 'tickets.create' }));
    granted(askFor(books, 'reporting', MIDDLE, { kind: 'tickets.update', priority: 'live' }));
  });

  it('gets room that comes free call by call, however often others ask for a single one', () => {
    const books = booksOf([{ max: 12 }]);
    const had = Array.from({ length: 12 }, () => granted(askFor(books, 'reporting', MIDDLE)).grantId);
    expect(askFor(books, 'ccai', MIDDLE, waiting('large', { calls: { min: 6, max: 6 } }))).toBe('waits');
    const served = had.slice(0, 6).flatMap((grantId, index) => {
      const request = { requestId: `s${index}`, grantId, used: [], returned: 1 };
      const moment = { nowMs: MIDDLE, heldMs: 0 };
      settle(books, 'reporting', books.open.get(grantId)!, request, moment, new LedgerChanges());
      if (index < 5) expect(refused(askFor(books, 'reporting', MIDDLE)).reason).toBe('others_wait');
      return serve(books, MIDDLE);
    });
    expect(served).toEqual(['large granted']);
  });

  it('keeps nobody where it is stopped by its own cap or its own ticket', () => {
    const books = booksOf([{ max: 10 }, { name: 'per-ticket-updates', max: 1 }], { ccai: { cap: portion(20) } });
    const keyed = { kind: 'tickets.update' as const, keys: [{ ticket: 't' }] };
    granted(askFor(books, 'ccai', MIDDLE, keyed));
    expect(askFor(books, 'ccai', MIDDLE, waiting('ticket', keyed))).toBe('waits');
    granted(askFor(books, 'ccai', MIDDLE, { kind: 'tickets.update', keys: [{ ticket: 'other' }] }));
    expect(refused(askFor(books, 'ccai', MIDDLE))).toMatchObject({ reason: 'cap_reached', limit: 'minute' });
    expect(askFor(books, 'ccai', MIDDLE, waiting('capped'))).toBe('waits');
    expect(granted(askFor(books, 'reporting', MIDDLE, { calls: { min: 1, max: 10 } })).calls).toBe(8);
  });

  it('waits for places, and gets them as they are released', () => {
    const books = booksOf([{ name: 'inflight-jobs', max: 1 }]);
    const { holdIds } = granted(askFor(books, 'ccai', MIDDLE, { kind: 'tickets.create_many' }));
    expect(askFor(books, 'reporting', MIDDLE, waiting('job', { kind: 'tickets.create_many' }))).toBe('waits');
    expect(serve(books, MIDDLE)).toEqual([]);
    release(books, 'ccai', { requestId: 'x', holdIds }, new LedgerChanges());
    expect(serve(books, MIDDLE)).toEqual(['job granted']);
  });

  it('doesn’t keep others from what is guaranteed to them', () => {
    const books = booksOf([{ max: 10 }], { reporting: { guarantee: portion(40) } });
    granted(askFor(books, 'ccai', MINUTE_START + 2_000, { calls: { min: 6, max: 6 } }));
    expect(askFor(books, 'ccai', MINUTE_START + 2_000, waiting('big', { calls: { min: 5, max: 5 } }))).toBe('waits');
    // 4 × 58/60, rounded up: calls that the large one could not have had.
    granted(askFor(books, 'reporting', MINUTE_START + 2_000, { calls: { min: 4, max: 4 } }));
  });

  it('ends when it is cancelled; what was granted is not undone', () => {
    const books = booksOf([{ max: 1 }]);
    const { grantId } = granted(askFor(books, 'ccai', MIDDLE, { requestId: 'had' }));
    expect(askFor(books, 'ccai', MIDDLE, waiting('r'))).toBe('waits');
    expect(cancel(books, 'reporting', { requestId: 'r' }, MIDDLE)).toMatchObject({ was: 'unknown' });
    expect(cancel(books, 'ccai', { requestId: 'r' }, MIDDLE)).toMatchObject({ was: 'waiting' });
    expect(nextWakeAt(books, MIDDLE)).toBe(MIDDLE);
    expect(serve(books, MIDDLE)).toEqual(['r refused']);
    expect(cancel(books, 'ccai', { requestId: 'had' }, MIDDLE)).toMatchObject({ was: 'granted', grantId });
  });
});

describe('shares', () => {
  it('name what refuses, and when it clears if nobody settles', () => {
    const at = MINUTE_START + 6_000;
    const books = booksOf([{ max: 100 }], { reporting: { guarantee: portion(50) } }, { liveReservePercent: 20 });
    granted(askFor(books, 'ccai', at, { calls: { min: 37, max: 37 } }));
    // 45 of the guarantee and 18 of the part for live are worth something still, so none of 63 is left.
    const live = refused(askFor(books, 'ccai', at));
    expect(live).toMatchObject({ limit: 'minute', reason: 'reserved_for_live', retryInMs: 500 });
    expect(live.eta.toMs).toBeGreaterThan(0);
    expect(live.eta.toMs).toBeLessThanOrEqual(4_000);
    const others = refused(askFor(books, 'ccai', at, { priority: 'live', calls: { min: 19, max: 19 } }));
    expect(others).toMatchObject({ reason: 'guaranteed_to_others' });
    granted(askFor(books, 'ccai', at + others.eta.toMs, { priority: 'live', calls: { min: 19, max: 19 } }));
    expect(refused(askFor(books, 'ccai', at, { priority: 'backlog' })).reason).not.toBe('backlog_is_spread');
    const alone = booksOf([{ max: 100 }]);
    granted(askFor(alone, 'ccai', MINUTE_START + 2_000, { priority: 'backlog', calls: { min: 1, max: 100 } }));
    const spread = refused(askFor(alone, 'ccai', MINUTE_START + 2_000, { priority: 'backlog' }));
    expect(spread).toMatchObject({ reason: 'backlog_is_spread', limit: 'minute' });
    granted(askFor(alone, 'ccai', MINUTE_START + 2_000 + spread.eta.toMs, { priority: 'backlog' }));
  });

  it('reject what is more than a cap ever allows', () => {
    const books = booksOf([{ max: 10 }], { ccai: { cap: { percent: 100, calls: { minute: 2 } } } });
    expect(askFor(books, 'ccai', MIDDLE, { calls: { min: 3, max: 3 } })).toMatchObject({ code: 'never_fits' });
  });

  it('bound a rolling window by its cap', () => {
    const limit = { name: 'burst', max: 10, kind: 'rolling' as const, lengthMs: 20_000 };
    const books = booksOf([limit], { ccai: { cap: { percent: 100, calls: { burst: 3 } } } });
    expect(granted(askFor(books, 'ccai', MIDDLE, { calls: { min: 1, max: 9 } })).calls).toBe(3);
    expect(refused(askFor(books, 'ccai', MIDDLE))).toMatchObject({ limit: 'burst', reason: 'cap_reached' });
    granted(askFor(books, 'reporting', MIDDLE));
  });

  it('are told as a pace in long windows', () => {
    const day = { name: 'day', max: 100, lengthMs: 86_400_000 };
    const books = booksOf([day], { ccai: { cap: portion(10) } });
    const noon = MINUTE_START + 2 * 3_600_000;
    const paceOf = (name: string): unknown =>
      standings(books, noon, 'other', name).find(({ limit }) => limit === 'day')?.paceMs;
    expect(paceOf('ccai')).toBe((12 * 3_600_000) / 10);
    expect(paceOf('reporting')).toBe((12 * 3_600_000) / 100);
    expect(standings(books, noon, 'other').find(({ limit }) => limit === 'day')).not.toHaveProperty('paceMs');
  });

  it('refuse nothing in shadow mode, and tell what they would', () => {
    const books = booksOf([{ max: 2 }], {}, { mode: 'shadow' });
    expect(granted(askFor(books, 'ccai', MIDDLE, { calls: { min: 2, max: 2 } }))).not.toHaveProperty('wouldRefuse');
    const over = waiting('r', { calls: { min: 3, max: 5 } });
    const first = granted(askFor(books, 'ccai', MIDDLE, over));
    expect(first).toMatchObject({ calls: 5, sendInMs: 0, wouldRefuse: { limit: 'minute', reason: 'limit_reached' } });
    expect(granted(askFor(books, 'ccai', MIDDLE, over))).toMatchObject({ wouldRefuse: first.wouldRefuse });
    expect(askFor(books, 'nobody', MIDDLE)).toMatchObject({ code: 'unknown_integration' });
  });

  it('stop whom an operator paused, and nobody else', () => {
    const books = booksOf([{ max: 5 }]);
    books.paused = { account: false, integrations: new Set(['ccai']) };
    expect(refused(askFor(books, 'ccai', MIDDLE))).toMatchObject({ reason: 'paused' });
    expect(askFor(books, 'ccai', MIDDLE, waiting('r'))).toBe('waits');
    granted(askFor(books, 'reporting', MIDDLE));
    books.paused = { account: false, integrations: new Set() };
    expect(serve(books, MIDDLE)).toEqual(['r granted']);
  });
});

describe('hold', () => {
  it('takes places without calls, once per request, and never more than there are', () => {
    const books = booksOf([{ name: 'inflight-jobs', max: 3 }]);
    const take = (requestId: string, places: number, limit = 'inflight-jobs'): ReturnType<typeof hold> =>
      hold(
        books,
        'ccai',
        { requestId, limit, places },
        { nowMs: MIDDLE, newId: () => `h${(ids += 1)}` },
        new LedgerChanges(),
      );
    const first = take('one', 2);
    expect(first).toMatchObject({ answer: 'held', holdIds: [expect.any(String), expect.any(String)] });
    expect(take('one', 2)).toEqual(first);
    expect(books.holds[0]!.taken.size).toBe(2);
    expect(take('two', 2)).toMatchObject({ answer: 'refused', reason: 'places_taken', limit: 'inflight-jobs' });
    expect(take('three', 1, 'desks')).toMatchObject({ code: 'invalid_request' });
    expect(take('four', 4)).toMatchObject({ code: 'never_fits' });
    const holdIds = first.answer === 'held' ? first.holdIds : [];
    release(books, 'ccai', { requestId: 'x', holdIds: holdIds.slice(0, 1) }, new LedgerChanges());
    expect(take('one', 2)).toEqual(first);
    expect(take('two', 2)).toMatchObject({ answer: 'held' });
  });
});

describe('forecast', () => {
  it('says nothing is waited for where all fits', () => {
    const answer = forecast(
      booksOf([{ max: 50 }]),
      { integration: 'ccai', kind: 'other', calls: 50, priority: 'normal' },
      MIDDLE,
    );
    expect(answer).toMatchObject({ eta: { fromMs: 0, toMs: 0 }, limit: null, waiting: [] });
    expect(answer.limits[0]).toMatchObject({ limit: 'minute', foreign: { atLeast: 0, atMost: 0 }, headroom: 0 });
  });

  it('counts the windows that calls need, after those who wait', () => {
    const books = booksOf([{ max: 10 }]);
    granted(askFor(books, 'ccai', MIDDLE, { calls: { min: 10, max: 10 } }));
    const request = { integration: 'ccai', kind: 'other' as const, calls: 25, priority: 'normal' as const };
    // 30 s of this minute, then 10, 10 and 5 calls.
    const alone = forecast(books, request, MIDDLE);
    expect(alone).toMatchObject({ limit: 'minute', eta: { fromMs: 30_000 + 2 * 60_000 } });
    expect(alone.eta.toMs).toBeLessThanOrEqual(30_000 + 3 * 60_000 + 1_500);
    expect(askFor(books, 'reporting', MIDDLE, waiting('r', { calls: { min: 10, max: 10 } }))).toBe('waits');
    const behind = forecast(books, request, MIDDLE);
    expect(behind.waiting).toEqual([{ integration: 'reporting', priority: 'normal', requests: 1, calls: 10 }]);
    expect(behind.eta.fromMs).toBe(alone.eta.fromMs);
    expect(behind.eta.toMs).toBe(alone.eta.toMs + 60_000);
  });
});

it('a decision makes nothing wait where nobody asked to', () => {
  const books = booksOf([{ max: 1 }]);
  const request = { requestId: 'q', kind: 'other', calls: { min: 1, max: 1 }, priority: 'normal', waitMs: 0 } as const;
  const moment = { nowMs: MIDDLE, newId: () => 'g', known: null };
  expect(acquire(books, 'ccai', request, moment, new LedgerChanges())).toMatchObject({ answer: 'granted' });
  expect(acquire(books, 'ccai', { ...request, requestId: 'p' }, moment, new LedgerChanges())).toMatchObject({
    answer: 'refused',
  });
  expect(nextWakeAt(books, MIDDLE)).toBeNull();
});

describe('thousands who wait for one ticket', () => {
  it('cost no more than one try, and leave what comes for another ticket its turn', () => {
    const books = demoBooks([{ max: 1_000 }, { name: 'per-ticket-updates', max: 1 }]);
    const update = (ticket: string, waitMs: number) =>
      askFor(books, 'ccai', MINUTE_START, { kind: 'tickets.update', keys: [{ ticket }], waitMs });
    granted(update('full', 0));
    for (let i = 0; i < 2_000; i++) expect(update('full', 30_000)).toBe('waits');
    const { limit } = books.limits.find((book) => book.limit.scope === 'ticket')!;
    const counter = books.limits.find((book) => book.limit === limit)!.byKey.get('full')!;
    let looks = 0;
    const room = counter.room.bind(counter);
    counter.room = (span, needed) => {
      looks += 1;
      return room(span, needed);
    };
    granted(update('other', 0));
    expect(looks).toBeLessThan(10);
    counter.room = room;
    const refused = serveWaiting(books, { nowMs: MINUTE_START + 40_000, newId: () => 'g' }, new LedgerChanges());
    expect(refused).toHaveLength(2_000);
  });
});
