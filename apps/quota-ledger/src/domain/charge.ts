import { type AccountBooks, counterOf, limitsFor } from './books.js';
import type { Call, Grant, Span } from './grant.js';

/*
 * Where calls count. Until it is settled a call is charged to every window in which it could arrive at the CRM:
 * from the first instant it may leave to the last at which it may still be on its way. Its answer places it and frees
 * the others; near an edge it stays charged on both sides.
 */

/** Charges a grant's open calls wherever they could arrive. */
export function chargeOpen(books: AccountBooks, grant: Grant): void {
  for (const book of limitsFor(books, grant.kind))
    for (const call of grant.calls) if (call.state === 'open') counterOf(book, call.key)?.charge(1, call.span, true);
}

/** Charges calls whose last state is known already: what books rebuilt from the tables begin with. */
export function chargeClosed(books: AccountBooks, kind: Grant['kind'], calls: readonly Call[]): void {
  for (const book of limitsFor(books, kind))
    for (const call of calls)
      if (call.state === 'used' || call.state === 'expired') counterOf(book, call.key)?.charge(1, call.span, false);
}

/** The call was made, and arrived within the span (which lies within its former one). */
export function placeUsed(books: AccountBooks, grant: Grant, call: Call, within: Span): void {
  for (const book of limitsFor(books, grant.kind)) counterOf(book, call.key)?.narrow(1, call.span, within);
  call.state = 'used';
  call.span = within;
}

/** The call was not and will not be made: every window is freed of it. */
export function freeReturned(books: AccountBooks, grant: Grant, call: Call): void {
  for (const book of limitsFor(books, grant.kind)) counterOf(book, call.key)?.narrow(1, call.span, null);
  call.state = 'returned';
}

/** Nobody told in time: it stays charged wherever it could have arrived. */
export function keepExpired(books: AccountBooks, grant: Grant, call: Call): void {
  for (const book of limitsFor(books, grant.kind)) counterOf(book, call.key)?.close(1, call.span);
  call.state = 'expired';
}
