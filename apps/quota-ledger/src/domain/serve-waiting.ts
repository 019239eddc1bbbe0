import type { CallKind, Granted, IntegrationName } from '#contracts';
import { draws } from '#limits';
import type { AccountBooks, HoldBook, LimitBook } from './books.js';
import { type Blocked, endsByItself, fit, type Turn } from './fit.js';
import { giveGrant, type GrantMoment, refusedAnswer, type Served } from './give-grant.js';
import type { LedgerChanges } from './ledger-changes.js';
import { dequeue, type Flow, type Line, lineOf, served, type Waiter } from './waiting.js';

/*
 * Serving those who wait. They are tried in the order of waiting.ts, and whoever fits is granted its calls. Where one
 * doesn't fit because a limit or its places have too little room for it, that room is kept for it: nobody behind it may draw
 * on the same, but for what is guaranteed to whoever is behind, which could never have been its. What stops it for reasons
 * of its own (its cap, a ticket's limit) keeps nobody else.
 *
 * Where several integrations wait with one priority for one limit, a grant takes no more than its weight's portion of the
 * room there was when they were first tried, so that one that asks for everything doesn't get everything.
 */

/** How finely decaying guarantees are looked at: a window in so many steps. */
const STEPS_PER_WINDOW = 240;
const NEVER = Number.MAX_SAFE_INTEGER;

/** Grants those who wait what fits now, and refuses those whose time is up, in the order in which it was decided. */
export function serveWaiting(books: AccountBooks, moment: GrantMoment, changes: LedgerChanges): Served[] {
  const { waiting } = books;
  if (waiting.byRequest.size > 0) {
    waiting.wakeAt = NEVER;
    serve(books, moment, changes, null);
    // What was kept for those whose time is up is for others now.
    if (moment.nowMs >= waiting.firstDeadline && refuseLate(books, moment.nowMs) && waiting.byRequest.size > 0) {
      waiting.wakeAt = NEVER;
      serve(books, moment, changes, null);
    }
  }
  const { answered } = waiting;
  waiting.answered = [];
  return answered;
}

/** The earliest instant at which `serveWaiting` may have something to do that no request brings about; null = none. */
export function nextWakeAt(books: AccountBooks, nowMs: number): number | null {
  const { byRequest, answered, firstDeadline, wakeAt } = books.waiting;
  if (answered.length > 0) return nowMs;
  if (byRequest.size === 0) return null;
  return Math.max(nowMs, Math.min(firstDeadline, wakeAt));
}

/** Serves in order: all who wait, or those up to one, whose grant is given back where it gets one. */
export function serve(
  books: AccountBooks,
  moment: GrantMoment,
  changes: LedgerChanges,
  last: Waiter | null,
): Granted | null {
  const walk = new Walk(books, moment.nowMs);
  for (const line of books.waiting.lines) {
    if (line.requests === 0) continue;
    walk.begin(line);
    for (let next = walk.next(); next; next = walk.next()) {
      const { waiter, flow } = next;
      const fitting = fit(books, waiter, moment.nowMs, walk);
      waiter.blocked = fitting.blocked;
      if (fitting.blocked) walk.stop(next, fitting.blocked, fitting.short);
      else {
        const answer = giveGrant(books, waiter, fitting, moment, changes);
        dequeue(books.waiting, waiter);
        served(line, flow, answer.calls, weightOf(books, flow.integration));
        if (waiter === last) return answer;
        const { integration, request } = waiter;
        books.waiting.answered.push({ integration, requestId: request.requestId, answer });
      }
      if (waiter === last) return null;
    }
  }
  return null;
}

/** How many calls wait before a request: of higher priorities, and of its own those that came earlier. */
export function callsBefore(books: AccountBooks, waiter: Pick<Waiter, 'request' | 'number'>, limit: string): number {
  const line = lineOf(books.waiting, waiter.request.priority);
  const book =
    books.limits.find((one) => one.limit.name === limit) ?? books.holds.find((one) => one.limit.name === limit);
  if (!book) return 0;
  let calls = 0;
  for (const before of books.waiting.lines) {
    for (const flow of before.requests > 0 ? before.flows.values() : [])
      for (const [kind, queue] of flow.byKind) {
        if (!draws(book.limit, kind)) continue;
        for (const { number, request } of queue)
          if (before !== line || number < waiter.number) calls += request.calls.min;
      }
    if (before === line) return calls;
  }
  return calls;
}

