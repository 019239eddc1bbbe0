import type { AcquireRequest, IntegrationName, RefusalReason } from '#contracts';
import { isCountedByKey, type KeyScope } from '#limits';
import { type AccountBooks, counterOf, type HoldBook, holdsFor, type LimitBook, limitsFor } from './books.js';
import { closedFor } from './closing.js';
import type { Counter } from './counter.js';
import { boundsAt, withheldFrom } from './foreign.js';
import type { Span } from './grant.js';
import { maxInForce } from './licence.js';
import { capOf, guaranteeIn, mayHave, type ShareAsk, shareClearsAt, whyShort } from './share.js';

/*
 * How many of the calls asked for fit: into every limit that they draw on, into their integration's share of it, and into
 * the places they need. Nothing is changed by asking.
 */

/** Most calls one grant holds; who needs more asks again. */
export const MAX_CALLS_PER_GRANT = 1_000;

/** A request, and whose it is. */
export interface Ask {
  readonly integration: IntegrationName;
  readonly request: AcquireRequest;
}

/** What is in the way of a request longest. */
export interface Blocked {
  readonly limit: string;
  readonly reason: RefusalReason;
  /** Epoch ms. Not later than this it is out of the way, unless others are granted calls before. */
  readonly clearsAt: number;
  /** True where it may be out of the way at any moment before. */
  readonly maySooner: boolean;
}

export interface Fit {
  readonly calls: number;
  readonly notBefore: number;
  readonly blocked: Blocked | null;
  /**
   * What has too little room for the request, so that those behind it may not take that room. Empty where it is stopped by
   * something of its own, which nobody else's waiting would help: its cap, a ticket's or user's limit, a pause.
   */
  readonly short: readonly (LimitBook | HoldBook)[];
}

/** What goes before a request of those who wait. */
export interface Turn {
  /** For which limits and places somebody before it waits: who, and when the first of them may have what it needs. */
  readonly stopped: ReadonlyMap<LimitBook | HoldBook, { readonly by: ReadonlySet<string>; readonly clearsAt: number }>;
  /** Most calls that one grant of this turn takes of a limit that has room for so many. */
  readonly portionOf: (book: LimitBook | HoldBook, room: number) => number;
}

/**
 * How many calls fit now. Where what is in the way ends so soon that being told to wait costs less than asking again, how
 * many fit from then on.
 */
export function fit(books: AccountBooks, ask: Ask, nowMs: number, turn: Turn | null = null): Fit {
  const now = fitAt(books, ask, { nowMs, notBefore: nowMs }, turn);
  const { blocked } = now;
  if (!blocked || !endsByItself(blocked.reason)) return now;
  if (blocked.clearsAt - nowMs > books.timing.longestSendInMs) return now;
  return fitAt(books, ask, { nowMs, notBefore: Math.max(nowMs, blocked.clearsAt) }, turn);
}

/** Is it over at an instant, so that a grant may say to wait until then? What decays may be asked for by its owner before. */
export function endsByItself(reason: RefusalReason): boolean {
  return reason === 'limit_reached' || reason === 'closed_by_crm' || reason === 'cap_reached';
}

/** From the first instant at which a call may leave to the last at which it may arrive. */
export function spanFrom({ timing }: AccountBooks, notBefore: number): Span {
  return { from: notBefore, to: notBefore + timing.validForMs + timing.requestTimeoutMs };
}

interface When {
  readonly nowMs: number;
  readonly notBefore: number;
}

function fitAt(books: AccountBooks, ask: Ask, when: When, turn: Turn | null): Fit {
  const { integration, request } = ask;
  const fitting = new Fitting(request.calls.min, Math.min(request.calls.max, MAX_CALLS_PER_GRANT));
  const { account, integrations } = books.paused;
  if (account || integrations.has(integration))
    fitting.stop(0, { limit: '', reason: 'paused', clearsAt: Number.MAX_SAFE_INTEGER, maySooner: true }, null);
  const at: At = { nowMs: when.nowMs, notBefore: when.notBefore, span: spanFrom(books, when.notBefore), turn };
  for (const book of limitsFor(books, request.kind)) {
    if (!isCountedByKey(book.limit.scope)) fitWhole(books, ask, book, at, fitting);
    else if (request.keys) fitKeys(books, ask, book, book.limit.scope, at, fitting);
  }
  for (const book of holdsFor(books, request.kind)) fitPlaces(books, ask, book, at, fitting);
  return fitting.result(when.notBefore);
}

