import type { IntegrationName } from '#contracts';
import { isCountedByKey } from '#limits';
import { type AccountBooks, counterOf, type LimitBook } from './books.js';
import type { Counter } from './counter.js';

/*
 * What the CRM closed. A closing names a limit (of windows or of places), one ticket or user of it or '' for all of it,
 * and the instant until which it holds; one on the word of an integration that isn't trusted holds for itself only.
 */

/** The CRM's word that a limit (or one ticket or user of it) is closed. */
export interface ClosedEntry {
  readonly limit: string;
  /** Empty for the whole limit. */
  readonly key: string;
  readonly until: number;
  /** The CRM's status. */
  readonly status: number;
  /** Whose calls filled it: ours, or those of others who don't ask. */
  readonly cause: 'own' | 'foreign';
  /** The one integration that it is closed for; left out = for all. */
  readonly onlyFor?: IntegrationName;
}

/** Puts a closing into the books. A closing never ends sooner than another one said; the same one twice is one. */
export function applyClosing(
  books: AccountBooks,
  closing: Pick<ClosedEntry, 'limit' | 'key' | 'until' | 'onlyFor'>,
): void {
  const { limit, key, until, onlyFor } = closing;
  if (onlyFor !== undefined) {
    const one = oneKey(onlyFor, limit, key);
    books.closedForOne.set(one, Math.max(books.closedForOne.get(one) ?? 0, until));
    return;
  }
  const hold = books.holds.find((book) => book.limit.name === limit);
  if (hold) hold.closedUntil = Math.max(hold.closedUntil, until);
  const book = books.limits.find((one) => one.limit.name === limit);
  const counter = book && counterOfKey(book, key);
  if (counter) counter.closedUntil = Math.max(counter.closedUntil, until);
}

/** Until when a limit (key '' = all of it) is closed for one integration on its own word, epoch ms; 0 = it isn't. */
export function closedFor(books: AccountBooks, integration: IntegrationName, limit: string, key: string): number {
  return books.closedForOne.get(oneKey(integration, limit, key)) ?? 0;
}

/** Drops closings for one integration that are over. */
export function forgetClosings(books: AccountBooks, nowMs: number): void {
  for (const [one, until] of books.closedForOne) if (until <= nowMs) books.closedForOne.delete(one);
}

/** The counter of one ticket or user, or ('') of the whole limit. */
export function counterOfKey(book: LimitBook, key: string): Counter | null {
  const { scope } = book.limit;
  return counterOf(book, isCountedByKey(scope) ? { [scope]: key } : null);
}

function oneKey(integration: IntegrationName, limit: string, key: string): string {
  return `${integration} ${limit} ${key}`;
}