/** True where there was anybody to refuse. */
function refuseLate(books: AccountBooks, nowMs: number): boolean {
  const { waiting } = books;
  const before = waiting.byRequest.size;
  // Counted once for all: when it may be their turn is an estimate.
  const callsOf = new Map<string, number>();
  waiting.firstDeadline = NEVER;
  for (const waiter of waiting.byRequest.values()) {
    if (waiter.deadline > nowMs) waiting.firstDeadline = Math.min(waiting.firstDeadline, waiter.deadline);
    else endWait(books, waiter, nowMs, callsOf);
  }
  return waiting.byRequest.size < before;
}

/** Ends a wait: it is answered with what was in its way last. */
export function endWait(
  books: AccountBooks,
  waiter: Waiter,
  nowMs: number,
  callsOf: Map<string, number> = new Map(),
): void {
  const { integration, request } = waiter;
  const blocked = waiter.blocked ?? behindOthers(books, waiter, nowMs);
  const line = `${request.priority} ${blocked.limit}`;
  const calls = callsOf.get(line) ?? callsBefore(books, waiter, blocked.limit);
  callsOf.set(line, calls);
  const answer = refusedAnswer(books, blocked, nowMs, calls);
  dequeue(books.waiting, waiter);
  books.waiting.answered.push({ integration, requestId: request.requestId, answer });
}

/** It was never tried itself, as those of its own integration before it wait for the same. */
function behindOthers(books: AccountBooks, { integration, request }: Waiter, nowMs: number): Blocked {
  const flow = lineOf(books.waiting, request.priority).flows.get(integration);
  const head = flow?.byKind.get(request.kind)?.[0]?.blocked;
  const limit = head?.limit ?? books.drawnBy[request.kind].limits[0]?.limit.name ?? '';
  return { limit, reason: 'others_wait', clearsAt: head?.clearsAt ?? nowMs, maySooner: true };
}

/** Weight of an integration; one that the account no longer has waits for what it asked like the others. */
function weightOf({ config }: AccountBooks, integration: IntegrationName): number {
  return Object.hasOwn(config.integrations, integration) ? config.integrations[integration]!.share.weight : 1;
}

interface Candidate {
  readonly waiter: Waiter;
  readonly flow: Flow;
  readonly kind: CallKind;
}

/** How far a queue was tried: the number of requests tried in vain, and which tickets or users single calls found full. */
interface Trial {
  count: number;
  readonly full: Set<string>;
}

/** How far a flow's queues were tried, by kind; absent kinds from the first on. */
type Tried = Map<CallKind, Trial>;

/** One walk along all who wait. */
class Walk implements Turn {
  readonly stopped = new Map<LimitBook | HoldBook, { readonly by: Set<string>; clearsAt: number }>();
  private line: Line | null = null;
  private tried = new Map<Flow, Tried>();
  /** Most room that each limit was seen to have in this line. */
  private rooms = new Map<LimitBook | HoldBook, number>();
  private flow: Flow | null = null;

  constructor(
    private readonly books: AccountBooks,
    private readonly nowMs: number,
  ) {}

  begin(line: Line): void {
    this.line = line;
    this.tried = new Map();
    this.rooms = new Map();
  }

  /** The request whose turn it is: of the flow least far on, its oldest that may still fit. */
  next(): Candidate | null {
    let first: Candidate | null = null;
    for (const flow of this.line!.flows.values()) {
      if (flow.requests === 0) continue;
      if (first && flow.virtualTime > first.flow.virtualTime) continue;
      const candidate = this.oldest(flow);
      if (candidate && (!first || isBefore(candidate, first))) first = candidate;
    }
    this.flow = first?.flow ?? null;
    return first;
  }