/** The fewest calls that anything leaves, and what is in the way longest. */
class Fitting {
  private blocked: Blocked | null = null;
  private own = false;
  private readonly short: (LimitBook | HoldBook)[] = [];

  constructor(
    readonly min: number,
    public calls: number,
  ) {}

  /** So many fit; if fewer than needed that is why, and whose room is too small (null = nobody else could use it). */
  stop(fitting: number, block: Blocked, book: LimitBook | HoldBook | null): void {
    this.calls = Math.min(this.calls, fitting);
    if (fitting >= this.min) return;
    if (!this.blocked || block.clearsAt > this.blocked.clearsAt) this.blocked = block;
    if (book) this.short.push(book);
    else this.own = true;
  }

  result(notBefore: number): Fit {
    return { calls: this.calls, notBefore, blocked: this.blocked, short: this.own ? NOTHING : this.short };
  }
}

const NOTHING: Fit['short'] = [];

interface At extends When {
  readonly span: Span;
  readonly turn: Turn | null;
}

/** A limit that counts all calls together. */
function fitWhole(books: AccountBooks, ask: Ask, book: LimitBook, at: At, fitting: Fitting): void {
  const { whole, limit, terms } = book;
  const { min } = fitting;
  stopWhereClosed(books, ask, book, at, fitting);
  const shareAsk = terms ? shareAskOf(ask) : null;
  const share = shareAsk ? mayHave(book, shareAsk, at.span, at.nowMs) : Number.MAX_SAFE_INTEGER;
  // A fixed window's share never is more than its room: where it is enough, as it mostly is, the room need not be worked out.
  const isEnough = share >= fitting.calls && limit.kind === 'fixed' && shareAsk !== null && !at.turn;
  if (isEnough && !hasOwnWord(book, ask.integration)) return;
  const room = whole.room(at.span, min);
  stopByOwnWord(ask, book, room.calls, at, fitting);
  const own = shareAsk ? share : room.calls;
  const calls = Math.min(room.calls, own);
  if (calls < min) {
    const { clearsAt, maySooner } = room;
    const full: Blocked = { limit: limit.name, reason: 'limit_reached', clearsAt, maySooner };
    const block = shareAsk && own < min ? shareBlock(book, shareAsk, at, room.calls < min ? full : null) : full;
    fitting.stop(calls, block, block.reason === 'cap_reached' ? null : book);
  }
  const stopped = at.turn?.stopped.get(book);
  if (stopped) {
    // What is guaranteed to it nobody before it could have had either.
    const own = stopped.by.has(ask.integration) ? 0 : guaranteeIn(book, ask.integration, at.span, at.nowMs);
    fitting.stop(Math.min(calls, own), othersWait(limit.name, stopped.clearsAt), book);
  } else if (at.turn) fitting.calls = Math.min(fitting.calls, Math.max(min, at.turn.portionOf(book, calls)));
  fitting.calls = Math.min(fitting.calls, calls);
}

function shareAskOf({ integration, request }: Ask): ShareAsk {
  return { integration, priority: request.priority, min: request.calls.min };
}

/** What of its share is in the way; `full` where the limit is as well. */
function shareBlock(book: LimitBook, ask: ShareAsk, { span, nowMs }: At, full: Blocked | null): Blocked {
  const { limit, whole, terms } = book;
  if (full && !terms!.caps.has(ask.integration)) return full;
  const short = whyShort(book, ask, span, nowMs);
  const maySooner = short.open > 0;
  if (short.reason === 'cap_reached') {
    const clearsAt = short.endsAt + limit.edgeMs;
    return { limit: limit.name, reason: 'cap_reached', clearsAt, maySooner };
  }
  if (full) return full;
  if (short.reason === 'limit_reached')
    return { limit: limit.name, reason: 'limit_reached', clearsAt: short.endsAt + limit.edgeMs, maySooner };
  const clearsAt = whole.windowAt(nowMs) ? shareClearsAt(book, ask, span) : short.endsAt;
  return { limit: limit.name, reason: short.reason, clearsAt, maySooner };
}

function othersWait(limit: string, clearsAt: number): Blocked {
  return { limit, reason: 'others_wait', clearsAt, maySooner: true };
}

function stopWhereClosed(books: AccountBooks, { integration }: Ask, book: LimitBook, at: At, fitting: Fitting): void {
  const { name } = book.limit;
  const { closedUntil } = book.whole;
  if (closedUntil > at.notBefore) fitting.stop(0, closedByCrm(name, closedUntil), book);
  if (books.closedForOne.size === 0) return;
  const until = closedFor(books, integration, name, '');
  if (until > at.notBefore) fitting.stop(0, closedByCrm(name, until), null);
}

