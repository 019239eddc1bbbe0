import type { IntegrationName, Released, ReleaseRequest } from '#contracts';
import type { AccountBooks } from './books.js';
import type { LedgerChanges } from './ledger-changes.js';

/** Gives places back: an integration's own only. Ids that hold no place (any more) are passed over, so repeating is safe. */
export function release(
  books: AccountBooks,
  integration: IntegrationName,
  request: ReleaseRequest,
  changes: LedgerChanges,
): Released {
  let released = 0;
  for (const holdId of request.holdIds)
    for (const { limit, taken } of books.holds) {
      if (taken.get(holdId)?.integration !== integration) continue;
      taken.delete(holdId);
      changes.event(books.name, integration, 'released', { holdId, limit: limit.name });
      released += 1;
    }
  return { answer: 'released', released };
}
