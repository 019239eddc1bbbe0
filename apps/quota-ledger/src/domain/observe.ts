import type { IntegrationName, Observed, ObserveRequest } from '#contracts';
import { isCountedByKey } from '#limits';
import { type AccountBooks, type LimitBook, limitsFor, minuteAt } from './books.js';
import { applyClosing, type ClosedEntry, closedFor, counterOfKey, forgetClosings } from './closing.js';
import {
  applyForeign,
  type Bounds,
  boundsAt,
  type ForeignEntry,
  isTold,
  judgeForeign,
  judgeUntold,
  shortestTold,
  windowOf,
} from './foreign.js';
import type { Grant, Span } from './grant.js';
import { FOREIGN, type LedgerChanges, WHOLE_ACCOUNT } from './ledger-changes.js';
import type { ToldForeign, RefusedEntry } from './journal-entries.js';
import { applyLicence, judgeMax, maxInForce } from './licence.js';
import { type HeaderStanding, headerStanding, retryAfterSeconds } from './read-headers.js';

/*
 * The CRM is the truth. What a response's headers leave tells how much others use (foreign.ts) and what the licence allows
 * (licence.ts). A refusal closes exactly the limit that refused, until the time it names:
 *
 *     429 "Number of allowed API requests per minute exceeded"   the account's shortest window
 *     429 with a limit below whose header says remaining=0       that limit, or one ticket or user of it
 *     TooManyJobs, whatever the status                           the places of bulk jobs, for moments
 *     429 of edge protection, or of nothing that is named        nothing: who met it backs off by itself
 *
 * It was caused by our own calls where those charged to the window reach the maximum without anybody else's, else by
 * foreign ones.
 *
 * An integration that isn't trusted holds nobody to its word but itself. Its refusal closes the limit for itself; what its
 * headers leave bounds its own room in that window, where that is less than everybody's; the maximum it tells is passed
 * over, and a refusal is always counted as its own. So the most that lies can win is fewer calls for the liar.
 */

/** Longest time that a response may close a limit for: what is longer is no limit's doing (or no whole number of sense). */
const LONGEST_CLOSING_MS = 86_400_000;
/** How long places count as closed after the CRM refused a job, before its own clock is scaled. */
const JOBS_CLOSED_MS = 5_000;
/** Windows in which a response may have been made, with their neighbours at the edges. */
const MOST_WINDOWS_TRIED = 4;
const ACCOUNT_REFUSAL = /number of allowed api requests per minute exceeded/i;
const EDGE_REFUSAL = /edge protection/i;
const JOBS_REFUSAL = /TooManyJobs/;

interface Evidence {
  readonly books: AccountBooks;
  readonly integration: IntegrationName;
  readonly trusted: boolean;
  readonly request: ObserveRequest;
  readonly refused: boolean;
  /** The grant under which the call was made, where it is still known: tells which ticket or user it was about. */
  readonly grant: Grant | null;
  readonly nowMs: number;
  /** On the ledger's clock, between which instants the CRM made the response. */
  readonly made: Span;
  readonly changes: LedgerChanges;
}

export interface ObserveMoment {
  readonly nowMs: number;
  readonly heldMs: number;
}

/** Takes note of one response, and says which limits it closed for the integration that tells. */
export function observe(
  books: AccountBooks,
  integration: IntegrationName,
  grant: Grant | null,
  request: ObserveRequest,
  { nowMs, heldMs }: ObserveMoment,
  changes: LedgerChanges,
): Observed {
  const integrations = books.config.integrations;
  if (!Object.hasOwn(integrations, integration)) return { answer: 'observed', closed: [] };
  const own = grant?.integration === integration ? grant : null;
  const refused = request.status === 429 || JOBS_REFUSAL.test(request.refusal ?? '');
  const made = madeWithin(books, own, Math.floor(nowMs - heldMs - request.answeredAgoMs));
  const { trusted } = integrations[integration]!;
  const evidence = { books, integration, trusted, request, refused, grant: own, nowMs, made, changes };
  readStandings(evidence);
  return { answer: 'observed', closed: refused ? closeRefusing(evidence) : [] };
}

/**
 * A response had come by `to`, and was made after its call was sent: not before its grant allowed or a settle said, and no
 * longer ago than a call and the telling of its answer may take.
 */
function madeWithin({ timing, config }: AccountBooks, grant: Grant | null, to: number): Span {
  let from = Math.floor(to - (timing.transitMs + timing.requestTimeoutMs) / config.crm.timeScale);
  let sent = Number.MAX_SAFE_INTEGER;
  for (const { state, span } of grant?.calls ?? []) if (state !== 'returned') sent = Math.min(sent, span.from);
  if (sent < Number.MAX_SAFE_INTEGER) from = Math.max(from, sent);
  return { from: Math.min(from, to), to };
}

