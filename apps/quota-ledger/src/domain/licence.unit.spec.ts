import { describe, expect, it } from '@jest/globals';
import type { AccountBooks, LimitBook } from './books.js';
import { demoBooks, MINUTE_START } from './demo-books.fixture.spec.js';
import { applyLicence, judgeMax, maxInForce } from './licence.js';

const MINUTE_MS = 60_000;

function minuteOf(books: AccountBooks): LimitBook {
  return books.limits.find(({ limit }) => limit.name === 'minute')!;
}

/** The CRM tells a maximum in a response made around an instant; then this is in force for later windows. */
function tell(books: AccountBooks, max: number, at: number): number {
  const entry = judgeMax(books, minuteOf(books), { max, from: at - 100, to: at }, at);
  if (entry) applyLicence(books, entry);
  return maxInForce(minuteOf(books));
}

describe('the maximum that the CRM tells', () => {
  it('counts at once where it is lower', () => {
    const books = demoBooks();
    expect(tell(books, 100, MINUTE_START + 1_000)).toBe(100);
    expect(minuteOf(books).whole.maxSince(MINUTE_START)).toBe(100);
  });

  it('counts from the next window where it is higher and was told twice', () => {
    const books = demoBooks();
    expect(tell(books, 400, MINUTE_START + 1_000)).toBe(200);
    expect(tell(books, 400, MINUTE_START + 2_000)).toBe(400);
    expect(minuteOf(books).whole.maxSince(MINUTE_START)).toBe(200);
    expect(minuteOf(books).whole.maxSince(MINUTE_START + MINUTE_MS)).toBe(400);
  });

  it('is not raised by one response told twice, nor by two that contradict each other', () => {
    const books = demoBooks();
    expect(tell(books, 400, MINUTE_START + 1_000)).toBe(200);
    expect(tell(books, 400, MINUTE_START + 1_000)).toBe(200);
    expect(tell(books, 200, MINUTE_START + 2_000)).toBe(200);
    expect(tell(books, 400, MINUTE_START + 3_000)).toBe(200);
    expect(tell(books, 400, MINUTE_START + 4_000)).toBe(400);
  });

  it('is not taken from a response older than what was adopted', () => {
    const books = demoBooks();
    tell(books, 400, MINUTE_START + 1_000);
    expect(tell(books, 400, MINUTE_START + 2_000)).toBe(400);
    expect(tell(books, 200, MINUTE_START + 1_500)).toBe(400);
    expect(tell(books, 200, MINUTE_START + 2_500)).toBe(200);
  });

  it('lowers a maximum of the account itself, and raises it no further than it was', () => {
    const books = demoBooks([{ max: 150 }]);
    expect(tell(books, 200, MINUTE_START + 1_000)).toBe(150);
    expect(tell(books, 100, MINUTE_START + 2_000)).toBe(100);
    expect(tell(books, 400, MINUTE_START + 3_000)).toBe(100);
    expect(tell(books, 400, MINUTE_START + 4_000)).toBe(150);
  });

  it('is never nothing, as nothing else could be told any more', () => {
    expect(tell(demoBooks(), 0, MINUTE_START + 1_000)).toBe(200);
  });

  it('counts no longer once the configuration has changed', () => {
    const books = demoBooks();
    const entry = judgeMax(books, minuteOf(books), { max: 100, from: 1, to: 1 }, 1)!;
    applyLicence(books, { ...entry, version: books.version - 1 });
    expect(maxInForce(minuteOf(books))).toBe(200);
  });
});
