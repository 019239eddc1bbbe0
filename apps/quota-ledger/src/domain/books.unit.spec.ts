import { describe, expect, it } from '@jest/globals';
import { maxSinceOf, openBooks } from './books.js';
import { ask, demoConfig, granted, MINUTE_START, refused } from './demo-books.fixture.spec.js';

describe('a changed maximum', () => {
  it('counts at once where it is lowered, and from the next window where it is raised', () => {
    const lowered = maxSinceOf([
      { since: 0, max: 10 },
      { since: 100, max: 4 },
    ]);
    expect([lowered(50), lowered(100), lowered(200)]).toEqual([4, 4, 4]);
    const raised = maxSinceOf([
      { since: 0, max: 10 },
      { since: 100, max: 40 },
    ]);
    expect([raised(50), raised(99), raised(100), raised(200)]).toEqual([10, 10, 40, 40]);
  });

  it('is decided by over all versions within the window', () => {
    const versions = [1, 9].map((max, index) => ({
      version: index + 1,
      appliedAt: MINUTE_START + index * 20_000,
      config: demoConfig([{ max }]),
    }));
    const books = openBooks(versions);
    granted(ask(books, MINUTE_START + 30_000));
    refused(ask(books, MINUTE_START + 30_000));
    expect(granted(ask(books, MINUTE_START + 65_000, { calls: { min: 1, max: 99 } })).calls).toBe(9);
  });
});
