import { type AccountBooks, type AccountVersion, counterOf, enterGrant, type Hold, openBooks } from './books.js';
import { chargeClosed, chargeOpen } from './charge.js';
import type { Grant } from './grant.js';
import type { Closing, ForeignCalls } from './ledger-changes.js';

/** What the tables hold of one account that still matters: the size of its windows, not of its history. */
export interface StoredAccount {
  /** In force within its longest window, oldest first. */
  readonly versions: readonly AccountVersion[];
  /** Open, or with calls in windows that aren't over. */
  readonly grants: readonly Grant[];
  readonly holds: readonly (Hold & { readonly limit: string })[];
  readonly closings: readonly Closing[];
  readonly foreign: readonly ForeignCalls[];
}

/** The books as they were when the last turn was recorded, from the tables alone. */
export function rebuild(stored: StoredAccount): AccountBooks {
  const books = openBooks(stored.versions);
  for (const grant of stored.grants.toSorted((a, b) => a.grantedAt - b.grantedAt)) {
    chargeClosed(books, grant);
    if (!grant.calls.some(({ state }) => state === 'open')) continue;
    chargeOpen(books, grant);
    enterGrant(books, grant);
  }
  for (const { limit, ...hold } of stored.holds)
    books.holds.find((book) => book.limit.name === limit)?.taken.set(hold.id, hold);
  for (const closing of stored.closings) reclose(books, closing);
  for (const { limit, calls, at } of stored.foreign)
    books.limits.find((book) => book.limit.name === limit)?.whole.addForeign(calls, at);
  return books;
}

function reclose(books: AccountBooks, { limit, key, until }: Closing): void {
  const hold = books.holds.find((book) => book.limit.name === limit);
  if (hold) hold.closedUntil = Math.max(hold.closedUntil, until);
  const book = books.limits.find((one) => one.limit.name === limit);
  const counter = book && counterOf(book, key === '' ? null : { ticket: key, user: key });
  if (counter) counter.closedUntil = Math.max(counter.closedUntil, until);
}

/** Length of the longest window of an account, and how far beyond it a call may be charged, ms. */
export function memoryMs(books: Pick<AccountBooks, 'limits' | 'timing'>): number {
  const { validForMs, requestTimeoutMs, longestSendInMs, minuteMs } = books.timing;
  const longest = Math.max(minuteMs, ...books.limits.map(({ limit }) => limit.lengthMs + limit.edgeMs));
  // A local day may have 25 hours.
  return longest + minuteMs * 60 + validForMs + requestTimeoutMs + longestSendInMs;
}
