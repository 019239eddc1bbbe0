import { isCountedByKey } from '#limits';
import { type AccountBooks, counterOf, type LimitBook, limitsFor } from './books.js';
import { noteAnswered } from './foreign.js';
import type { Call, CallState, Grant, Span } from './grant.js';
import { noteLost } from './share.js';

/*
 * Where calls count. Until it is settled a call is charged to every window in which it could arrive at the CRM:
 * from the first instant it may leave to the last at which it may still be on its way. Its answer places it and frees
 * the others; near an edge it stays charged on both sides.
 */

type Charged = Pick<Grant, 'kind' | 'integration' | 'priority' | 'calls' | 'grantedAt' | 'arrivesBy'>;

/** Charges a grant's open calls wherever they could arrive. */
export function chargeOpen(books: AccountBooks, grant: Charged): void {
  for (const book of limitsFor(books, grant.kind)) chargeRuns(book, grant, (state) => state === 'open', true);
}

/** Charges a grant's calls whose last state is known already: what books rebuilt from the tables begin with. */
export function chargeClosed(books: AccountBooks, grant: Charged): void {
  for (const book of limitsFor(books, grant.kind)) {
    chargeRuns(book, grant, (state) => state === 'used' || state === 'expired', false);
    for (const { state, span } of grant.calls)
      if (state === 'used' && span.to < grant.arrivesBy) noteAnswered(book, span);
  }
}

/** Neighbouring calls mostly count alike, and are charged at once. */
function chargeRuns(book: LimitBook, grant: Charged, counts: (state: CallState) => boolean, open: boolean): void {
  const { calls, integration, priority } = grant;
  const keyed = isCountedByKey(book.limit.scope);
  for (let first = 0; first < calls.length;) {
    const { key, span, state } = calls[first]!;
    let next = first + 1;
    while (next < calls.length && sameCharge(calls[next]!, calls[first]!, keyed)) next += 1;
    if (counts(state)) {
      if (open) noteLost(book, grant, span);
      counterOf(book, key)?.charge(next - first, span, open, integration, priority);
    }
    first = next;
  }
}

function sameCharge(one: Call, other: Call, keyed: boolean): boolean {
  if (keyed && one.key !== other.key) return false;
  return one.state === other.state && one.span.from === other.span.from && one.span.to === other.span.to;
}

/** The call was made, and arrived within the span (which lies within its former one). */
export function placeUsed(books: AccountBooks, grant: Grant, call: Call, within: Span): void {
  const { kind, integration, priority } = grant;
  for (const book of limitsFor(books, kind)) {
    counterOf(book, call.key)?.narrow(1, call.span, within, integration, priority);
    // A call that was never answered counts wherever it could have arrived, until the last instant of its span.
    if (within.to < call.span.to) noteAnswered(book, within);
  }
  call.state = 'used';
  call.span = within;
}

/** The call was not and will not be made: every window is freed of it. */
export function freeReturned(books: AccountBooks, grant: Grant, call: Call): void {
  const { kind, integration, priority } = grant;
  for (const book of limitsFor(books, kind))
    counterOf(book, call.key)?.narrow(1, call.span, null, integration, priority);
  call.state = 'returned';
}

/** Nobody told in time: it stays charged wherever it could have arrived. */
export function keepExpired(books: AccountBooks, grant: Grant, call: Call): void {
  for (const book of limitsFor(books, grant.kind)) counterOf(book, call.key)?.close(1, call.span);
  call.state = 'expired';
}
