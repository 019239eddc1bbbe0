import type { IntegrationName, Rejected, SettleAnswer, SettleRequest, UsedCall } from '#contracts';
import { type AccountBooks, bucketsAt, holdsFor, leaveIfClosed } from './books.js';
import { freeReturned, placeUsed } from './charge.js';
import { type Call, countsOf, type Grant, holdIdOf, settledAnswer, type Span } from './grant.js';
import type { LedgerChanges } from './ledger-changes.js';

/** When a settle is decided, and how long it had been in the ledger's hands by then. */
export interface SettleMoment {
  readonly nowMs: number;
  /** Between the request's arrival and `nowMs`; the durations in it count back from before that. */
  readonly heldMs: number;
}

/**
 * Says per call whether it was used or returned. Used calls take the grant's calls in order (or the ones they name),
 * returned ones those left, from the end. The same requestId gets the same answer; what has expired stays counted.
 */
export function settle(
  books: AccountBooks,
  integration: IntegrationName,
  grant: Grant | null,
  request: SettleRequest,
  moment: SettleMoment,
  changes: LedgerChanges,
): SettleAnswer {
  if (!grant || grant.integration !== integration)
    return reject('unknown_grant', 'no such grant, or it is no longer remembered; nothing is changed by this');
  const before = grant.settles.find(({ requestId }) => requestId === request.requestId);
  if (before) return before.answer;
  const { open, expired } = countsOf(grant);
  const asked = request.used.length + request.returned;
  if (asked > open && expired > 0) return settledAnswer(grant, true);
  if (asked > open) return reject('too_many_calls', `${asked} calls to settle, but ${open} of this grant are open`);
  const chosen = chooseCalls(grant, request);
  if (!chosen) return reject('unknown_call', 'a used call names one that this grant has not, or that is settled');
  if (asked === 0) return settledAnswer(grant, false);
  chosen.used.forEach((call, index) => {
    const within = placeOf(books, grant, call, request.used[index]!, moment);
    const { minute, day } = bucketsAt(books.timing, within.to > moment.nowMs ? within.from : within.to);
    placeUsed(books, grant, call, within);
    changes.callClosed(books.name, grant, call, minute, day);
  });
  for (const call of chosen.returned) {
    freeReturned(books, grant, call);
    changes.callClosed(books.name, grant, call, grant.minute, grant.day);
    freeHold(books, grant, call, changes);
  }
  const answer = settledAnswer(grant, false);
  grant.settles.push({ requestId: request.requestId, answer });
  leaveIfClosed(books, grant);
  changes.grantChanged(books.name, grant);
  changes.event(books.name, integration, 'settled', {
    grantId: grant.id,
    requestId: request.requestId,
    usedAt: chosen.used.map(({ span }) => (span.to > moment.nowMs ? span.from : span.to)),
    returned: request.returned,
  });
  return answer;
}

/** Which of the grant's calls a settle means; null where it names one that isn't open. */
function chooseCalls(
  grant: Grant,
  request: SettleRequest,
): { readonly used: Call[]; readonly returned: Call[] } | null {
  const open = grant.calls.filter(({ state }) => state === 'open');
  const named = new Set<Call>();
  for (const { call } of request.used) {
    if (call === undefined) continue;
    const found = grant.calls[call];
    if (!found || found.state !== 'open' || named.has(found)) return null;
    named.add(found);
  }
  const left = open.filter((call) => !named.has(call));
  const used = request.used.map(({ call }) => (call === undefined ? left.shift()! : grant.calls[call]!));
  return { used, returned: request.returned === 0 ? [] : left.slice(-request.returned) };
}

/**
 * Where a call arrived: not before it may have left, not after its answer. How long the settle travelled isn't known, so
 * the earlier end lies `transitMs` further back; that can only touch windows which are over.
 */
function placeOf(books: AccountBooks, grant: Grant, call: Call, used: UsedCall, { nowMs, heldMs }: SettleMoment): Span {
  const { timing } = books;
  const toldAt = nowMs - heldMs;
  const earliest = Math.floor(toldAt - used.sentAgoMs - timing.transitMs);
  const from = Math.min(Math.max(call.span.from, earliest), call.span.to);
  if (used.answeredAgoMs === null) return { from, to: call.span.to };
  const answered = Math.ceil(toldAt - used.answeredAgoMs);
  return { from, to: Math.max(from, Math.min(call.span.to, answered)) };
}

/** A bulk call that is not made takes no place. */
function freeHold(books: AccountBooks, grant: Grant, call: Call, changes: LedgerChanges): void {
  const id = holdIdOf(grant.id, grant.calls.indexOf(call));
  for (const { taken } of holdsFor(books, grant.kind))
    if (taken.delete(id)) changes.holdsReleased.push({ account: books.name, holdId: id });
}

function reject(code: string, message: string): Rejected {
  return { answer: 'rejected', code, message };
}
