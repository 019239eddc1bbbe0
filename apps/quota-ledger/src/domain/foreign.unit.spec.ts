import { describe, expect, it } from '@jest/globals';
import type { AccountBooks } from './books.js';
import { askFor, demoBooks, granted, MINUTE_START } from './demo-books.fixture.spec.js';
import { applyForeign, foreignAt, type ForeignEntry, type Interval } from './foreign.js';
import { LedgerChanges } from './ledger-changes.js';
import { observe } from './observe.js';
import { settle } from './settle.js';

const MAX = 20;
/** Well within the minute, as are the seconds after it that are named below. */
const NOW = MINUTE_START + 20_000;

/** Calls of an integration that only settles: whether the CRM counted or refused them it never tells. */
function callAndSettle(books: AccountBooks, calls: number, nowMs: number): void {
  const { grantId } = granted(askFor(books, 'reporting', nowMs, { calls: { min: calls, max: calls } }));
  const used = Array.from({ length: calls }, () => ({ sentAgoMs: 100, answeredAgoMs: 0 }));
  const request = { requestId: `s${grantId}`, grantId, used, returned: 0 };
  const moment = { nowMs: nowMs + 100, heldMs: 0 };
  settle(books, 'reporting', books.open.get(grantId)!, request, moment, new LedgerChanges());
}

/** A response to somebody else's call, or a refusal of one of ours, that leaves so many. */
function tell(
  books: AccountBooks,
  remaining: number,
  nowMs: number,
  of: { max?: number; refused?: boolean } = {},
  changes = new LedgerChanges(),
): void {
  const headers = { 'x-rate-limit': `${of.max ?? MAX}`, 'x-rate-limit-remaining': `${remaining}` };
  const seen = of.refused ? { grantId: 'gone', status: 429 } : { grantId: null, status: 200 };
  const request = { ...seen, kind: 'other' as const, headers, answeredAgoMs: 0 };
  observe(books, 'ccai', null, request, { nowMs, heldMs: 0 }, changes);
}

function others(books: AccountBooks): Interval {
  const minute = books.limits.find(({ limit }) => limit.name === 'minute')!;
  return foreignAt(minute, NOW);
}

describe('others calls, where a response refused a call of ours for another reason', () => {
  it('are known alike in books that are given what it changed', () => {
    const [books, again] = [demoBooks([{ max: MAX }]), demoBooks([{ max: MAX }])];
    for (const each of [books, again]) callAndSettle(each, 3, NOW);
    const changes = new LedgerChanges();
    tell(books, 8, NOW + 10_000, {}, changes);
    // An endpoint refused, say: the account had some left.
    tell(books, 8, NOW + 10_000, { refused: true }, changes);
    for (const { event, entries } of changes.events)
      if (event === 'foreign') for (const entry of entries) applyForeign(again, entry as ForeignEntry);
    for (const each of [books, again]) tell(each, 6, NOW + 10_500);
    expect(others(again)).toEqual(others(books));
    expect(others(books)).toEqual({ atLeast: 11, atMost: 12 });
  });
});

describe('others calls, where nothing is left', () => {
  it('may be all that the CRM counted, though calls of ours were answered: they may have been refused', () => {
    const books = demoBooks([{ max: MAX }]);
    // Others had made all twenty by then.
    callAndSettle(books, 3, NOW);
    tell(books, 0, NOW + 10_000, { refused: true });
    expect(others(books)).toEqual({ atLeast: MAX - 3, atMost: MAX });
  });

  it('are fewer by what was answered while something was left', () => {
    const books = demoBooks([{ max: MAX }]);
    callAndSettle(books, 3, NOW);
    tell(books, 8, NOW + 10_000);
    expect(others(books)).toEqual({ atLeast: 9, atMost: 9 });
    callAndSettle(books, 2, NOW + 11_000);
    tell(books, 0, NOW + 20_000);
    expect(others(books)).toEqual({ atLeast: MAX - 5, atMost: MAX - 3 });
  });

  it('are no more for each refusal that is told of', () => {
    const books = demoBooks([{ max: MAX }]);
    callAndSettle(books, 3, NOW);
    tell(books, 8, NOW + 10_000);
    for (const second of [20, 21, 22]) tell(books, 0, NOW + second * 1_000, { refused: true });
    expect(others(books)).toEqual({ atLeast: MAX - 3, atMost: MAX - 3 });
  });

  it('are not told apart from refused ones of ours when more is allowed afterwards, in whichever order it is heard', () => {
    const told = [
      (books: AccountBooks) => tell(books, 0, NOW + 10_000),
      (books: AccountBooks) => tell(books, MAX - 1, NOW + 20_000, { max: 2 * MAX }),
    ];
    for (const inOrder of [told, told.toReversed()]) {
      const books = demoBooks([{ max: MAX }]);
      callAndSettle(books, 3, NOW);
      for (const hear of inOrder) hear(books);
      expect(others(books).atMost).toBe(MAX + 1);
    }
  });
});
