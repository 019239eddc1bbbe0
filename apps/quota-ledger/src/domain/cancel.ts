import type { CancelRequest, Cancelled, IntegrationName } from '#contracts';
import { type AccountBooks, requestKey } from './books.js';
import { endWait } from './serve-waiting.js';
import { waiterOf } from './waiting.js';

/**
 * Ends the wait of an `acquire`: the next `serveWaiting` answers it as refused. What was granted already isn't undone: its
 * calls are to be settled.
 */
export function cancel(
  books: AccountBooks,
  integration: IntegrationName,
  request: CancelRequest,
  nowMs: number,
): Cancelled {
  const waiter = waiterOf(books.waiting, integration, request.requestId);
  if (waiter) {
    endWait(books, waiter, nowMs);
    return { answer: 'cancelled', was: 'waiting', grantId: null };
  }
  const grant = books.byRequest.get(requestKey(integration, request.requestId));
  return { answer: 'cancelled', was: grant ? 'granted' : 'unknown', grantId: grant?.id ?? null };
}
