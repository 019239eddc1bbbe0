import type { IntegrationName, Rejected, SettleAnswer, Settled, SettleRequest, UsedCall } from '#contracts';
import { type AccountBooks, holdsFor, leaveIfClosed, minuteAt } from './books.js';
import { freeReturned, placeUsed } from './charge.js';
import { type Call, countsOf, type Grant, holdIdOf, settledAnswer, type Span } from './grant.js';
import type { SettledEntry } from './journal-entries.js';
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
  const entry: SettledEntry = {
    grantId: grant.id,
    requestId: request.requestId,
    used: chosen.used.map((call, index) => {
      const { from, to } = placeOf(books, grant, call, request.used[index]!, moment);
      return [grant.calls.indexOf(call), from, to] as const;
    }),
    returned: chosen.returned.map((call) => grant.calls.indexOf(call)),
  };
  changes.event(books.name, integration, 'settled', entry);
  return applySettled(books, grant, entry, moment.nowMs);
}

/** Does what an entry says to the books; also when they are built again. */
export function applySettled(books: AccountBooks, grant: Grant, entry: SettledEntry, nowMs: number): Settled {
  for (const [index, from, to] of entry.used) {
    // An answer that can't have come yet is counted where the call left.
    const minute = minuteAt(books.timing, to > nowMs ? from : to);
    placeUsed(books, grant, grant.calls[index]!, { from, to });
    books.usage.closed(grant, 'used', minute);
  }
  for (const index of entry.returned) {
    freeReturned(books, grant, grant.calls[index]!);
    books.usage.closed(grant, 'returned', grant.minute);
    freeHold(books, grant, index);
  }
  const answer = settledAnswer(grant, false);
  grant.settles.push({ requestId: entry.requestId, answer });
  leaveIfClosed(books, grant, nowMs);
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
function freeHold(books: AccountBooks, grant: Grant, callIndex: number): void {
  for (const { taken } of holdsFor(books, grant.kind)) taken.delete(holdIdOf(grant.id, callIndex));
}

function reject(code: string, message: string): Rejected {
  return { answer: 'rejected', code, message };
}
