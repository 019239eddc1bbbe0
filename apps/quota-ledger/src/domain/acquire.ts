import type {
  AcquireAnswer,
  AcquireRequest,
  CallKey,
  Granted,
  IntegrationName,
  RefusalReason,
  Refused,
  Rejected,
} from '#contracts';
import { isCountedByKey, type KeyScope } from '#limits';
import { type AccountBooks, bucketsAt, counterOf, enterGrant, holdsFor, limitsFor, requestKey } from './books.js';
import { chargeOpen } from './charge.js';
import { countsOf, type Grant, holdIdOf, type Span } from './grant.js';
import type { LedgerChanges } from './ledger-changes.js';
import { standings } from './standing.js';

/** Most calls one grant holds; who needs more asks again. */
export const MAX_CALLS_PER_GRANT = 1_000;

/** What a decision needs from outside: the ledger's clock (never running backwards) and a new grant's id. */
export interface Moment {
  readonly nowMs: number;
  readonly newId: () => string;
  /** The grant that this request got before, where the tables know one with no open calls. */
  readonly known: Grant | null;
}

/**
 * Decides over every limit and hold at once: either calls for as many as fit of `min..max`, charged to all of them, or a
 * refusal that charges nothing. The same request finds its grant again.
 */
export function acquire(
  books: AccountBooks,
  integration: IntegrationName,
  request: AcquireRequest,
  moment: Moment,
  changes: LedgerChanges,
): AcquireAnswer {
  const known = books.openByRequest.get(requestKey(integration, request.requestId)) ?? moment.known;
  if (known) return grantAgain(books, known, request, moment.nowMs);
  const problem = neverFits(books, integration, request);
  if (problem) return problem;
  const { nowMs } = moment;
  let fit = fitAt(books, request, nowMs, nowMs);
  const waitMs = (fit.blocked?.clearsAt ?? 0) - nowMs;
  // What is full ends so soon that being told to wait costs the holder less than asking again.
  if (fit.blocked && waitMs <= books.timing.longestSendInMs)
    fit = fitAt(books, request, nowMs, Math.max(nowMs, fit.blocked.clearsAt));
  if (fit.blocked) return refusal(books, fit.blocked, nowMs);
  const grant = makeGrant(books, integration, request, fit, moment);
  chargeOpen(books, grant);
  takeHolds(books, grant, changes);
  enterGrant(books, grant);
  changes.grantMade(books.name, grant);
  changes.event(books.name, integration, 'granted', {
    grantId: grant.id,
    requestId: grant.requestId,
    kind: grant.kind,
    priority: grant.priority,
    calls: grant.calls.length,
    grantedAt: grant.grantedAt,
    settleBy: grant.settleBy,
  });
  return grantedAnswer(books, grant, nowMs);
}

/** The grant that a request already has, with what is left of its times; a rejection where the request isn't the same. */
export function grantAgain(
  books: AccountBooks,
  grant: Grant,
  request: AcquireRequest,
  nowMs: number,
): Granted | Rejected {
  const { length } = grant.calls;
  if (grant.kind !== request.kind || length > request.calls.max || length < request.calls.min)
    return {
      answer: 'rejected',
      code: 'request_id_reused',
      message: 'this requestId was used for another request; make a new one for every new request',
    };
  return grantedAnswer(books, grant, nowMs);
}

function grantedAnswer(books: AccountBooks, grant: Grant, nowMs: number): Granted {
  const live = countsOf(grant).open > 0;
  const held = holdsFor(books, grant.kind).length > 0;
  return {
    answer: 'granted',
    grantId: grant.id,
    calls: grant.calls.length,
    sendInMs: Math.max(0, grant.notBefore - nowMs),
    validForMs: live ? Math.max(0, grant.validUntil - nowMs) : 0,
    settleWithinMs: live ? Math.max(0, grant.settleBy - nowMs) : 0,
    holdIds: held ? grant.calls.map((_, index) => holdIdOf(grant.id, index)) : [],
    remaining: standings(books, nowMs, grant.kind),
  };
}

interface Blocked {
  readonly limit: string;
  readonly reason: RefusalReason;
  readonly clearsAt: number;
  readonly maySooner: boolean;
}

interface Fit {
  readonly calls: number;
  readonly notBefore: number;
  readonly blocked: Blocked | null;
}

/** How many calls fit if the first leaves at `notBefore`; where fewer than asked for do, what is in the way longest. */
function fitAt(books: AccountBooks, request: AcquireRequest, nowMs: number, notBefore: number): Fit {
  const { min, max } = request.calls;
  const span = spanFrom(books, notBefore);
  let calls = Math.min(max, MAX_CALLS_PER_GRANT);
  let blocked: Blocked | null = null;
  const bound = (fitting: number, block: Blocked): void => {
    calls = Math.min(calls, fitting);
    if (fitting < min && (!blocked || block.clearsAt > blocked.clearsAt)) blocked = block;
  };
  for (const book of limitsFor(books, request.kind)) {
    const { name, scope } = book.limit;
    const needs = isCountedByKey(scope) ? request.keys : undefined;
    for (const { counter, from, count } of needs ? keyedNeeds(book, needs, calls) : [wholeNeed(book, min)]) {
      if (!counter) continue;
      const room = counter.room(span, Math.max(1, count));
      const fitting = needs ? (room.calls >= count ? calls : from) : room.calls;
      bound(fitting, { limit: name, reason: 'limit_reached', clearsAt: room.clearsAt, maySooner: room.maySooner });
      if (counter.closedUntil > notBefore)
        bound(needs ? from : 0, {
          limit: name,
          reason: 'closed_by_crm',
          clearsAt: counter.closedUntil,
          maySooner: false,
        });
    }
  }
  for (const { limit, taken, closedUntil } of holdsFor(books, request.kind)) {
    const soonest = nowMs + books.timing.askAgainMs;
    const free = Math.max(0, limit.max - taken.size);
    bound(free, { limit: limit.name, reason: 'places_taken', clearsAt: Number.MAX_SAFE_INTEGER, maySooner: true });
    if (closedUntil > notBefore)
      bound(0, {
        limit: limit.name,
        reason: 'closed_by_crm',
        clearsAt: Math.max(closedUntil, soonest),
        maySooner: false,
      });
  }
  return { calls, notBefore, blocked };
}