function readStandings(evidence: Evidence): void {
  const { books, request, trusted, made, nowMs, changes } = evidence;
  for (const book of limitsFor(books, request.kind)) {
    const told = isTold(book.limit) ? headerStanding(book.limit, request.headers) : null;
    if (!told) continue;
    const adopted = trusted && told.max !== null ? judgeMax(books, book, { max: told.max, ...made }, nowMs) : null;
    if (adopted) {
      applyLicence(books, adopted);
      changes.event(books.name, WHOLE_ACCOUNT, 'licence', adopted);
    }
    if (told.remaining !== null) readRemaining(evidence, book, { ...told, remaining: told.remaining });
  }
}

function readRemaining(
  evidence: Evidence,
  book: LimitBook,
  told: HeaderStanding & { readonly remaining: number },
): void {
  const { books, request, trusted, refused, made, nowMs, grant, integration } = evidence;
  const window = windowOfReading(book, made, told.resetSeconds, 1_000 / books.config.crm.timeScale);
  // Of a window long over, its counts are forgotten.
  if (!window || nowMs > window.endsAt + book.limit.edgeMs) return;
  const max = told.max ?? book.licence.told ?? maxInForce(book);
  const used = Math.max(0, max - told.remaining);
  const own = !refused && (trusted ? request.grantId !== null : grant !== null);
  const ofOurs = refused && request.grantId !== null;
  const entry = judgeForeign(books, book, { ...window, used, max, own, refused: ofOurs }, trusted ? null : integration);
  if (entry) record(evidence, book, entry);
}

function record({ books, changes }: Evidence, book: LimitBook, entry: ForeignEntry): void {
  const more = entry.onlyFor === null ? Math.max(0, entry.atLeast - windowOf(book.foreign, entry).counted) : 0;
  // Of one call that several limits count, only one use is to be counted.
  const counted = book === shortestTold(books.limits) ? more : 0;
  tell(books, { ...entry, calls: more, counted }, changes);
  if (counted === 0) return;
  const { at } = entry;
  for (const untold of books.limits) {
    if (untold.limit.scope !== 'account' || isTold(untold.limit)) continue;
    if (untold.limit.lengthMs <= book.limit.lengthMs) continue;
    const longer = judgeUntold(books, untold, more, at);
    if (longer) tell(books, { ...longer, calls: more, counted: 0 }, changes);
  }
}

function tell(books: AccountBooks, entry: ToldForeign, changes: LedgerChanges): void {
  applyToldForeign(books, entry);
  changes.event(books.name, FOREIGN, 'foreign', entry);
}

/** Puts what was told of others' calls into the books, and into the usage that is counted; also when they are built again. */
export function applyToldForeign(books: AccountBooks, entry: ToldForeign): void {
  applyForeign(books, entry);
  if (entry.counted === 0) return;
  const counts = books.usage.of(FOREIGN, minuteAt(books.timing, entry.at));
  counts.granted += entry.counted;
  counts.used += entry.counted;
}

/**
 * The window that a response speaks of, and when in it the response was made; null where it may be another one: an edge is
 * near, the response was on its way for too long, or it tells another end of its window than ours.
 */
function windowOfReading(
  book: LimitBook,
  made: Span,
  resetSeconds: number | null,
  secondMs: number,
): (Bounds & Span) | null {
  const { limit, whole } = book;
  if (limit.kind === 'rolling') return { ...boundsAt(book, made.to), ...made };
  const within = resetSeconds === null ? made : placedByReset(book, made, resetSeconds * secondMs, secondMs);
  if (!within) return null;
  const startsAt = whole.windowStartAt(within.from);
  if (startsAt === null || whole.windowStartAt(within.to) !== startsAt) return null;
  return { ...boundsAt(book, within.to), ...within };
}

/** Made when so much was left of a window, give or take a second and an edge: true of one window at most, or of none. */
function placedByReset(book: LimitBook, made: Span, resetMs: number, secondMs: number): Span | null {
  const { edgeMs } = book.limit;
  const placed: Span[] = [];
  let window = boundsAt(book, made.from - edgeMs);
  for (let tried = 0; tried < MOST_WINDOWS_TRIED && window.startsAt <= made.to + edgeMs; tried++) {
    const from = Math.floor(Math.max(made.from, window.endsAt - resetMs - secondMs - edgeMs));
    const to = Math.ceil(Math.min(made.to, window.endsAt - resetMs + secondMs + edgeMs));
    if (from <= to) placed.push({ from, to });
    window = boundsAt(book, window.endsAt);
  }
  return placed.length === 1 ? placed[0]! : null;
}

type Closed = Observed['closed'];
type Cause = 'own' | 'foreign';

/** A limit, or one ticket or user of it, that refused. */
interface Refuser {
  readonly limit: string;
  readonly key: string;
  readonly until: number;
  readonly cause: Cause;
}

