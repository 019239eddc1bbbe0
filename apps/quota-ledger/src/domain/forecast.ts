import { type Forecast, type ForecastRequest, type LimitForecast, PRIORITIES, type WaitingRequests } from '#contracts';
import { draws, isCountedByKey } from '#limits';
import { type AccountBooks, holdsFor, type LimitBook, limitsFor } from './books.js';
import { capOf, mayHaveByEnd, mayHave } from './share.js';
import { standings } from './standing.js';

/*
 * When calls would be had, as things stand: between what is certain not to be sooner and what it takes if all who wait go
 * first and nothing that is under way is given back. Nothing is decided or kept by asking.
 */

/** When calls would be had, how the limits they draw on stand, and who waits. */
export function forecast(books: AccountBooks, request: ForecastRequest, nowMs: number): Forecast {
  let fromMs = 0;
  let toMs = 0;
  let longest: string | null = null;
  const consider = (limit: string, [from, to]: readonly [number, number]): void => {
    if (to > toMs) longest = limit;
    fromMs = Math.max(fromMs, Math.ceil(from));
    toMs = Math.max(toMs, Math.ceil(to));
  };
  for (const book of limitsFor(books, request.kind))
    if (!isCountedByKey(book.limit.scope)) consider(book.limit.name, windowsWait(books, book, request, nowMs));
  for (const { limit, taken } of holdsFor(books, request.kind)) {
    const free = Math.max(0, limit.max - taken.size);
    const rounds = Math.ceil(Math.max(0, request.calls - free) / Math.max(1, limit.max));
    // A place comes free when its holder says so; a bulk job usually takes no longer than a minute.
    consider(limit.name, [0, rounds * books.timing.minuteMs]);
  }
  return {
    answer: 'forecast',
    eta: { fromMs, toMs: Math.max(fromMs, toMs) },
    limit: longest,
    limits: limitForecasts(books, request, nowMs),
    waiting: whoWaits(books),
  };
}

/** Ms until all calls are had of one limit, at least and at most. */
function windowsWait(
  books: AccountBooks,
  book: LimitBook,
  request: ForecastRequest,
  nowMs: number,
): readonly [number, number] {
  const { whole, limit } = book;
  const { calls } = request;
  const before = callsWaiting(books, book, request);
  const closedMs = Math.max(0, whole.closedUntil - nowMs);
  const now = closedMs > 0 ? 0 : roomNow(book, request, nowMs);
  if (before + calls <= now) return [0, 0];
  const window = whole.windowAt(nowMs);
  const endsInMs = Math.max(closedMs, window ? window.endsAt - nowMs : limit.lengthMs);
  const most = Math.max(1, capOf(book, request.integration));
  const byEnd = window && closedMs === 0 && book.terms ? mayHaveByEnd(book, request, window) : now;
  const windows = (wanted: number): number => Math.max(0, Math.ceil((wanted - byEnd) / most));
  // What doesn't fit now but by the end is had meanwhile; the rest in whole windows, the last of them maybe to its end.
  const sooner = calls <= now ? 0 : Math.max(closedMs, startOf(windows(calls), endsInMs, limit.lengthMs));
  const ends = endsInMs + limit.edgeMs + windows(before + calls) * limit.lengthMs;
  return [sooner, ends];
}

/** Ms until the nth window from now begins; 0 = the current one. */
function startOf(nth: number, endsInMs: number, lengthMs: number): number {
  return nth === 0 ? 0 : endsInMs + (nth - 1) * lengthMs;
}

function roomNow(book: LimitBook, request: ForecastRequest, nowMs: number): number {
  const { edgeMs } = book.limit;
  // In the current window alone: without its edges.
  const within = { from: nowMs + edgeMs, to: nowMs - edgeMs };
  const room = book.whole.room(within, 1).calls;
  return book.terms ? Math.min(room, mayHave(book, request, within, nowMs)) : room;
}

/** Calls of others who wait for the limit with the same priority or a higher one. */
function callsWaiting(books: AccountBooks, { limit }: LimitBook, { priority }: ForecastRequest): number {
  let calls = 0;
  for (const { request } of books.waiting.byRequest.values())
    if (PRIORITIES.indexOf(request.priority) <= PRIORITIES.indexOf(priority) && draws(limit, request.kind))
      calls += request.calls.min;
  return calls;
}

function limitForecasts(books: AccountBooks, { kind, integration }: ForecastRequest, nowMs: number): LimitForecast[] {
  return standings(books, nowMs, kind, integration).map((standing) => {
    const book = books.limits.find(({ limit }) => limit.name === standing.limit);
    const window = book?.whole.windowAt(nowMs);
    const seen = book?.foreign.windows.find(({ startsAt, endsAt }) => startsAt <= nowMs && nowMs < endsAt);
    const atMost = seen?.atMost ?? window?.foreign ?? 0;
    const headroom = book && window ? book.whole.keepFree(window, 0, nowMs) : 0;
    return { ...standing, foreign: { atLeast: seen?.atLeast ?? 0, atMost }, headroom };
  });
}

/** Who waits in the ledger now, by priority. */
export function whoWaits(books: AccountBooks): WaitingRequests[] {
  return books.waiting.lines.flatMap(({ priority, flows }) =>
    [...flows.values()]
      .filter(({ requests }) => requests > 0)
      .map(({ integration, requests, byKind }) => {
        const calls = [...byKind.values()].flat().reduce((sum, { request }) => sum + request.calls.min, 0);
        return { integration, priority, requests, calls };
      }),
  );
}
