import { type AccountName, CALL_KINDS, type CallKind, type IntegrationName } from '#contracts';
import { draws, isCountedByKey } from '#limits';
import {
  type AccountBooks,
  type AccountVersion,
  counterOf,
  enterGrant,
  enterPast,
  hasPlaces,
  type Hold,
  type KeptLimit,
  type LimitBook,
  limitsFor,
  openBooks,
} from './books.js';
import type { CounterState } from './counter.js';
import { readGrant, type StoredGrant, storedGrant } from './journal-entries.js';

/** An account's books as they are stored from time to time, fit for JSON: its size is that of the windows, not of history. */
export interface AccountSnapshot {
  readonly account: AccountName;
  readonly version: number;
  readonly limits: readonly ({ readonly name: string } & KeptLimit)[];
  readonly closedForOne: readonly (readonly [one: string, until: number])[];
  readonly holds: readonly { readonly name: string; readonly closedUntil: number; readonly taken: readonly Hold[] }[];
  /** With open calls, or with places that nobody released. */
  readonly grants: readonly StoredGrant[];
}

/** Calls of a minute that a limit which the account didn't have until now is charged with. */
export type MinuteCharge = readonly [limit: string, integration: IntegrationName, startsAt: number, calls: number];

/** What of the books must not be lost. Parts of it are the books' own: spell it before they change. */
export function snapshotOf(books: AccountBooks): AccountSnapshot {
  return {
    account: books.name,
    version: books.version,
    limits: books.limits.map(({ limit, whole, byKey, foreign, maxima, licence }) => ({
      name: limit.name,
      whole: whole.state(),
      byKey: [...byKey].map(([key, counter]) => [key, counter.state()] as const),
      foreign,
      adopted: { maxima, licence },
    })),
    closedForOne: [...books.closedForOne],
    holds: books.holds.map(({ limit, closedUntil, taken }) => ({
      name: limit.name,
      closedUntil,
      taken: [...taken.values()],
    })),
    grants: [
      ...[...books.open.values()].map(storedGrant),
      ...(books.holds.some(({ taken }) => taken.size > 0) ? withPlaces(books) : []),
    ],
  };
}

/** Grants of the past that have places. */
function withPlaces(books: AccountBooks): StoredGrant[] {
  return [...books.past.values()]
    .filter(({ grant }) => hasPlaces(books, grant))
    .map(({ grant, closedAt }) => ({ ...storedGrant(grant), closedAt }));
}

/** The books that a snapshot was made of; empty ones where there is none. `versions`: the newest is the one they are to have. */
export function booksOf(versions: readonly AccountVersion[], snapshot: AccountSnapshot | null): AccountBooks {
  if (!snapshot) return openBooks(versions);
  const sameVersion = versions.at(-1)?.version === snapshot.version;
  const books = openBooks(versions, (limit) => {
    const kept = snapshot.limits.find(({ name }) => name === limit) ?? null;
    return kept && !sameVersion ? { ...kept, adopted: null } : kept;
  });
  for (const [one, until] of snapshot.closedForOne) books.closedForOne.set(one, until);
  for (const { name, closedUntil, taken } of snapshot.holds) {
    const book = books.holds.find(({ limit }) => limit.name === name);
    if (!book) continue;
    book.closedUntil = closedUntil;
    for (const hold of taken) book.taken.set(hold.id, hold);
  }
  for (const stored of snapshot.grants) {
    const { closedAt = 0, ...kept } = stored;
    const grant = readGrant(kept);
    if (grant.calls.some(({ state }) => state === 'open')) enterGrant(books, grant);
    else enterPast(books, grant, closedAt);
  }
  return books;
}

/**
 * The books under a new version of the account's configuration. Limits keep what was counted by their name; one that is new
 * begins with `charges`, and with the calls under way.
 */
export function withVersion(
  books: AccountBooks,
  versions: readonly AccountVersion[],
  charges: readonly MinuteCharge[],
): AccountBooks {
  const { limits, ...rest } = snapshotOf(books);
  const fresh = new Set(newLimits(books, versions).map(({ limit }) => limit.name));
  const kept = limits.map((limit) => (fresh.has(limit.name) ? { ...limit, whole: foreignOf(limit.whole) } : limit));
  const next = booksOf(versions, { ...rest, limits: kept, grants: [] });
  for (const grant of books.open.values()) {
    enterGrant(next, grant);
    for (const book of limitsFor(next, grant.kind)) if (isNewTo(books, book, grant.kind)) chargeOpenTo(book, grant);
  }
  for (const { grant, closedAt } of books.past.values()) enterPast(next, grant, closedAt);
  next.paused = books.paused;
  for (const [name, integration, startsAt, calls] of charges) {
    const span = { from: startsAt, to: startsAt + books.timing.minuteMs - 1 };
    const book = next.limits.find(({ limit }) => limit.name === name);
    book?.whole.charge(calls, span, false, integration, 'normal');
  }
  for (const { integration, startsAt, ...counts } of books.usage.rows())
    Object.assign(next.usage.of(integration, startsAt), counts);
  return next;
}

/** What is known of others' calls alone. */
function foreignOf(state: CounterState): CounterState {
  const counts = state.counts.map(([from, to, , , foreign]) => [from, to, 0, 0, foreign, []] as const);
  return { ...state, counts: counts.filter(([, , , , foreign]) => foreign > 0) };
}

/**
 * The limits of these versions that the books don't have yet, or not for all the kinds of call that draw on them now:
 * nothing is known of them but the account's usage.
 */
export function newLimits(books: AccountBooks, versions: readonly AccountVersion[]): LimitBook[] {
  return openBooks(versions).limits.filter((book) => isNew(books, book));
}

function isNew(books: AccountBooks, book: LimitBook): boolean {
  // Of keys no usage is known: what was counted by them is all there is.
  if (isCountedByKey(book.limit.scope)) return !books.limits.some(({ limit }) => limit.name === book.limit.name);
  return CALL_KINDS.some((kind) => draws(book.limit, kind) && !drewOn(books, book, kind));
}

/** Were calls of this kind not counted by the limit until now, or is what was counted to be counted anew? */
function isNewTo(books: AccountBooks, book: LimitBook, kind: CallKind): boolean {
  return isNew(books, book) || !drewOn(books, book, kind);
}

function drewOn(books: AccountBooks, { limit }: LimitBook, kind: CallKind): boolean {
  return limitsFor(books, kind).some((book) => book.limit.name === limit.name);
}

function chargeOpenTo(book: LimitBook, { calls, integration, priority }: Parameters<typeof enterGrant>[1]): void {
  for (const call of calls)
    if (call.state === 'open') counterOf(book, call.key)?.charge(1, call.span, true, integration, priority);
}