  private oldest(flow: Flow): Candidate | null {
    const tried = this.tried.get(flow);
    let oldest: Candidate | null = null;
    for (const [kind, queue] of flow.byKind) {
      const trial = tried?.get(kind);
      // Thousands may wait for one ticket: one try tells for all of them.
      if (trial)
        while (trial.count < queue.length && trial.full.has(keyOf(queue[trial.count]!) ?? '')) trial.count += 1;
      const waiter = queue[trial?.count ?? 0];
      if (waiter && (!oldest || waiter.number < oldest.waiter.number)) oldest = { waiter, flow, kind };
    }
    return oldest;
  }

  /** Notes that a request doesn't fit: whose turn it is then, what is kept for it, and when to look again. */
  stop({ waiter, flow, kind }: Candidate, blocked: Blocked, short: readonly (LimitBook | HoldBook)[]): void {
    let tried = this.tried.get(flow);
    if (!tried) {
      tried = new Map();
      this.tried.set(flow, tried);
    }
    // Calls of a kind draw on the same limits, so only another ticket's or user's may fit where this one's didn't.
    const mayFit = short.length === 0 && waiter.request.keys !== undefined && blocked.reason !== 'cap_reached';
    let trial = tried.get(kind);
    if (!trial) tried.set(kind, (trial = { count: 0, full: new Set() }));
    trial.count = mayFit ? trial.count + 1 : NEVER;
    const key = mayFit ? keyOf(waiter) : null;
    if (key !== null) trial.full.add(key);
    waiter.stoppedByOwn = short.length === 0;
    for (const book of short) {
      const stop = this.stopped.get(book);
      if (stop) stop.by.add(flow.integration);
      else this.stopped.set(book, { by: new Set([flow.integration]), clearsAt: blocked.clearsAt });
    }
    const { waiting } = this.books;
    waiting.wakeAt = Math.min(waiting.wakeAt, wakeFor(this.books, blocked, this.nowMs));
  }

  portionOf = (book: LimitBook | HoldBook, room: number): number => {
    const { flow, line } = this;
    if (!flow || !line || line.flows.size < 2) return room;
    const own = weightOf(this.books, flow.integration);
    let all = own;
    for (const other of line.flows.values())
      if (other !== flow && other.requests > 0 && wantsOf(other, book)) all += weightOf(this.books, other.integration);
    if (all === own) return room;
    // A window that begins soon may have more room than the one that is asked first.
    const most = Math.max(this.rooms.get(book) ?? 0, room);
    this.rooms.set(book, most);
    return Math.floor((most * own) / all);
  };
}

/** Could the next requests of a flow use room of a limit? Not where something of their own stopped them last. */
function wantsOf(flow: Flow, book: LimitBook | HoldBook): boolean {
  for (const [kind, queue] of flow.byKind) if (!queue[0]!.stoppedByOwn && draws(book.limit, kind)) return true;
  return false;
}

/** What one call touches; null where more are needed, of which some might fit. */
function keyOf({ request }: Waiter): string | null {
  const key = request.calls.min === 1 ? request.keys?.[0] : undefined;
  return key ? JSON.stringify([key.ticket, key.user, key.organization]) : null;
}

function isBefore(one: Candidate, other: Candidate): boolean {
  const lead = one.flow.virtualTime - other.flow.virtualTime;
  return lead === 0 ? one.waiter.number < other.waiter.number : lead < 0;
}

/** When what is in the way may be over. What decays is looked at in steps; places and pauses end by a request. */
function wakeFor({ timing, limits }: AccountBooks, { limit, reason, clearsAt }: Blocked, nowMs: number): number {
  if (clearsAt === NEVER || reason === 'others_wait') return NEVER;
  const book = limits.find((one) => one.limit.name === limit);
  const stepMs = Math.max(1, Math.min(timing.askAgainMs, (book?.limit.lengthMs ?? timing.minuteMs) / STEPS_PER_WINDOW));
  const at = endsByItself(reason) ? clearsAt - timing.longestSendInMs : clearsAt;
  return Math.max(at, nowMs + stepMs);
}