interface Need {
  readonly counter: ReturnType<typeof counterOf>;
  /** How many calls could still be granted if this need is not met. */
  readonly from: number;
  /** How many calls of this key there are among the first calls, up to and including this one. */
  readonly count: number;
}

type LimitBook = Parameters<typeof counterOf>[0];

function wholeNeed(book: LimitBook, min: number): Need {
  return { counter: counterOf(book, null), from: 0, count: min };
}

/** Calls are granted in the order of their keys: the first whose ticket or user has no room ends the grant. */
function* keyedNeeds(book: LimitBook, keys: readonly CallKey[], calls: number): Generator<Need> {
  const counts = new Map<NonNullable<Need['counter']>, number>();
  for (const [from, key] of keys.slice(0, calls).entries()) {
    const counter = counterOf(book, key);
    if (!counter) continue;
    const count = (counts.get(counter) ?? 0) + 1;
    counts.set(counter, count);
    yield { counter, from, count };
  }
}

function spanFrom({ timing }: AccountBooks, notBefore: number): Span {
  return { from: notBefore, to: notBefore + timing.validForMs + timing.requestTimeoutMs };
}

function makeGrant(
  books: AccountBooks,
  integration: IntegrationName,
  request: AcquireRequest,
  { calls, notBefore }: Fit,
  { nowMs, newId }: Moment,
): Grant {
  const span = spanFrom(books, notBefore);
  return {
    id: newId(),
    integration,
    requestId: request.requestId,
    kind: request.kind,
    priority: request.priority,
    grantedAt: nowMs,
    notBefore,
    validUntil: notBefore + books.timing.validForMs,
    arrivesBy: span.to,
    settleBy: span.to + books.timing.settleGraceMs,
    ...bucketsAt(books.timing, nowMs),
    calls: Array.from({ length: calls }, (_, index) => ({
      state: 'open' as const,
      span,
      key: request.keys?.[index] ?? null,
    })),
    settles: [],
  };
}

/** Takes the places that a grant's calls occupy. */
export function takeHolds(books: AccountBooks, grant: Grant, changes: LedgerChanges): void {
  for (const { limit, taken } of holdsFor(books, grant.kind))
    for (const index of grant.calls.keys()) {
      const { id: grantId, integration, grantedAt: takenAt } = grant;
      const hold = { id: holdIdOf(grantId, index), grantId, integration, takenAt };
      taken.set(hold.id, hold);
      changes.holdsTaken.push({ ...hold, account: books.name, limit: limit.name });
    }
}

function refusal({ timing }: AccountBooks, blocked: Blocked, nowMs: number): Refused {
  const certainMs = Math.max(1, Math.ceil(blocked.clearsAt - nowMs - timing.longestSendInMs));
  const retryInMs = blocked.maySooner ? Math.min(certainMs, timing.askAgainMs) : certainMs;
  // Places come free when their holder says so: nothing certain can be told, so the last bound is a bulk job's usual time.
  const toMs = blocked.reason === 'places_taken' ? Math.max(retryInMs, timing.minuteMs) : certainMs;
  return {
    answer: 'refused',
    limit: blocked.limit,
    reason: blocked.reason,
    retryInMs,
    eta: { fromMs: retryInMs, toMs: Math.max(retryInMs, toMs) },
  };
}

/** What no waiting can help: told apart from a refusal, so that nobody asks for ever. */
function neverFits(books: AccountBooks, integration: IntegrationName, request: AcquireRequest): Rejected | null {
  if (!Object.hasOwn(books.config.integrations, integration))
    return reject('unknown_integration', `${books.name} has no integration ${integration}`);
  const { min } = request.calls;
  if (min > MAX_CALLS_PER_GRANT)
    return reject('never_fits', `one grant holds at most ${MAX_CALLS_PER_GRANT} calls; ask for fewer at a time`);
  for (const book of limitsFor(books, request.kind)) {
    const { name, max, scope } = book.limit;
    const most = isCountedByKey(scope) ? mostOfOneKey(request, scope) : min;
    if (most > max) return reject('never_fits', `limit ${name} never allows more than ${max} calls at once`);
  }
  for (const { limit } of holdsFor(books, request.kind))
    if (min > limit.max) return reject('never_fits', `${limit.name} never has more than ${limit.max} places`);
  return null;
}

function mostOfOneKey(request: AcquireRequest, scope: KeyScope): number {
  const counts = new Map<string, number>();
  for (const key of request.keys?.slice(0, request.calls.min) ?? []) {
    const value = key[scope];
    if (value !== undefined) counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  return Math.max(0, ...counts.values());
}

function reject(code: string, message: string): Rejected {
  return { answer: 'rejected', code, message };
}