function closeRefusing(evidence: Evidence): Closed {
  const { books, integration, trusted, made, request, changes } = evidence;
  const refusers = refusersOf(evidence);
  const foreign = trusted && refusers.length > 0 && refusers.every(({ cause }) => cause === 'foreign');
  const entry: RefusedEntry = { kind: request.kind, status: request.status, at: made.to };
  const whose = foreign ? FOREIGN : integration;
  changes.event(books.name, whose, 'refused', entry);
  applyRefused(books, whose, entry);
  return refusers.flatMap((refuser) => close(evidence, refuser));
}

function refusersOf(evidence: Evidence): Refuser[] {
  const { books, request } = evidence;
  const refusal = request.refusal ?? '';
  // Edge protection is not the account's limit: whoever met it backs off, nobody else has to.
  if (EDGE_REFUSAL.test(refusal)) return [];
  if (JOBS_REFUSAL.test(refusal)) return jobsRefusing(evidence);
  const limits = limitsFor(books, request.kind);
  const exhausted = limits.filter(({ limit }) => headerStanding(limit, request.headers)?.remaining === 0);
  const below = exhausted.filter(({ limit }) => limit.scope !== 'account');
  const accountSaid = ACCOUNT_REFUSAL.test(refusal);
  if (below.length > 0 && !accountSaid) return below.flatMap((book) => limitRefusing(evidence, book));
  const told = exhausted.filter(({ limit }) => limit.scope === 'account');
  if (told.length > 0) return told.flatMap((book) => limitRefusing(evidence, book));
  // The refusal speaks of a limit that the CRM keeps, of which it tells in headers at other times; limits of one's own (a
  // second, a day) are not what refused. Of several it is the shortest, as the refusal speaks of a minute.
  const whole = limits.filter(({ limit }) => limit.scope === 'account');
  const shortest = shortestTold(whole) ?? whole.toSorted((a, b) => a.limit.lengthMs - b.limit.lengthMs)[0];
  return accountSaid && shortest ? limitRefusing(evidence, shortest) : [];
}

function limitRefusing({ books, request, grant, made }: Evidence, book: LimitBook): Refuser[] {
  const { name: limit, scope, lengthMs, edgeMs } = book.limit;
  const key = keyOf(grant, scope);
  const counter = key === null ? null : counterOfKey(book, key);
  if (key === null || !counter) return [];
  const { timeScale } = books.config.crm;
  const seconds = retryAfterSeconds(request.headers) ?? headerStanding(book.limit, request.headers)?.resetSeconds;
  const forMs = seconds == null ? lengthMs : (seconds * 1_000) / timeScale;
  // Whole seconds are told: the window may end up to one later than they say, as may its edge.
  const slackMs = Math.min(edgeMs, 1_000 / timeScale);
  const until = Math.ceil(made.to + Math.min(forMs, LONGEST_CLOSING_MS) + slackMs);
  const full = [made.from, made.to].some((at) => counter.chargedAt(at) >= counter.standing(at).max);
  return [{ limit, key, until, cause: full ? 'own' : 'foreign' }];
}

/** Which ticket or user is closed: '' = the limit as a whole; null = one of them, and not known which. */
function keyOf(grant: Grant | null, scope: LimitBook['limit']['scope']): string | null {
  if (!isCountedByKey(scope)) return '';
  const keys = new Set(grant?.calls.map(({ key }) => key?.[scope]));
  const [only] = keys;
  return keys.size === 1 && only !== undefined ? only : null;
}

function jobsRefusing({ books, request, made }: Evidence): Refuser[] {
  const until = Math.ceil(made.to + JOBS_CLOSED_MS / books.config.crm.timeScale);
  return books.holds
    .filter(({ limit }) => limit.draws.includes(request.kind))
    .map(({ limit, taken }) => {
      return { limit: limit.name, key: '', until, cause: taken.size >= limit.max ? 'own' : 'foreign' };
    });
}

function close({ books, integration, trusted, request, nowMs, changes }: Evidence, refuser: Refuser): Closed {
  const { limit, key, until } = refuser;
  if (until <= nowMs) return [];
  const cause: Cause = trusted ? refuser.cause : 'own';
  const before = trusted ? closedUntil(books, limit, key) : closedFor(books, integration, limit, key);
  if (until <= before) return [{ limit, forMs: before - nowMs }];
  if (!trusted) forgetClosings(books, nowMs);
  const only = trusted ? {} : { onlyFor: integration };
  const entry: ClosedEntry = { limit, key, until, status: request.status, cause, ...only };
  applyClosing(books, entry);
  changes.event(books.name, integration, 'closed', entry);
  return [{ limit, forMs: until - nowMs }];
}

function closedUntil(books: AccountBooks, limit: string, key: string): number {
  const hold = books.holds.find((book) => book.limit.name === limit);
  if (hold) return hold.closedUntil;
  const book = books.limits.find((one) => one.limit.name === limit);
  return (book && counterOfKey(book, key)?.closedUntil) ?? 0;
}

/** Counts a call that the CRM refused; also when books are built again. */
export function applyRefused(books: AccountBooks, integration: IntegrationName, { at }: RefusedEntry): void {
  books.usage.of(integration, minuteAt(books.timing, at)).crmRefused += 1;
}
