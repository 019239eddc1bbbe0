import { type AccountBooks, leaveIfClosed } from './books.js';
import { keepExpired } from './charge.js';
import { countsOf, type Grant } from './grant.js';
import type { ExpiredEntry } from './journal-entries.js';
import type { LedgerChanges } from './ledger-changes.js';

/** Most grants that one turn expires; the rest follow in the next. */
export const MAX_EXPIRIES_PER_TURN = 1_000;

/**
 * Grants that nobody settled in time: their open calls count as used, for ever, wherever they could have arrived. Places
 * they took stay taken, as only the CRM knows whether a job is running. Returns how many grants expired.
 */
export function expire(books: AccountBooks, nowMs: number, changes: LedgerChanges): number {
  let expired = 0;
  for (const grant of books.open.values()) {
    // Oldest first, and none waits longer before its first call than this.
    if (grant.settleBy - books.timing.longestSendInMs > nowMs || expired === MAX_EXPIRIES_PER_TURN) break;
    if (grant.settleBy > nowMs) continue;
    const entry: ExpiredEntry = { grantId: grant.id, calls: countsOf(grant).open };
    changes.event(books.name, grant.integration, 'expired', entry);
    applyExpired(books, grant, nowMs);
    expired += 1;
  }
  return expired;
}

/** Expires a grant's open calls; also when books are built again. */
export function applyExpired(books: AccountBooks, grant: Grant, nowMs: number): void {
  for (const call of grant.calls) {
    if (call.state !== 'open') continue;
    keepExpired(books, grant, call);
    books.usage.closed(grant, 'expired', grant.minute);
  }
  leaveIfClosed(books, grant, nowMs);
}

/** When the next grant may expire; null where none is open. */
export function nextExpiryAt(books: AccountBooks): number | null {
  for (const grant of books.open.values()) return grant.settleBy;
  return null;
}
