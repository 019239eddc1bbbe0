import { describe, expect, it } from '@jest/globals';
import type { SettleRequest } from '#contracts';
import type { AccountBooks } from './books.js';
import { ask, demoBooks, granted, MINUTE_START } from './demo-books.fixture.spec.js';
import { expire } from './expire.js';
import { LedgerChanges } from './ledger-changes.js';
import { settle } from './settle.js';
import { standings } from './standing.js';

const NEAR_END = MINUTE_START + 50_000;
const NEXT_MINUTE = MINUTE_START + 60_000;

function tell(
  books: AccountBooks,
  grantId: string,
  nowMs: number,
  told: Partial<SettleRequest>,
  heldMs = 0,
  changes = new LedgerChanges(),
) {
  const request = { requestId: `s${nowMs}`, grantId, used: [], returned: 0, ...told };
  return settle(books, 'ccai', books.open.get(grantId) ?? null, request, { nowMs, heldMs }, changes);
}

const left = (books: AccountBooks, at: number): number => standings(books, at, 'other')[0]!.remaining;

describe('settle', () => {
  it('places a used call by its answer and frees the windows after it', () => {
    const books = demoBooks([{ max: 5 }]);
    const { grantId } = granted(ask(books, NEAR_END));
    expect([left(books, NEAR_END), left(books, NEXT_MINUTE)]).toEqual([4, 4]);
    tell(books, grantId, NEAR_END + 900, { used: [{ sentAgoMs: 800, answeredAgoMs: 200 }] });
    expect([left(books, NEAR_END), left(books, NEXT_MINUTE)]).toEqual([4, 5]);
  });

  it('leaves a call near an edge on both sides of it', () => {
    const books = demoBooks([{ max: 5 }]);
    const { grantId } = granted(ask(books, NEAR_END));
    tell(books, grantId, MINUTE_START + 59_000, { used: [{ sentAgoMs: 800, answeredAgoMs: 200 }] });
    expect([left(books, NEAR_END), left(books, NEXT_MINUTE)]).toEqual([4, 4]);
  });

  it('keeps a call without an answer wherever it could have arrived', () => {
    const books = demoBooks([{ max: 5 }]);
    const { grantId } = granted(ask(books, NEAR_END));
    tell(books, grantId, NEAR_END + 5_000, { used: [{ sentAgoMs: 4_000, answeredAgoMs: null }] });
    expect([left(books, NEAR_END), left(books, NEXT_MINUTE)]).toEqual([4, 4]);
  });

  it('counts the durations back from when the settle arrived, not from when it was decided', () => {
    const books = demoBooks([{ max: 5 }]);
    const { grantId } = granted(ask(books, NEAR_END));
    tell(books, grantId, NEXT_MINUTE + 3_000, { used: [{ sentAgoMs: 800, answeredAgoMs: 200 }] }, 5_000);
    expect([left(books, NEAR_END), left(books, NEXT_MINUTE)]).toEqual([4, 5]);
  });

  it('frees every window of a returned call, and its place', () => {
    const books = demoBooks([{ max: 5 }]);
    const { grantId } = granted(ask(books, NEAR_END, { kind: 'tickets.create_many', calls: { min: 2, max: 2 } }));
    const changes = new LedgerChanges();
    expect(tell(books, grantId, NEAR_END + 10, { returned: 1 }, 0, changes)).toMatchObject({ returned: 1, open: 1 });
    expect([left(books, NEAR_END), left(books, NEXT_MINUTE)]).toEqual([4, 4]);
    expect(books.holds.flatMap(({ taken }) => [...taken.keys()])).toEqual([`${grantId}.0`]);
  });

  it('counts a call in the minute of its answer, and moves its grant there with it', () => {
    const books = demoBooks();
    const changes = new LedgerChanges();
    const { grantId } = granted(ask(books, MINUTE_START + 58_000, { calls: { min: 2, max: 2 } }, changes));
    tell(
      books,
      grantId,
      NEXT_MINUTE + 4_000,
      { used: [{ sentAgoMs: 4_000, answeredAgoMs: 1_000 }], returned: 1 },
      0,
      changes,
    );
    const rows = books.usage.rows().map(({ startsAt, granted: all, used, returned, expired, open }) => ({
      startsAt,
      granted: all,
      used,
      returned,
      expired,
      open,
    }));
    expect(rows).toEqual([
      { startsAt: MINUTE_START, granted: 1, used: 0, returned: 1, expired: 0, open: 0 },
      { startsAt: NEXT_MINUTE, granted: 1, used: 1, returned: 0, expired: 0, open: 0 },
    ]);
  });

  it('takes the calls that are named, and refuses those that are not there', () => {
    const books = demoBooks([{ name: 'per-ticket-updates', max: 1 }]);
    const keys = [{ ticket: 'a' }, { ticket: 'b' }];
    const { grantId } = granted(ask(books, NEAR_END, { kind: 'tickets.update', keys, calls: { min: 2, max: 2 } }));
    const used = [{ call: 1, sentAgoMs: 5, answeredAgoMs: 1 }];
    expect(tell(books, grantId, NEAR_END + 1, { used: [{ ...used[0]!, call: 7 }] })).toMatchObject({
      code: 'unknown_call',
    });
    expect(tell(books, grantId, NEAR_END + 2, { used: [...used, ...used] })).toMatchObject({ code: 'unknown_call' });
    expect(tell(books, grantId, NEAR_END + 3, { used, returned: 1 })).toMatchObject({ used: 1, returned: 1, open: 0 });
    expect(ask(books, NEAR_END + 4, { kind: 'tickets.update', keys: [keys[0]!] }).answer).toBe('granted');
    expect(ask(books, NEAR_END + 4, { kind: 'tickets.update', keys: [keys[1]!] }).answer).toBe('refused');
  });

  it('refuses more calls than are open, and grants of others', () => {
    const books = demoBooks();
    const { grantId } = granted(ask(books, NEAR_END));
    expect(tell(books, grantId, NEAR_END, { returned: 2 })).toMatchObject({ code: 'too_many_calls' });
    const request = { requestId: 's', grantId, used: [], returned: 1 };
    const grant = books.open.get(grantId)!;
    const moment = { nowMs: NEAR_END, heldMs: 0 };
    expect(settle(books, 'reporting', grant, request, moment, new LedgerChanges())).toMatchObject({
      code: 'unknown_grant',
    });
    expect(settle(books, 'ccai', null, request, moment, new LedgerChanges())).toMatchObject({ code: 'unknown_grant' });
  });
});

