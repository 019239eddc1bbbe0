import type { AcquireAnswer, AcquireRequest, Granted, IntegrationName, Refused, Rejected } from '#contracts';
import { type AccountBooks, requestKey } from './books.js';
import { type Ask, type Blocked, fit, type Fit, MAX_CALLS_PER_GRANT, neverFits } from './fit.js';
import { giveGrant, grantedAnswer, type GrantMoment, refusedAnswer } from './give-grant.js';
import type { Grant } from './grant.js';
import type { LedgerChanges } from './ledger-changes.js';
import { callsBefore, serve } from './serve-waiting.js';
import { dequeue, enqueue, MAX_WAITING_REQUESTS, waiterOf } from './waiting.js';

export { MAX_CALLS_PER_GRANT } from './fit.js';

/**
 * Decides over every limit, share and place at once: either calls for as many as fit of `min..max`, charged to all of
 * them, or a refusal that charges nothing. The same request finds its grant, or its wait, again. What may wait and doesn't
 * fit waits: `serveWaiting` answers it. Nobody goes before those who wait, whether willing to wait or not.
 */
export function acquire(
  books: AccountBooks,
  integration: IntegrationName,
  request: AcquireRequest,
  moment: GrantMoment,
  changes: LedgerChanges,
): AcquireAnswer | 'waits' {
  const known = books.byRequest.get(requestKey(integration, request.requestId));
  if (known) return grantAgain(books, known, request, moment.nowMs);
  const ask = { integration, request };
  if (books.waiting.byRequest.size > 0) {
    const waiter = waiterOf(books.waiting, integration, request.requestId);
    if (waiter) return isSame(waiter.request, request) ? 'waits' : REUSED;
  }
  const problem = cannot(books, ask);
  if (problem) return problem;
  if (books.config.quota.mode === 'shadow') return grantAnyway(books, ask, moment, changes);
  const fitting = fit(books, ask, moment.nowMs);
  // What doesn't fit by itself doesn't fit once those before it are served either; what never does is told so.
  if (fitting.blocked) {
    const never = neverFits(books, ask);
    if (never !== null) return reject('never_fits', `${never} never allows ${integration} so many at once`);
    return waitOrRefuse(books, ask, { ...fitting, blocked: fitting.blocked }, moment.nowMs);
  }
  if (books.waiting.byRequest.size > 0) return takeTurn(books, ask, moment, changes);
  return giveGrant(books, ask, fitting, moment, changes);
}

type Misfit = Pick<Fit, 'short'> & { readonly blocked: Blocked };

function waitOrRefuse(books: AccountBooks, ask: Ask, { blocked, short }: Misfit, nowMs: number): Refused | 'waits' {
  const { integration, request } = ask;
  const { waiting } = books;
  if (request.waitMs > 0 && waiting.byRequest.size < MAX_WAITING_REQUESTS) {
    const waiter = enqueue(waiting, integration, request, nowMs + request.waitMs);
    waiter.blocked = blocked;
    waiter.stoppedByOwn = short.length === 0;
    // When it may be served isn't known until all are looked at.
    waiting.wakeAt = nowMs;
    return 'waits';
  }
  const before = waiting.byRequest.size === 0 ? 0 : callsBefore(books, { request, number: NEXT }, blocked.limit);
  return refusedAnswer(books, blocked, nowMs, before);
}

/** As the number of a request: behind all that wait. */
const NEXT = Number.MAX_SAFE_INTEGER;

/** Others wait: it stands in line with them, and those before it are served first. */
function takeTurn(books: AccountBooks, ask: Ask, moment: GrantMoment, changes: LedgerChanges): AcquireAnswer | 'waits' {
  const { integration, request } = ask;
  const { nowMs } = moment;
  const { firstDeadline } = books.waiting;
  const waiter = enqueue(books.waiting, integration, request, nowMs + request.waitMs);
  const granted = serve(books, moment, changes, waiter);
  if (granted) {
    books.waiting.firstDeadline = firstDeadline;
    return granted;
  }
  if (request.waitMs > 0 && books.waiting.byRequest.size <= MAX_WAITING_REQUESTS) return 'waits';
  const blocked = waiter.blocked ?? unserved(books, ask, nowMs);
  const answer = refusedAnswer(books, blocked, nowMs, callsBefore(books, waiter, blocked.limit));
  dequeue(books.waiting, waiter);
  books.waiting.firstDeadline = firstDeadline;
  return answer;
}

/** Requests of its own before it wait for the same, so it wasn't even tried. */
function unserved(books: AccountBooks, ask: Ask, nowMs: number): Blocked {
  const { blocked } = fit(books, ask, nowMs);
  const limit = blocked?.limit ?? books.drawnBy[ask.request.kind].limits[0]?.limit.name ?? '';
  return { limit, reason: 'others_wait', clearsAt: blocked?.clearsAt ?? nowMs, maySooner: true };
}

/** Shadow mode refuses nothing: what would be refused is granted at once, and told so. */
function grantAnyway(books: AccountBooks, ask: Ask, moment: GrantMoment, changes: LedgerChanges): Granted {
  const { nowMs } = moment;
  const never = neverFits(books, ask);
  const { calls, blocked } = fit(books, ask, nowMs);
  const refusing = never === null ? blocked : { limit: never, reason: 'limit_reached' as const };
  if (!refusing) return giveGrant(books, ask, { calls, notBefore: nowMs }, moment, changes);
  const { limit, reason } = refusing;
  const all = Math.min(ask.request.calls.max, MAX_CALLS_PER_GRANT);
  return giveGrant(books, ask, { calls: all, notBefore: nowMs, wouldRefuse: { limit, reason } }, moment, changes);
}

/** The grant that a request already has, with what is left of its times; a rejection where the request isn't the same. */
export function grantAgain(
  books: AccountBooks,
  grant: Grant,
  request: AcquireRequest,
  nowMs: number,
): Granted | Rejected {
  const { length } = grant.calls;
  const same = grant.kind === request.kind && length <= request.calls.max && length >= request.calls.min;
  return same ? grantedAnswer(books, grant, nowMs) : REUSED;
}

function isSame(waiting: AcquireRequest, request: AcquireRequest): boolean {
  const { kind, calls, priority } = waiting;
  return (
    kind === request.kind &&
    priority === request.priority &&
    calls.min === request.calls.min &&
    calls.max === request.calls.max
  );
}

/** What isn't understood, or never granted to anybody. */
function cannot(books: AccountBooks, ask: Ask): Rejected | null {
  if (!Object.hasOwn(books.config.integrations, ask.integration))
    return reject('unknown_integration', `${books.name} has no integration ${ask.integration}`);
  if (ask.request.calls.min > MAX_CALLS_PER_GRANT)
    return reject('never_fits', `one grant holds at most ${MAX_CALLS_PER_GRANT} calls; ask for fewer at a time`);
  return null;
}

const REUSED = reject(
  'request_id_reused',
  'this requestId was used for another request; make a new one for every new request',
);

function reject(code: string, message: string): Rejected {
  return { answer: 'rejected', code, message };
}
