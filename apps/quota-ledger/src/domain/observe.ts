import type { IntegrationName, Observed, ObserveRequest } from '#contracts';
import { isCountedByKey } from '#limits';
import { type AccountBooks, bucketsAt, counterOf, type HoldBook, type LimitBook, limitsFor } from './books.js';
import type { Counter } from './counter.js';
import type { Grant } from './grant.js';
import { FOREIGN, type LedgerChanges } from './ledger-changes.js';
import { headerStanding, retryAfterSeconds } from './read-headers.js';

/*
 * The CRM is the truth. A refusal closes exactly the limit that refused, until the time it names; headers that leave
 * less than our own count mean that somebody else uses the account, and those calls are charged to `(foreign)`.
 */

/** Longest time that a response may close a limit for: what is longer is no limit's doing (or no whole number of sense). */
const LONGEST_CLOSING_MS = 86_400_000;
/** How long places count as closed after the CRM refused a job, before its own clock is scaled. */
const JOBS_CLOSED_MS = 5_000;
const ACCOUNT_REFUSAL = /number of allowed api requests per minute exceeded/i;
const EDGE_REFUSAL = /edge protection/i;
const JOBS_REFUSAL = /TooManyJobs/;

interface Evidence {
  readonly books: AccountBooks;
  readonly integration: IntegrationName;
  readonly request: ObserveRequest;
  /** The grant under which the call was made, where it is still known: tells which ticket or user it was about. */
  readonly grant: Grant | null;
  readonly nowMs: number;
  /** On the ledger's clock, when the CRM had answered at the latest. */
  readonly answeredAt: number;
  readonly changes: LedgerChanges;
}

export interface ObserveMoment {
  readonly nowMs: number;
  readonly heldMs: number;
}

/** Takes note of one response. Integrations that aren't trusted may tell, but nothing is closed or charged on their word. */
export function observe(
  books: AccountBooks,
  integration: IntegrationName,
  grant: Grant | null,
  request: ObserveRequest,
  { nowMs, heldMs }: ObserveMoment,
  changes: LedgerChanges,
): Observed {
  const account = books.config.integrations;
  if (!Object.hasOwn(account, integration) || !account[integration]!.trusted) return { answer: 'observed', closed: [] };
  const own = grant?.integration === integration ? grant : null;
  const answeredAt = Math.floor(nowMs - heldMs - request.answeredAgoMs);
  const evidence = { books, integration, request, grant: own, nowMs, answeredAt, changes };
  const refused = request.status === 429 || JOBS_REFUSAL.test(request.refusal ?? '');
  if (!refused) {
    chargeForeign(evidence);
    return { answer: 'observed', closed: [] };
  }
  return { answer: 'observed', closed: closeRefusing(evidence) };
}

type Closed = Observed['closed'];

function closeRefusing(evidence: Evidence): Closed {
  const { books, request } = evidence;
  const refusal = request.refusal ?? '';
  // Edge protection is not the account's limit: whoever met it backs off, nobody else has to.
  if (EDGE_REFUSAL.test(refusal)) return [];
  if (JOBS_REFUSAL.test(refusal)) return closeJobs(evidence);
  const exhausted = limitsFor(books, request.kind).filter(
    ({ limit }) => limit.scope !== 'account' && headerStanding(limit, request.headers)?.remaining === 0,
  );
  const whole = limitsFor(books, request.kind).filter(({ limit }) => limit.scope === 'account');
  const told = whole.filter(({ limit }) => headerStanding(limit, request.headers)?.remaining === 0);
  const accountWide = told.length > 0 || ACCOUNT_REFUSAL.test(refusal);
  if (exhausted.length > 0 && !ACCOUNT_REFUSAL.test(refusal)) return exhausted.flatMap((book) => close(evidence, book));
  if (!accountWide) return [];
  // The refusal speaks of a limit that the CRM keeps, of which it tells in headers at other times; limits of one's own (a
  // second, a day) are not what refused. Of several it is the shortest, as the refusal speaks of a minute.
  const kept = whole.filter(({ limit }) => limit.headers.remaining.length > 0);
  const shortest = (kept.length > 0 ? kept : whole).toSorted((a, b) => a.limit.lengthMs - b.limit.lengthMs)[0];
  return (told.length > 0 ? told : shortest ? [shortest] : []).flatMap((book) => close(evidence, book));
}

