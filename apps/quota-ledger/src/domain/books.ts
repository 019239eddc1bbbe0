import {
  type AccountConfig,
  type AccountName,
  CALL_KINDS,
  type CallKey,
  type CallKind,
  type IntegrationName,
} from '#contracts';
import { draws, type HoldLimit, type Limit, limitsOf, windowAt } from '#limits';
import { type Counter, counterFor, type CounterState } from './counter.js';
import { emptyForeign, type ForeignBook, headroomFor, shortestTold } from './foreign.js';
import { type Grant, holdIdOf } from './grant.js';
import { type ShareTerms, shareTermsOf } from './share.js';
import { nobodyWaits, type WaitingRequests } from './waiting.js';
import { emptyLicence, type LicenceBook } from './licence.js';
import { PendingUsage } from './usage.js';

/** How long everything takes on an account, ms; divided by its declared time scale where the CRM's time is. */
export interface Timing {
  /** A grant's calls may leave for this long. */
  readonly validForMs: number;
  /** A call that left counts as under way for this long. */
  readonly requestTimeoutMs: number;
  /** After the last call can have been answered, the client has this long to settle. */
  readonly settleGraceMs: number;
  /** Longest time a grant may ask its holder to wait before the first call, where that saves it asking again. */
  readonly longestSendInMs: number;
  /** How long a settle may have been on its way to the ledger. */
  readonly transitMs: number;
  /** When to ask again where unsettled calls, or places taken, are in the way. */
  readonly askAgainMs: number;
  readonly minuteMs: number;
  readonly dayMs: number;
  /** Start of the day in which an instant is counted: days begin as the account's own day limit does, else at UTC's. */
  readonly dayStartAt: (at: number) => number;
}

/** From `since` on (epoch ms) this was a limit's maximum. */
export interface MaxStep {
  readonly since: number;
  readonly max: number;
}

export interface LimitBook {
  readonly limit: Limit;
  /** Oldest first; the last one is in force. */
  readonly maxima: MaxStep[];
  readonly whole: Counter;
  /** What integrations may have of it; null where it is no limit of the whole account. */
  readonly terms: ShareTerms | null;
  /** For limits of a ticket or user: one counter for each that a call named. */
  readonly byKey: Map<string, Counter>;
  /** Calls of those who don't ask the ledger, by the CRM's word. */
  readonly foreign: ForeignBook;
  /** What the CRM says its maximum is. */
  readonly licence: LicenceBook;
}

export interface Hold {
  readonly id: string;
  readonly grantId: string;
  readonly integration: IntegrationName;
  /** Epoch ms. */
  readonly takenAt: number;
  /** Places taken without a grant only: the request that took them, so that it finds them again. */
  readonly requestId?: string;
}

export interface HoldBook {
  readonly limit: HoldLimit;
  readonly taken: Map<string, Hold>;
  closedUntil: number;
}

/** Everything the ledger knows of one account: enough to decide, nothing that isn't also in its tables. */
export interface AccountBooks {
  readonly name: AccountName;
  readonly version: number;
  readonly config: AccountConfig;
  readonly timing: Timing;
  readonly limits: readonly LimitBook[];
  readonly holds: readonly HoldBook[];
  /** Which of them each kind of call draws on. */
  readonly drawnBy: Readonly<
    Record<CallKind, { readonly limits: readonly LimitBook[]; readonly holds: readonly HoldBook[] }>
  >;
  /** Grants with open calls, oldest first. */
  readonly open: Map<string, Grant>;
  /** Until when a limit is closed for one integration only, epoch ms (see `closedFor`). */
  readonly closedForOne: Map<string, number>;
  /** Grants without open calls that are still remembered, in the order in which they closed; with when they did, epoch ms. */
  readonly past: Map<string, { readonly grant: Grant; readonly closedAt: number }>;
  /** Both, by `requestKey`. */
  readonly byRequest: Map<string, Grant>;
  /** Calls counted since usage was last stored. */
  readonly usage: PendingUsage;
  /** Requests that wait for their turn. Not recorded anywhere: who owns the ledger next is asked again. */
  readonly waiting: WaitingRequests;
  /** Whose requests operators have stopped for now. */
  paused: Paused;
}

export interface Paused {
  readonly account: boolean;
  readonly integrations: ReadonlySet<IntegrationName>;
}

/** A version of an account's configuration and when it came into force, epoch ms. */
export interface AccountVersion {
  readonly version: number;
  readonly appliedAt: number;
  readonly config: AccountConfig;
}

