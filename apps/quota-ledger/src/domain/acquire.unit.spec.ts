import { describe, expect, it } from '@jest/globals';
import { ask, demoBooks, granted, MINUTE_START, refused } from './demo-books.fixture.spec.js';
import { LedgerChanges } from './ledger-changes.js';
import { standings } from './standing.js';

const MIDDLE = MINUTE_START + 30_000;

describe('acquire', () => {
  it('grants as many as fit, and says how long they may be used', () => {
    const books = demoBooks([{ max: 3 }]);
    const answer = granted(ask(books, MIDDLE, { calls: { min: 1, max: 5 } }));
    expect(answer).toMatchObject({ calls: 3, sendInMs: 0, validForMs: 10_000, settleWithinMs: 23_000 });
    expect(answer.remaining[0]).toEqual({ limit: 'minute', max: 3, remaining: 0, resetsInMs: 30_000 });
  });

  it('refuses where fewer than the least fit, names the limit, and burns nothing of the others', () => {
    const books = demoBooks([{ max: 10 }, { name: 'tickets-update', max: 2 }]);
    const changes = new LedgerChanges();
    granted(ask(books, MIDDLE, { kind: 'tickets.update' }));
    const before = standings(books, MIDDLE, null);
    const answer = refused(ask(books, MIDDLE, { kind: 'tickets.update', calls: { min: 2, max: 2 } }, changes));
    expect(answer).toMatchObject({ limit: 'tickets-update', reason: 'limit_reached' });
    expect(changes.isEmpty()).toBe(true);
    expect(standings(books, MIDDLE, null)).toEqual(before);
  });

  it('asks to come again when the window has ended, its edge passed, but for what may be waited within the grant', () => {
    const books = demoBooks([{ max: 1 }]);
    granted(ask(books, MINUTE_START + 20_000));
    // Unsettled calls are in the way, so it may clear any moment; at the latest 1.5 s after the minute, 2 s of that waited.
    expect(refused(ask(books, MINUTE_START + 30_000))).toMatchObject({
      retryInMs: 500,
      eta: { fromMs: 500, toMs: 29_500 },
    });
    expect(refused(ask(books, MINUTE_START + 59_000))).toMatchObject({ retryInMs: 500 });
    const late = granted(ask(books, MINUTE_START + 59_500));
    expect(late).toMatchObject({ sendInMs: 2_000, validForMs: 12_000 });
  });

  it('charges a call to every window in which it could arrive, and to no other', () => {
    const inOneMinute = demoBooks([{ max: 1 }]);
    granted(ask(inOneMinute, MINUTE_START + 45_000));
    expect(standings(inOneMinute, MINUTE_START + 60_000, 'other')[0]).toMatchObject({ remaining: 1 });
    // 10 s of validity, 3 s under way, 1.5 s of edge: 14.5 s.
    const inTwo = demoBooks([{ max: 1 }]);
    granted(ask(inTwo, MINUTE_START + 45_500));
    expect(standings(inTwo, MINUTE_START + 60_000, 'other')[0]).toMatchObject({ remaining: 0 });
    const atTheStart = demoBooks([{ max: 1 }]);
    granted(ask(atTheStart, MINUTE_START + 1_400));
    expect(standings(atTheStart, MINUTE_START - 1, 'other')[0]).toMatchObject({ remaining: 0 });
  });

  it('gives the same request what is left of the same grant', () => {
    const books = demoBooks();
    const first = granted(ask(books, MIDDLE, { requestId: 'same' }));
    const again = granted(ask(books, MIDDLE + 4_000, { requestId: 'same' }));
    expect(again).toMatchObject({ grantId: first.grantId, validForMs: 6_000, settleWithinMs: 19_000 });
    expect(ask(books, MIDDLE, { requestId: 'same', kind: 'tickets.create' })).toMatchObject({
      code: 'request_id_reused',
    });
    expect(books.open.size).toBe(1);
  });

  it('grants keyed calls in order, up to the first whose ticket has no room', () => {
    const books = demoBooks([{ name: 'per-ticket-updates', max: 2 }]);
    const keys = ['a', 'a', 'b', 'a', 'b'].map((ticket) => ({ ticket }));
    expect(granted(ask(books, MIDDLE, { kind: 'tickets.update', keys, calls: { min: 1, max: 5 } })).calls).toBe(3);
    const more = [{ ticket: 'a' }];
    expect(refused(ask(books, MIDDLE, { kind: 'tickets.update', keys: more })).limit).toBe('per-ticket-updates');
    expect(granted(ask(books, MIDDLE, { kind: 'tickets.update', keys: [{ ticket: 'b' }] })).calls).toBe(1);
    // Who names no ticket isn't counted by ticket.
    expect(granted(ask(books, MIDDLE, { kind: 'tickets.update' })).calls).toBe(1);
  });

  it('takes a place for each bulk call, and refuses when all are taken', () => {
    const books = demoBooks([{ name: 'inflight-jobs', max: 2 }]);
    const answer = granted(ask(books, MIDDLE, { kind: 'tickets.create_many', calls: { min: 1, max: 3 } }));
    expect(answer.holdIds).toEqual([`${answer.grantId}.0`, `${answer.grantId}.1`]);
    expect(refused(ask(books, MIDDLE, { kind: 'tickets.update_many' }))).toMatchObject({
      limit: 'inflight-jobs',
      reason: 'places_taken',
      retryInMs: 500,
    });
  });

  it('rejects what no waiting can help', () => {
    const books = demoBooks([{ max: 3 }, { name: 'inflight-jobs', max: 1 }, { name: 'per-ticket-updates', max: 1 }]);
    const codeOf = (request: Parameters<typeof ask>[2]): unknown =>
      ({ ...ask(books, MIDDLE, request) })['code' as never];
    expect(codeOf({ calls: { min: 4, max: 9 } })).toBe('never_fits');
    expect(codeOf({ kind: 'tickets.create_many', calls: { min: 2, max: 2 } })).toBe('never_fits');
    const keys = [{ ticket: 'a' }, { ticket: 'a' }];
    expect(codeOf({ kind: 'tickets.update', keys, calls: { min: 2, max: 2 } })).toBe('never_fits');
  });

  it('counts a rolling window over any span of its length', () => {
    const books = demoBooks([{ name: 'burst', max: 2, kind: 'rolling', lengthMs: 20_000 }]);
    granted(ask(books, MIDDLE));
    granted(ask(books, MIDDLE + 5_000));
    const answer = refused(ask(books, MIDDLE + 10_000));
    expect(answer).toMatchObject({ limit: 'burst', retryInMs: 500 });
    // The first could arrive until 13 s after it was granted, and is out of the span 20 s and both edges later.
    const freedAt = MIDDLE + 13_000 + 20_000 + 2 * 1_500;
    expect(Math.abs(answer.eta.toMs + 2_000 + MIDDLE + 10_000 - freedAt)).toBeLessThan(200);
    granted(ask(books, freedAt + 200));
  });

  it('divides everything by the time scale', () => {
    const books = demoBooks([{ max: 1 }], { timeScale: 10 });
    expect(granted(ask(books, MINUTE_START + 3_000))).toMatchObject({ validForMs: 1_000 });
    expect(standings(books, MINUTE_START + 3_000, 'other')[0]).toMatchObject({ resetsInMs: 3_000 });
  });
});
