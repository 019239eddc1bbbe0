import type { CallKind, LimitStanding } from '#contracts';
import { isCountedByKey } from '#limits';
import { type AccountBooks, holdsFor, limitsFor } from './books.js';

/** How the limits and holds that a kind of call draws on (or all of them) stand now. Limits counted by key are left out. */
export function standings(books: AccountBooks, nowMs: number, kind: CallKind | null): LimitStanding[] {
  const limits = kind === null ? books.limits : limitsFor(books, kind);
  const holds = kind === null ? [] : holdsFor(books, kind);
  const standing: LimitStanding[] = [];
  for (const { limit, whole } of limits) {
    if (isCountedByKey(limit.scope)) continue;
    const { max, remaining, resetsAt } = whole.standing(nowMs);
    const closed = whole.closedUntil > nowMs;
    standing.push({
      limit: limit.name,
      max,
      remaining: closed ? 0 : remaining,
      resetsInMs: (closed ? Math.max(whole.closedUntil, resetsAt) : resetsAt) - nowMs,
    });
  }
  for (const { limit, taken } of holds)
    standing.push({
      limit: limit.name,
      max: limit.max,
      remaining: Math.max(0, limit.max - taken.size),
      resetsInMs: null,
    });
  return standing;
}