const VALID_FOR_MS = 10_000;
const SETTLE_GRACE_MS = 10_000;
const LEAST_SETTLE_GRACE_MS = 2_000;
const LONGEST_SEND_IN_MS = 2_000;
const TRANSIT_MS = 5_000;
const ASK_AGAIN_MS = 500;
/** A grant is remembered for this long after the last of its calls was settled, and as long as it has places. */
export const REMEMBERED_MS = 60_000;
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/** What is known of a limit from before. */
export interface KeptLimit {
  readonly whole: CounterState;
  readonly byKey: readonly (readonly [key: string, state: CounterState])[];
  readonly foreign: ForeignBook;
  /** Where the configuration is the same; else what it says counts. */
  readonly adopted: { readonly maxima: readonly MaxStep[]; readonly licence: LicenceBook } | null;
}

/**
 * Books for an account, empty but for what is kept of its limits. `versions` are all that were in force within its longest
 * window, oldest first.
 */
export function openBooks(
  versions: readonly AccountVersion[],
  keptOf: (limit: string) => KeptLimit | null = () => null,
): AccountBooks {
  const newest = versions.at(-1);
  if (!newest) throw new Error('an account without a version has no books');
  const { limits, holds } = limitsOf(newest.config);
  const steps = versions.map(({ appliedAt, config }) => ({ appliedAt, limits: limitsOf(config).limits }));
  const limitBooks = limits.map((limit): LimitBook => {
    const kept = keptOf(limit.name);
    const configured = steps.flatMap(({ appliedAt, limits: then }) => {
      const max = then.find(({ name }) => name === limit.name)?.max;
      return max === undefined ? [] : [{ since: appliedAt, max }];
    });
    const maxima = kept?.adopted ? [...kept.adopted.maxima] : configured;
    const maxSince = maxSinceOf(maxima);
    const byKey = (kept?.byKey ?? []).map(([key, state]) => [key, counterFor(limit, maxSince, state)] as const);
    return {
      limit,
      maxima,
      whole: counterFor(limit, maxSince, kept?.whole),
      byKey: new Map(byKey),
      terms: shareTermsOf(newest.config, limit),
      foreign: kept?.foreign ?? emptyForeign(),
      licence: kept?.adopted?.licence ?? emptyLicence(),
    };
  });
  keepForOthers(limitBooks, newest.config);
  const holdBooks = holds.map((limit): HoldBook => ({ limit, taken: new Map(), closedUntil: 0 }));
  return {
    name: newest.config.name,
    version: newest.version,
    config: newest.config,
    timing: timingOf(newest.config),
    limits: limitBooks,
    holds: holdBooks,
    drawnBy: drawnByKind(limitBooks, holdBooks),
    open: new Map(),
    closedForOne: new Map(),
    waiting: nobodyWaits(),
    paused: { account: false, integrations: new Set() },
    past: new Map(),
    byRequest: new Map(),
    usage: new PendingUsage(),
  };
}

/** Windows of the whole account keep calls free for those who don't ask. */
function keepForOthers(books: readonly LimitBook[], config: AccountConfig): void {
  const shortest = shortestTold(books);
  if (!shortest) return;
  const policy = { foreignPerMinute: config.quota.foreignPerMinute, minuteMs: timingOf(config).minuteMs };
  for (const book of books)
    if (book.limit.scope === 'account' && book.limit.lengthMs >= shortest.limit.lengthMs)
      book.whole.keepFree = (window, charged, from) => headroomFor(book, shortest, policy, { window, charged, from });
}

/** How long things take on an account. */
export function timingOf(config: AccountConfig): Timing {
  const { timeScale, requestTimeoutMs } = config.crm;
  const day = config.limits.find(({ name }) => name === 'day');
  return {
    validForMs: VALID_FOR_MS / timeScale,
    requestTimeoutMs,
    settleGraceMs: Math.max(SETTLE_GRACE_MS / timeScale, LEAST_SETTLE_GRACE_MS),
    longestSendInMs: Math.ceil(LONGEST_SEND_IN_MS / timeScale),
    transitMs: TRANSIT_MS,
    askAgainMs: Math.max(20, Math.ceil(ASK_AGAIN_MS / timeScale)),
    minuteMs: MINUTE_MS / timeScale,
    dayMs: DAY_MS / timeScale,
    dayStartAt: dayStarts(DAY_MS / timeScale, timeScale === 1 ? (day?.anchor ?? 'UTC') : 'UTC'),
  };
}

/** Midnights of a time zone are dear to work out, and nearly every instant asked for lies in the same day. */
function dayStarts(lengthMs: number, anchor: string): (at: number) => number {
  let last = { startsAt: 0, endsAt: 0 };
  return (at) => {
    if (at < last.startsAt || at >= last.endsAt) last = windowAt({ lengthMs, anchor }, at);
    return last.startsAt;
  };
}

