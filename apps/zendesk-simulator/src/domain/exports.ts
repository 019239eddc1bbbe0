/* Incremental exports: what changed since an instant, in the order of the changes, each ticket once. */
import { type Answer, answer } from './exchange.js';
import { type Call, linkTo } from './call.js';
import { invalidValue } from './errors.js';
import type { Json } from './json.js';
import type { Ticket } from './records.js';
import { ticketOnTheWire } from './ticket-answers.js';
import { shownMs, simulatedMs } from './shown-clock.js';
import type { World } from './world.js';

const PAGE_LIMIT_TICKETS = 1000;
const NEWEST_EXPORTED_AGE_MS = 60_000;

/** GET /incremental/tickets/cursor?start_time= or ?cursor= */
export function getIncrementalCursor(call: Call): Answer {
  const cursor = call.query.get('cursor');
  const from = cursor === null ? startPosition(call) : cursorPosition(cursor);
  if (typeof from !== 'number') return from;
  const page = collect(call, from);
  const afterCursor = page.tickets.length > 0 || cursor === null ? cursorAt(page.nextPosition) : cursor;
  return answer(200, {
    tickets: page.tickets,
    after_url: linkTo(call, `incremental/tickets/cursor.json?cursor=${encodeURIComponent(afterCursor)}`),
    after_cursor: afterCursor,
    before_url: null,
    before_cursor: null,
    end_of_stream: page.isLast,
  });
}

/** GET /incremental/tickets?start_time= */
export function getIncrementalByTime(call: Call): Answer {
  const from = startPosition(call);
  if (typeof from !== 'number') return from;
  const page = collect(call, from);
  const next = `incremental/tickets.json?start_time=${page.endSeconds ?? call.query.get('start_time') ?? '0'}`;
  return answer(200, {
    tickets: page.tickets,
    count: page.tickets.length,
    end_of_stream: page.isLast,
    end_time: page.endSeconds,
    next_page: linkTo(call, next),
  });
}

function collect(
  call: Call,
  from: number,
): { tickets: Json[]; nextPosition: number; endSeconds: number | null; isLast: boolean } {
  const { world } = call;
  const asked = Number(call.query.get('per_page') ?? PAGE_LIMIT_TICKETS);
  const limit = Number.isInteger(asked) && asked > 0 ? Math.min(asked, PAGE_LIMIT_TICKETS) : PAGE_LIMIT_TICKETS;
  const tickets: Json[] = [];
  let at = from;
  let endMs: number | null = null;
  for (; at < world.changes.length && tickets.length < limit; at += 1) {
    const change = world.changes[at];
    if (!change || change.atMs > world.nowMs - NEWEST_EXPORTED_AGE_MS) break;
    endMs = change.atMs;
    const ticket = world.tickets.get(change.ticketId) as Ticket | undefined;
    if (ticket?.changePosition === at) tickets.push(ticketOnTheWire(call.world, ticket, call.origin));
  }
  const next = world.changes[at];
  const isLast = next === undefined || next.atMs > world.nowMs - NEWEST_EXPORTED_AGE_MS;
  return {
    tickets,
    nextPosition: at,
    endSeconds: endMs === null ? null : Math.floor(shownMs(world, endMs) / 1000),
    isLast,
  };
}

function startPosition(call: Call): number | Answer {
  const seconds = Number(call.query.get('start_time') ?? Number.NaN);
  if (!Number.isFinite(seconds) || seconds < 0) return invalidValue('start_time is required');
  const sinceMs = simulatedMs(call.world, seconds * 1000);
  if (sinceMs > call.world.nowMs - NEWEST_EXPORTED_AGE_MS)
    return invalidValue('Too recent start_time. Use a start_time older than 60 seconds');
  return firstChangeSince(call.world, sinceMs);
}

function firstChangeSince({ changes }: World, sinceMs: number): number {
  let low = 0;
  let high = changes.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((changes[middle]?.atMs ?? 0) < sinceMs) low = middle + 1;
    else high = middle;
  }
  return low;
}

function cursorAt(position: number): string {
  return btoa(`c:${position}`);
}

function cursorPosition(cursor: string): number | Answer {
  try {
    const match = /^c:(\d{1,15})$/.exec(atob(cursor));
    return match ? Number(match[1]) : invalidValue('cursor is not valid');
  } catch {
    return invalidValue('cursor is not valid');
  }
}