function close(evidence: Evidence, book: AccountBooks['limits'][number]): Closed {
  const { books, request, grant, nowMs, answeredAt, changes } = evidence;
  const { name, scope, lengthMs, edgeMs } = book.limit;
  const key = keyOf(grant, scope);
  if (key === null) return [];
  const counter = counterOf(book, key === '' ? null : { [scope]: key });
  if (!counter) return [];
  const seconds = retryAfterSeconds(request.headers) ?? headerStanding(book.limit, request.headers)?.resetSeconds;
  const forMs = seconds == null ? lengthMs : (seconds * 1_000) / books.config.crm.timeScale;
  // Whole seconds are told: the window may end up to one later than they say, as may its edge.
  const slackMs = Math.min(edgeMs, 1_000 / books.config.crm.timeScale);
  const until = Math.ceil(answeredAt + Math.min(forMs, LONGEST_CLOSING_MS) + slackMs);
  if (until <= nowMs) return [];
  if (until > counter.closedUntil) {
    counter.closedUntil = until;
    changes.closings.push({ account: books.name, limit: name, key, until });
    changes.event(books.name, evidence.integration, 'closed', { limit: name, until, status: request.status });
  }
  return [{ limit: name, forMs: counter.closedUntil - nowMs }];
}

/** Which ticket or user is closed: '' = the limit as a whole; null = one of them, and not known which. */
function keyOf(grant: Grant | null, scope: LimitBook['limit']['scope']): string | null {
  if (!isCountedByKey(scope)) return '';
  const keys = new Set(grant?.calls.map(({ key }) => key?.[scope]));
  const [only] = keys;
  return keys.size === 1 && only !== undefined ? only : null;
}

function closeJobs({ books, integration, request, nowMs, answeredAt, changes }: Evidence): Closed {
  const until = Math.ceil(answeredAt + JOBS_CLOSED_MS / books.config.crm.timeScale);
  if (until <= nowMs) return [];
  return books.holds
    .filter(({ limit }) => limit.draws.includes(request.kind))
    .map((book: HoldBook) => {
      if (until > book.closedUntil) {
        book.closedUntil = until;
        changes.closings.push({ account: books.name, limit: book.limit.name, key: '', until });
        changes.event(books.name, integration, 'closed', { limit: book.limit.name, until, status: request.status });
      }
      return { limit: book.limit.name, forMs: book.closedUntil - nowMs };
    });
}

/**
 * Less left at the CRM than by our own count: the difference is somebody else's, but for what the CRM's own maximum is
 * smaller than ours. Our count holds every call that might be under way, so it is the least that can be foreign. Where the
 * answer may have come in another window, as its telling was on its way for some time or an edge is near, nothing is concluded.
 */
function chargeForeign({ books, request, answeredAt, nowMs, changes }: Evidence): void {
  const answeredFrom = Math.floor(answeredAt - books.timing.transitMs / books.config.crm.timeScale);
  let counted = false;
  for (const book of limitsFor(books, request.kind)) {
    if (isCountedByKey(book.limit.scope)) continue;
    const told = headerStanding(book.limit, request.headers);
    if (!told || told.remaining === null) continue;
    const counter: Counter = book.whole;
    const startsAt = counter.windowStartAt(answeredAt);
    if (startsAt === null || counter.windowStartAt(nowMs) !== startsAt) continue;
    if (counter.windowStartAt(answeredFrom) !== startsAt) continue;
    const { max, remaining } = counter.standing(answeredAt);
    const missing = remaining - told.remaining;
    if (missing <= 0) continue;
    counter.addForeign(missing, answeredAt);
    changes.foreign.push({ account: books.name, limit: book.limit.name, at: answeredAt, calls: missing });
    const calls = missing - withhold(book, startsAt, missing, max - (told.max ?? max));
    if (calls === 0) continue;
    // Of one call that several limits count, only one use is to be counted.
    if (book.limit.scope === 'account' && !counted) {
      const { minute, day } = bucketsAt(books.timing, answeredAt);
      changes.foreignUsed(books.name, calls, minute, day);
      counted = true;
    }
    changes.event(books.name, FOREIGN, 'foreign', { limit: book.limit.name, windowStartsAt: startsAt, calls });
  }
}

/** Of what is missing, how much the CRM's smaller maximum explains that it hasn't explained in this window before. */
function withhold(book: LimitBook, startsAt: number, missing: number, smallerBy: number): number {
  const before = book.withheld.startsAt === startsAt ? book.withheld.calls : 0;
  const calls = Math.max(0, Math.min(missing, smallerBy - before));
  book.withheld = { startsAt, calls: before + calls };
  return calls;
}
