import type { Held, HoldRequest, IntegrationName, Refused, Rejected } from '#contracts';
import type { AccountBooks, Hold, HoldBook } from './books.js';
import type { Blocked } from './fit.js';
import { type GrantMoment, refusedAnswer } from './give-grant.js';
import { holdIdOf } from './grant.js';
import type { LedgerChanges } from './ledger-changes.js';

/**
 * Takes places without calls: all that are asked for, or none. They are kept under a new id, as those of a grant are under
 * its. The same request gets the same places again for as long as it holds one of them. Places aren't waited for: jobs
 * that were found running are there already, so nobody's turn is passed over, but never are more places taken than there are.
 */
export function hold(
  books: AccountBooks,
  integration: IntegrationName,
  request: HoldRequest,
  moment: GrantMoment,
  changes: LedgerChanges,
): Held | Refused | Rejected {
  const problem = cannot(books, integration, request);
  if (problem) return problem;
  const book = books.holds.find(({ limit }) => limit.name === request.limit)!;
  const before = placeOf(book, integration, request.requestId);
  if (before) return { answer: 'held', holdIds: idsOf(before.grantId, request.places) };
  if (book.taken.size + request.places > book.limit.max)
    return refusedAnswer(books, placesTaken(book.limit.name), moment.nowMs, 0);
  const id = moment.newId();
  const holdIds = idsOf(id, request.places);
  const entry = { requestId: request.requestId, limit: request.limit, holdIds, grantId: id, takenAt: moment.nowMs };
  applyHeld(books, integration, entry);
  changes.event(books.name, integration, 'held', entry);
  return { answer: 'held', holdIds };
}

/** What the journal tells of places taken without a grant. */
export interface HeldEntry {
  readonly requestId: string;
  readonly limit: string;
  readonly holdIds: readonly string[];
  /** Under which they are kept, though there is no grant. */
  readonly grantId: string;
  readonly takenAt: number;
}

/** Takes them; also when books are built again. */
export function applyHeld(books: AccountBooks, integration: IntegrationName, entry: HeldEntry): void {
  const book = books.holds.find(({ limit }) => limit.name === entry.limit);
  const { grantId, takenAt, requestId } = entry;
  for (const id of entry.holdIds) book?.taken.set(id, { id, grantId, integration, takenAt, requestId });
}

function placeOf({ taken }: HoldBook, integration: IntegrationName, requestId: string): Hold | null {
  for (const place of taken.values())
    if (place.requestId === requestId && place.integration === integration) return place;
  return null;
}

function idsOf(id: string, places: number): string[] {
  return Array.from({ length: places }, (_, index) => holdIdOf(id, index));
}

function placesTaken(limit: string): Blocked {
  return { limit, reason: 'places_taken', clearsAt: Number.MAX_SAFE_INTEGER, maySooner: true };
}

function cannot(books: AccountBooks, integration: IntegrationName, { limit, places }: HoldRequest): Rejected | null {
  if (!Object.hasOwn(books.config.integrations, integration))
    return reject('unknown_integration', `${books.name} has no integration ${integration}`);
  const book = books.holds.find((one) => one.limit.name === limit);
  if (!book) {
    const names = books.holds.map((one) => one.limit.name).join(', ');
    return reject(
      'invalid_request',
      `limit must name places of ${books.name}: ${names === '' ? 'it has none' : names}`,
    );
  }
  if (places > book.limit.max) return reject('never_fits', `${limit} never has more than ${book.limit.max} places`);
  return null;
}

function reject(code: string, message: string): Rejected {
  return { answer: 'rejected', code, message };
}
