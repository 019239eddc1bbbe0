import type { CallKind, IntegrationName, LimitStanding } from '#contracts';
import { isCountedByKey } from '#limits';
import { type AccountBooks, holdsFor, type LimitBook, limitsFor } from './books.js';
import { mayHave } from './share.js';

/** In windows longer than so many of the account's minutes an integration is told at which pace its calls last. */
const LONGEST_WITHOUT_PACE_MINUTES = 60;

/**
 * How the limits and holds that a kind of call draws on (or all of them) stand now; for an integration with the pace at
 * which what it may have lasts. Limits counted by key are left out.
 */
export function standings(
  books: AccountBooks,
  nowMs: number,
  kind: CallKind | null,
  integration: IntegrationName | null = null,
): LimitStanding[] {
  const limits = kind === null ? books.limits : limitsFor(books, kind);
  const holds = kind === null ? [] : holdsFor(books, kind);
  const standing: LimitStanding[] = [];
  for (const book of limits)
    if (!isCountedByKey(book.limit.scope)) standing.push(standingOf(books, book, nowMs, integration));
  for (const { limit, taken } of holds)
    standing.push({
      limit: limit.name,
      max: limit.max,
      remaining: Math.max(0, limit.max - taken.size),
      resetsInMs: null,
    });
  return standing;
}

function standingOf(
  books: AccountBooks,
  book: LimitBook,
  nowMs: number,
  integration: IntegrationName | null,
): LimitStanding {
  const { limit, whole } = book;
  const { max, remaining, resetsAt } = whole.standing(nowMs);
  const closed = whole.closedUntil > nowMs;
  const left = closed ? 0 : remaining;
  const resetsInMs = (closed ? Math.max(whole.closedUntil, resetsAt) : resetsAt) - nowMs;
  const paced = limit.lengthMs > books.timing.minuteMs * LONGEST_WITHOUT_PACE_MINUTES;
  if (integration === null || !paced || limit.kind !== 'fixed' || !book.terms)
    return { limit: limit.name, max, remaining: left, resetsInMs };
  return { limit: limit.name, max, remaining: left, resetsInMs, paceMs: paceOf(book, nowMs, integration) };
}

/** Time left ÷ what the integration may still have; the whole of the time where it may have none. */
function paceOf(book: LimitBook, nowMs: number, integration: IntegrationName): number {
  const asker = { integration, priority: 'normal' as const };
  const left = Math.max(0, (book.whole.windowAt(nowMs)?.endsAt ?? nowMs) - nowMs);
  // In this window alone: without its edges.
  const within = { from: nowMs + book.limit.edgeMs, to: nowMs - book.limit.edgeMs };
  const calls = mayHave(book, asker, within, nowMs);
  return Math.ceil(left / Math.max(1, calls));
}