/** Start of the minute in which an instant is counted. */
export function minuteAt({ minuteMs }: Timing, at: number): number {
  return Math.floor(at / minuteMs) * minuteMs;
}

/** A lowered maximum counts at once, a raised one from the next window: the least that was in force since the instant. */
export function maxSinceOf(maxima: readonly MaxStep[]): (startsAt: number) => number {
  return (startsAt) => {
    let least = maxima.at(-1)?.max ?? 0;
    for (let i = maxima.length - 1; i > 0 && maxima[i]!.since > startsAt; i--)
      least = Math.min(least, maxima[i - 1]!.max);
    return least;
  };
}

/** The limits that a kind of call draws on. */
export function limitsFor(books: AccountBooks, kind: CallKind): readonly LimitBook[] {
  return books.drawnBy[kind].limits;
}

/** The holds of which each call of a kind takes a place. */
export function holdsFor(books: AccountBooks, kind: CallKind): readonly HoldBook[] {
  return books.drawnBy[kind].holds;
}

/** Asked with every request, so worked out once. */
function drawnByKind(limits: readonly LimitBook[], holds: readonly HoldBook[]): AccountBooks['drawnBy'] {
  const drawn = CALL_KINDS.map((kind) => {
    const drawing = { limits: limits.filter((book) => draws(book.limit, kind)) };
    return [kind, { ...drawing, holds: holds.filter((book) => draws(book.limit, kind)) }] as const;
  });
  return Object.fromEntries(drawn) as unknown as AccountBooks['drawnBy'];
}

/** The counter that a call with this key is charged to; null where the limit is of tickets, users or organizations and it names none. */
export function counterOf(book: LimitBook, key: CallKey | null): Counter | null {
  const { limit } = book;
  switch (limit.scope) {
    case 'account':
    case 'endpoint':
      return book.whole;
    case 'ticket':
      return keyed(book, key?.ticket);
    case 'user':
      return keyed(book, key?.user);
    case 'organization':
      return keyed(book, key?.organization);
    default:
      throw new Error(`unknown scope ${String(limit.scope satisfies never)}`);
  }
}

function keyed(book: LimitBook, key: string | undefined): Counter | null {
  if (key === undefined) return null;
  let counter = book.byKey.get(key);
  if (!counter) {
    counter = counterFor(book.limit, maxSinceOf(book.maxima));
    book.byKey.set(key, counter);
  }
  return counter;
}

/** Where an account remembers who asked what. */
export function requestKey(integration: IntegrationName, requestId: string): string {
  return `${integration} ${requestId}`;
}

/** Enters a grant with open calls: found again by its id and by its request. Its calls are charged apart. */
export function enterGrant(books: AccountBooks, grant: Grant): void {
  books.open.set(grant.id, grant);
  books.byRequest.set(requestKey(grant.integration, grant.requestId), grant);
}

/** Enters a grant that has no open call any more: found again for as long as it is remembered. */
export function enterPast(books: AccountBooks, grant: Grant, closedAt: number): void {
  books.past.set(grant.id, { grant, closedAt });
  const key = requestKey(grant.integration, grant.requestId);
  const known = books.byRequest.get(key);
  // An id that was forgotten, and used again, is that of the newer grant.
  if (!known || known.grantedAt <= grant.grantedAt) books.byRequest.set(key, grant);
}

/** Lets a grant be of the past once none of its calls is open. */
export function leaveIfClosed(books: AccountBooks, grant: Grant, nowMs: number): void {
  if (grant.calls.some(({ state }) => state === 'open')) return;
  books.open.delete(grant.id);
  books.past.set(grant.id, { grant, closedAt: nowMs });
}

/** A grant that is open or remembered. */
export function findGrant(books: AccountBooks, id: string): Grant | null {
  return books.open.get(id) ?? books.past.get(id)?.grant ?? null;
}

/** Does any call of the grant have a place that nobody released? */
export function hasPlaces(books: AccountBooks, grant: Grant): boolean {
  return holdsFor(books, grant.kind).some(({ taken }) =>
    grant.calls.some((_, index) => taken.has(holdIdOf(grant.id, index))),
  );
}

/** Drops counters of windows that are over, and grants that need no longer be remembered. */
export function forgetPast(books: AccountBooks, nowMs: number): void {
  for (const book of books.limits) {
    book.whole.forget(nowMs);
    for (const [key, counter] of book.byKey) if (counter.forget(nowMs)) book.byKey.delete(key);
  }
  for (const [id, { grant, closedAt }] of books.past) {
    if (closedAt + REMEMBERED_MS > nowMs) break;
    if (hasPlaces(books, grant)) continue;
    books.past.delete(id);
    const key = requestKey(grant.integration, grant.requestId);
    if (books.byRequest.get(key) === grant) books.byRequest.delete(key);
  }
}