/** Is the integration held to something that it was told itself? */
function hasOwnWord({ foreign }: LimitBook, integration: IntegrationName): boolean {
  return foreign.untrusted[integration] !== undefined;
}

/** An integration that isn't trusted is held to what it was told itself was left; nobody else is. */
function stopByOwnWord({ integration }: Ask, book: LimitBook, room: number, { nowMs }: At, fitting: Fitting): void {
  const withheld = withheldFrom(book, integration, nowMs);
  if (withheld === 0) return;
  const { name, lengthMs, edgeMs } = book.limit;
  const clearsAt = Math.min(boundsAt(book, nowMs).endsAt, nowMs + lengthMs) + edgeMs;
  const block: Blocked = { limit: name, reason: 'limit_reached', clearsAt, maySooner: false };
  fitting.stop(Math.max(0, room - withheld), block, null);
}

function closedByCrm(limit: string, clearsAt: number): Blocked {
  return { limit, reason: 'closed_by_crm', clearsAt, maySooner: false };
}

/** Calls are granted in the order of their keys: the first whose ticket or user has no room ends the grant. */
function fitKeys(books: AccountBooks, ask: Ask, book: LimitBook, scope: KeyScope, at: At, fitting: Fitting): void {
  const { name } = book.limit;
  const keys = ask.request.keys ?? [];
  const counts = new Map<Counter, number>();
  for (let before = 0; before < fitting.calls; before++) {
    const key = keys[before];
    const value = key?.[scope];
    const counter = key ? counterOf(book, key) : null;
    if (!counter || value === undefined) continue;
    const count = (counts.get(counter) ?? 0) + 1;
    counts.set(counter, count);
    const { calls, clearsAt, maySooner } = counter.room(at.span, count);
    if (calls < count) fitting.stop(before, { limit: name, reason: 'limit_reached', clearsAt, maySooner }, null);
    const forOne = books.closedForOne.size === 0 ? 0 : closedFor(books, ask.integration, name, value);
    const until = Math.max(counter.closedUntil, forOne);
    if (until > at.notBefore) fitting.stop(before, closedByCrm(name, until), null);
  }
}

/** Places come free when their holder says so, at no certain time. */
function fitPlaces(books: AccountBooks, ask: Ask, book: HoldBook, at: At, fitting: Fitting): void {
  const { name, max } = book.limit;
  const { min } = fitting;
  const free = Math.max(0, max - book.taken.size);
  const taken: Blocked = {
    limit: name,
    reason: 'places_taken',
    clearsAt: Number.MAX_SAFE_INTEGER,
    maySooner: true,
  };
  fitting.stop(free, taken, book);
  const soonest = at.nowMs + books.timing.askAgainMs;
  if (book.closedUntil > at.notBefore) fitting.stop(0, closedByCrm(name, Math.max(book.closedUntil, soonest)), book);
  const forOne = books.closedForOne.size === 0 ? 0 : closedFor(books, ask.integration, name, '');
  if (forOne > at.notBefore) fitting.stop(0, closedByCrm(name, Math.max(forOne, soonest)), null);
  const stopped = at.turn?.stopped.get(book);
  if (stopped) fitting.stop(0, othersWait(name, stopped.clearsAt), book);
  else if (at.turn) fitting.calls = Math.min(fitting.calls, Math.max(min, at.turn.portionOf(book, free)));
}

/** What no waiting can help: the limit or kind of places that never has so much. */
export function neverFits(books: AccountBooks, { integration, request }: Ask): string | null {
  const { min } = request.calls;
  for (const book of limitsFor(books, request.kind)) {
    const { name, scope } = book.limit;
    const max = maxInForce(book);
    const most = isCountedByKey(scope) ? mostOfOneKey(request, scope) : min;
    if (most > max || most > capOf(book, integration, max)) return name;
  }
  for (const { limit } of holdsFor(books, request.kind)) if (min > limit.max) return limit.name;
  return null;
}

function mostOfOneKey(request: AcquireRequest, scope: KeyScope): number {
  if (!request.keys) return 0;
  const counts = new Map<string, number>();
  let most = 0;
  for (let i = 0; i < request.calls.min; i++) {
    const value = request.keys[i]?.[scope];
    if (value === undefined) continue;
    const count = (counts.get(value) ?? 0) + 1;
    counts.set(value, count);
    if (count > most) most = count;
  }
  return most;
}
