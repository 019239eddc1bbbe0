import type { Granted, IntegrationName, Refused } from '#contracts';
import { type AccountBooks, enterGrant, holdsFor } from './books.js';
import { chargeOpen } from './charge.js';
import { type Ask, type Blocked, endsByItself, type Fit } from './fit.js';
import { countsOf, type Grant, holdIdOf, newGrant } from './grant.js';
import { grantedEntry } from './journal-entries.js';
import type { LedgerChanges } from './ledger-changes.js';
import { standings } from './standing.js';

/** What a new grant needs from outside: the ledger's clock (never running backwards) and an id never used before. */
export interface GrantMoment {
  readonly nowMs: number;
  readonly newId: () => string;
}

/** Grants what fits: charged to all its limits, its places taken, entered in the books and told. */
export function giveGrant(
  books: AccountBooks,
  ask: Ask,
  { calls, notBefore, wouldRefuse }: Pick<Fit, 'calls' | 'notBefore'> & Pick<Grant, 'wouldRefuse'>,
  { nowMs, newId }: GrantMoment,
  changes: LedgerChanges,
): Granted {
  const { integration, request } = ask;
  const { requestId, kind, priority, keys = null } = request;
  const asked = { id: newId(), integration, requestId, kind, priority, grantedAt: nowMs, notBefore, calls, keys };
  const grant = newGrant(wouldRefuse ? { ...asked, wouldRefuse } : asked, books.timing);
  applyGranted(books, grant);
  changes.event(books.name, integration, 'granted', grantedEntry(grant));
  return grantedAnswer(books, grant, nowMs);
}

/** A new grant's effects on the books; also when they are built again. */
export function applyGranted(books: AccountBooks, grant: Grant): void {
  chargeOpen(books, grant);
  takeHolds(books, grant);
  enterGrant(books, grant);
  books.usage.granted(grant);
}

/** Takes the places that a grant's calls occupy. */
function takeHolds(books: AccountBooks, grant: Grant): void {
  for (const { taken } of holdsFor(books, grant.kind))
    for (const index of grant.calls.keys()) {
      const { id: grantId, integration, grantedAt: takenAt } = grant;
      const id = holdIdOf(grantId, index);
      taken.set(id, { id, grantId, integration, takenAt });
    }
}

/** A grant, with what is left of its times. */
export function grantedAnswer(books: AccountBooks, grant: Grant, nowMs: number): Granted {
  const live = countsOf(grant).open > 0;
  const held = holdsFor(books, grant.kind).length > 0;
  const { wouldRefuse } = grant;
  const answer: Granted = {
    answer: 'granted',
    grantId: grant.id,
    calls: grant.calls.length,
    sendInMs: Math.max(0, grant.notBefore - nowMs),
    validForMs: live ? Math.max(0, grant.validUntil - nowMs) : 0,
    settleWithinMs: live ? Math.max(0, grant.settleBy - nowMs) : 0,
    holdIds: held ? grant.calls.map((_, index) => holdIdOf(grant.id, index)) : [],
    remaining: standings(books, nowMs, grant.kind, grant.integration),
  };
  return wouldRefuse ? { ...answer, wouldRefuse } : answer;
}

/** What is refused, and when asking again may help: no earlier than `fromMs`, and if all goes on as it is by `toMs`. */
export function refusedAnswer(
  { timing, limits, holds }: AccountBooks,
  blocked: Blocked,
  nowMs: number,
  callsBefore: number,
): Refused {
  const { limit, reason } = blocked;
  const earlyMs = endsByItself(reason) ? timing.longestSendInMs : 0;
  const certainMs = Math.max(1, Math.ceil(clearsBy(blocked, nowMs, timing) - nowMs - earlyMs));
  const retryInMs =
    reason === 'paused' ? timing.minuteMs : blocked.maySooner ? Math.min(certainMs, timing.askAgainMs) : certainMs;
  const book = limits.find((one) => one.limit.name === limit);
  const lengthMs = book?.limit.lengthMs ?? timing.minuteMs;
  const max = book?.limit.max ?? holds.find((one) => one.limit.name === limit)?.limit.max ?? 1;
  const toMs = Math.max(retryInMs, certainMs) + Math.floor(callsBefore / max) * lengthMs;
  return { answer: 'refused', limit, reason, retryInMs, eta: { fromMs: retryInMs, toMs } };
}

/** Nothing certain can be told of places, nor of a pause: then the last bound is a bulk job's usual time, or a day. */
function clearsBy({ reason, clearsAt }: Blocked, nowMs: number, timing: AccountBooks['timing']): number {
  const never = clearsAt === Number.MAX_SAFE_INTEGER;
  if (reason === 'paused') return nowMs + timing.dayMs;
  return never ? nowMs + timing.minuteMs : clearsAt;
}

/** What came of a request that waited. */
export interface Served {
  readonly integration: IntegrationName;
  readonly requestId: string;
  readonly answer: Granted | Refused;
}
