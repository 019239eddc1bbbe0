import { describe, expect, it } from '@jest/globals';
import type { AcquireAnswer, CallKind } from '#contracts';
import { acquire } from './acquire.js';
import { type AccountVersion, openBooks } from './books.js';
import { demoConfig, granted, MINUTE_START } from './demo-books.fixture.spec.js';
import { LedgerChanges } from './ledger-changes.js';
import { settle } from './settle.js';
import { newLimits, withVersion } from './snapshot.js';

const NOW = MINUTE_START + 2_000;

function versionOf(version: number, draws: readonly CallKind[]): AccountVersion {
  return { version, appliedAt: 0, config: demoConfig([{ name: 'burst', max: 5, lengthMs: 20_000, draws }]) };
}

describe('books under a version in which more kinds of call draw on a limit', () => {
  let books = openBooks([versionOf(1, ['tickets.update'])]);
  const ask = (requestId: string, kind: CallKind, calls: number): AcquireAnswer | 'waits' =>
    acquire(
      books,
      'ccai',
      { requestId, kind, calls: { min: calls, max: calls }, priority: 'normal', waitMs: 0 },
      { nowMs: NOW, newId: () => `g-${requestId}` },
      new LedgerChanges(),
    );

  it('count what is under way of them, and are freed of nothing else', () => {
    const versions = [versionOf(1, ['tickets.update']), versionOf(2, ['tickets.update', 'users.search'])];
    granted(ask('a', 'tickets.update', 3));
    const { grantId } = granted(ask('b', 'users.search', 5));
    expect(newLimits(books, versions).map(({ limit }) => limit.name)).toEqual(['burst']);
    books = withVersion(books, versions, []);
    expect(ask('c', 'users.search', 1)).toMatchObject({ answer: 'refused', limit: 'burst' });
    const back = { requestId: 's', grantId, used: [], returned: 3 };
    settle(books, 'ccai', books.open.get(grantId)!, back, { nowMs: NOW, heldMs: 0 }, new LedgerChanges());
    const burst = books.limits.find(({ limit }) => limit.name === 'burst')!;
    expect(burst.whole.chargedAt(NOW)).toBe(5);
  });
});
