import type { ForeignStanding, LimitShare, ShareStanding } from '#contracts';
import { isCountedByKey } from '#limits';
import type { AccountBooks, LimitBook } from './books.js';
import { foreignAt } from './foreign.js';
import { callsOf, capOf, guaranteeIn } from './share.js';

/** How every integration of the account stands to its share of each limit of the whole account. */
export function shareStandings(books: AccountBooks, nowMs: number): ShareStanding[] {
  const shared = books.limits.filter(({ terms }) => terms !== null);
  return Object.entries(books.config.integrations).map(([integration, { share }]) => ({
    integration,
    weight: share.weight,
    limits: shared.map((book) => shareOf(book, integration, nowMs)),
    requestsWaiting: requestsWaiting(books, integration),
  }));
}

/** Others' calls in the current window of every limit but those of single tickets, users and organizations. */
export function foreignStandings(books: AccountBooks, nowMs: number): ForeignStanding[] {
  return books.limits
    .filter(({ limit }) => !isCountedByKey(limit.scope))
    .map((book) => ({ limit: book.limit.name, ...foreignAt(book, nowMs), headroom: headroomNow(book, nowMs) }));
}

function shareOf(book: LimitBook, integration: string, nowMs: number): LimitShare {
  const { limit, terms, whole } = book;
  const window = whole.windowAt(nowMs);
  const max = window ? whole.maxSince(window.startsAt) : whole.standing(nowMs).max;
  const guarantee = terms!.guarantees.find((one) => one.integration === integration);
  // In the current window alone: without its edges.
  const within = { from: nowMs + limit.edgeMs, to: nowMs - limit.edgeMs };
  return {
    limit: limit.name,
    guarantee: guarantee ? callsOf(guarantee.portion, limit.name, max) : 0,
    cap: terms!.caps.has(integration) ? capOf(book, integration, max) : null,
    used: whole.chargedTo(integration, nowMs),
    worth: guaranteeIn(book, integration, within, nowMs),
  };
}

/** Kept free beyond what is charged to others already; of a rolling limit, in the length that begins now. */
function headroomNow({ whole, limit, foreign }: LimitBook, nowMs: number): number {
  const window = whole.windowAt(nowMs);
  if (window) return whole.keepFree(window, window.foreign, nowMs);
  const charged = foreign.windows.at(-1)?.charged ?? 0;
  return whole.keepFree({ startsAt: nowMs, endsAt: nowMs + limit.lengthMs }, charged, nowMs);
}

function requestsWaiting({ waiting }: AccountBooks, integration: string): number {
  let requests = 0;
  for (const { flows } of waiting.lines) requests += flows.get(integration)?.requests ?? 0;
  return requests;
}