describe('expire', () => {
  it('counts what nobody settled as used for ever, and a late settle changes nothing', () => {
    const books = demoBooks([{ max: 5 }]);
    const { grantId, settleWithinMs } = granted(ask(books, NEAR_END));
    const grant = books.open.get(grantId)!;
    const changes = new LedgerChanges();
    expect(expire(books, NEAR_END + settleWithinMs - 1, changes)).toBe(0);
    expect(expire(books, NEAR_END + settleWithinMs, changes)).toBe(1);
    const now = NEAR_END + settleWithinMs + 5;
    const request = { requestId: 'late', grantId, used: [], returned: 1 };
    const answer = settle(books, 'ccai', grant, request, { nowMs: now, heldMs: 0 }, changes);
    expect(answer).toMatchObject({ answer: 'settled', late: true, expired: 1, returned: 0 });
    expect([left(books, NEAR_END), left(books, NEXT_MINUTE)]).toEqual([4, 4]);
    expect(books.open.size).toBe(0);
  });

  it('gives no place back', () => {
    const books = demoBooks([{ name: 'inflight-jobs', max: 1 }]);
    const { settleWithinMs } = granted(ask(books, NEAR_END, { kind: 'tickets.create_many' }));
    expire(books, NEAR_END + settleWithinMs, new LedgerChanges());
    expect(ask(books, NEAR_END + settleWithinMs + 300_000, { kind: 'tickets.create_many' }).answer).toBe('refused');
  });
});
