import type { CancelRequest, Cancelled, IntegrationName } from '#contracts';
import { type AccountBooks, requestKey } from './books.js';
import type { Grant } from './grant.js';
import type { LedgerChanges } from './ledger-changes.js';
import { endWait } from './serve-waiting.js';
import { waiterOf } from './waiting.js';

/**
 * Ends the wait of an `acquire`: the next `serveWaiting` answers it as refused. What was granted already isn't undone: its
 * calls are to be settled. `known` is the grant that the tables know of the request.
 */
export function cancel(
  books: AccountBooks,
  integration: IntegrationName,
  request: CancelRequest,
  changes: LedgerChanges,
  { nowMs, known = null }: { readonly nowMs: number; readonly known?: Grant | null },
): Cancelled {
  const waiter = waiterOf(books.waiting, integration, request.requestId);
  if (waiter) {
    endWait(books, waiter, nowMs);
    return { answer: 'cancelled', was: 'waiting', grantId: null };
  }
  const grant =
    books.openByRequest.get(requestKey(integration, request.requestId)) ??
    changes.closedGrantOf(books.name, integration, request.requestId) ??
    known;
  return { answer: 'cancelled', was: grant ? 'granted' : 'unknown', grantId: grant?.id ?? null };
}
