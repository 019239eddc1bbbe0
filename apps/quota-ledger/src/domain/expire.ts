import { type AccountBooks, leaveIfClosed } from './books.js';
import { keepExpired } from './charge.js';
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
    const open = grant.calls.filter(({ state }) => state === 'open');
    for (const call of open) {
      keepExpired(books, grant, call);
      changes.callClosed(books.name, grant, call, grant.minute, grant.day);
    }
    leaveIfClosed(books, grant);
    changes.grantChanged(books.name, grant);
    changes.event(books.name, grant.integration, 'expired', { grantId: grant.id, calls: open.length });
    expired += 1;
  }
  return expired;
}

/** When the next grant may expire; null where none is open. */
export function nextExpiryAt(books: AccountBooks): number | null {
  for (const grant of books.open.values()) return grant.settleBy;
  return null;
}
