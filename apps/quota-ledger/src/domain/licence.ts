import type { AccountName } from '#contracts';
import type { AccountBooks, LimitBook } from './books.js';

/*
 * The maximum that the CRM tells is the one it enforces: plans change without notice. A lower one counts at once. A higher
 * one counts from the next window on, and only once two responses, the second one's call made after the first was
 * answered, told the same. A maximum of the account's own is a ceiling: the CRM's may lower it, and never raises it.
 * What was adopted stays until the configuration changes or the CRM tells something else.
 */

/** Most maxima remembered of one limit: enough for those in force within its window, however a CRM wavers. */
const MOST_STEPS = 64;

/** What is known of the maximum that the CRM itself tells for a limit. Fit for JSON. */
export interface LicenceBook {
  /** The newest told; null = none. */
  told: number | null;
  /** What was told before an adoption was answered no longer counts, epoch ms. */
  adoptedAt: number;
  /** A higher one, told once, in a response that had come by `at`. */
  higher: { readonly max: number; readonly at: number } | null;
}

/** A maximum adopted from the CRM, as decided: applied again it has the same effect. */
export interface LicenceEntry {
  readonly account: AccountName;
  readonly limit: string;
  readonly from: number;
  readonly to: number;
  /** On the ledger's clock, epoch ms. */
  readonly at: number;
  /** Of the account's configuration: with another one it no longer counts. */
  readonly version: number;
}

/** A response's maximum, and between which instants (epoch ms) the CRM told it. */
export interface ToldMax {
  readonly max: number;
  readonly from: number;
  readonly to: number;
}

export function emptyLicence(): LicenceBook {
  return { told: null, adoptedAt: 0, higher: null };
}

/** The maximum in force for windows that begin now or later. */
export function maxInForce(book: Pick<LimitBook, 'maxima'>): number {
  return book.maxima.at(-1)?.max ?? 0;
}

/** Takes note of a told maximum; an entry where it is to be adopted now. */
export function judgeMax(books: AccountBooks, book: LimitBook, told: ToldMax, nowMs: number): LicenceEntry | null {
  const { licence } = book;
  // A maximum of nothing would stop the calls by which anything else could ever be told.
  if (told.max < 1 || told.to < licence.adoptedAt) return null;
  licence.told = told.max;
  const from = maxInForce(book);
  const to = Math.min(told.max, ceilingOf(books, book));
  const entry = { account: books.name, limit: book.limit.name, from, to, at: nowMs, version: books.version };
  if (to < from) return entry;
  if (to === from) {
    licence.higher = null;
    return null;
  }
  const { higher } = licence;
  if (higher?.max !== told.max) licence.higher = { max: told.max, at: told.to };
  else if (told.from > higher.at && told.from >= licence.adoptedAt) return entry;
  return null;
}

/** Puts an adopted maximum into the books. The same entry twice is one. */
export function applyLicence(books: AccountBooks, entry: LicenceEntry): void {
  const book = books.limits.find(({ limit }) => limit.name === entry.limit);
  if (!book || entry.version !== books.version || maxInForce(book) === entry.to) return;
  book.maxima.push({ since: entry.at, max: entry.to });
  if (book.maxima.length > MOST_STEPS) book.maxima.shift();
  book.licence.adoptedAt = entry.at;
  book.licence.higher = null;
}

/** What the account's owner chose is never exceeded. */
function ceilingOf({ config }: AccountBooks, { limit }: LimitBook): number {
  const own = config.limits.find(({ name }) => name === limit.name);
  return own ? own.max : Number.MAX_SAFE_INTEGER;
}
