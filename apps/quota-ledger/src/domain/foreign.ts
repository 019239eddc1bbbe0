import type { AccountName, IntegrationName } from '#contracts';
import { isCountedByKey, type Limit } from '#limits';
import type { AccountBooks, LimitBook, Timing } from './books.js';
import type { Span } from './grant.js';
import { expectedBetween, headroomOf, type HeadroomState, learn, NOTHING_LEARNED } from './headroom.js';

/*
 * Calls of those who don't ask the ledger, as an interval per window of a limit. A response tells how many calls the CRM
 * had counted when it made the response, and which of ours were among them is known only in part:
 *
 *     at least   told − all of ours that may count in the window, under way or not
 *     at most    told − those of ours that were certainly counted by then
 *
 * Certainly counted is a call that was answered before the response can have been made, the call that the response
 * answers itself, and every call whose own response told no more. A CRM's count only grows within a fixed window, so
 * responses are put in order by what they told, however late or out of order they arrive: the lower ends accumulate, and
 * the upper end is always that of the response that told most. The upper end is charged, as what it holds beyond the truth
 * are calls of ours that may come on top; the lower end is shown, and counted as usage of `(foreign)`.
 *
 * An answer may be a refusal, which the CRM doesn't count, and who was refused need not tell so, or not yet. While
 * something was left the limit refused nobody; once nothing was, an answer alone makes no call certain any more, and what
 * was certain by then is all that accumulates.
 *
 * In a rolling window counts also fall: there the newest response alone speaks, for as long as the window is.
 */

/** What one response told of a window. */
export interface Reading {
  /** Calls that the CRM had counted. */
  readonly used: number;
  /** Not made before this instant, on the ledger's clock, epoch ms. */
  readonly from: number;
  /** It answered a call of ours, which it counts. */
  readonly own: boolean;
  /** Nothing was left by then. */
  readonly full: boolean;
  /** Calls of ours known to be among those told. */
  readonly certain: number;
}

/** Calls of ours that were answered, each by an instant. */
export interface AnsweredCalls {
  /** Answered by `olderTo`, not told apart any more. */
  older: number;
  olderTo: number;
  /** Instant and calls, in order of time. */
  recent: [to: number, calls: number][];
  /** Rolling windows only: when answered calls surely still count, and how many, in order of time. */
  leaving: [until: number, calls: number][];
}

/** One window of a limit. */
export interface ForeignWindow {
  readonly startsAt: number;
  readonly endsAt: number;
  readonly answered: AnsweredCalls;
  /** In order of what they told. */
  readings: Reading[];
  /** Calls of ours that the CRM refused while something was left of the limit: whether it counts those is not known. */
  refused: number;
  atLeast: number;
  atMost: number;
  /** Of these as many as stand against our own maximum. */
  charged: number;
  /** The most that `atLeast` ever was: so many are counted as usage of `(foreign)`. */
  counted: number;
  /** When the CRM first told that nothing was left; null = never. */
  filledAt: number | null;
}

/** All that is known of others' calls on one limit, fit for JSON. */
export interface ForeignBook {
  /** The last few, oldest first. */
  windows: ForeignWindow[];
  /** By each integration that isn't trusted: what only it is held to. */
  readonly untrusted: Record<IntegrationName, ForeignWindow>;
  headroom: HeadroomState;
  /** Windows that began before this have been learned from. */
  learnedTo: number;
}

/** What a response changed in the count of others' calls: numbers as they are afterwards, so that nothing is decided again. */
export interface ForeignEntry {
  readonly account: AccountName;
  readonly limit: string;
  /** The untrusted integration that it holds for; null = for all. */
  readonly onlyFor: IntegrationName | null;
  readonly startsAt: number;
  readonly endsAt: number;
  /** An instant in the window by which it was told, epoch ms. */
  readonly at: number;
  /** Null where the limit's own standing is not told: others' calls seen in a shorter window count here too. */
  readonly reading: Reading | null;
  readonly refused: number;
  readonly atLeast: number;
  readonly atMost: number;
  readonly charged: number;
  readonly filledAt: number | null;
}

export interface Bounds {
  readonly startsAt: number;
  /** First instant that no longer belongs to it. */
  readonly endsAt: number;
}

export type Interval = Pick<ForeignWindow, 'atLeast' | 'atMost'>;

/** Windows remembered: the current one, its neighbour at the edge, and the next. */
const MOST_WINDOWS = 3;
/** Readings remembered of a window. Of older ones remains what they say of newer ones. */
const MOST_READINGS = 64;
/** Instants of answers told apart. */
const MOST_ANSWERS = 1_200;
const ANSWER_STEP_MS = 50;
/** The one window of a rolling limit. */
const EVER: Bounds = { startsAt: 0, endsAt: Number.MAX_SAFE_INTEGER };
const LEAVING_STEPS = 240;
/** A longer window keeps no more than this part of itself free for others. */
const MOST_KEPT_PART_OF_LONG = 0.5;
/** What is kept free is given up for the part of a window that is over and seen, but for so many times the pace it was kept for. */
const RELEASED_PART = 0.1;
const RELEASED_PACE = 2;

export function emptyForeign(): ForeignBook {
  return { windows: [], untrusted: {}, headroom: NOTHING_LEARNED, learnedTo: 0 };
}

/** True where responses tell how much of the limit is left, for all calls together. */
export function isTold({ headers, scope }: Limit): boolean {
  if (isCountedByKey(scope)) return false;
  return headers.remaining.length + headers.combined.length + headers.usedOfLimit.length > 0;
}

/** The window of a limit that an instant lies in; a rolling one is always the same. */
export function boundsAt({ whole }: LimitBook, at: number): Bounds {
  return whole.windowAt(at) ?? EVER;
}

/** A call of ours was answered, and arrived at the CRM within the span. */
export function noteAnswered(book: LimitBook, within: Span): void {
  const { limit, foreign } = book;
  if (!isTold(limit)) return;
  const bounds = boundsAt(book, within.to);
  // Near an edge it may have been counted in the neighbouring window.
  if (within.from - limit.edgeMs < bounds.startsAt || within.to + limit.edgeMs >= bounds.endsAt) return;
  const { answered } = windowOf(foreign, bounds);
  const stepMs = Math.min(ANSWER_STEP_MS, Math.max(1, Math.floor(limit.lengthMs / MOST_ANSWERS)));
  addInOrder(answered.recent, Math.ceil(within.to / stepMs) * stepMs);
  if (answered.recent.length > MOST_ANSWERS) {
    const [to, calls] = answered.recent.shift()!;
    answered.older += calls;
    answered.olderTo = to;
  }
  if (limit.kind === 'fixed') return;
  const leavingStepMs = Math.max(1, Math.ceil(limit.lengthMs / LEAVING_STEPS));
  const leavesAt = within.from - limit.edgeMs + limit.lengthMs;
  addInOrder(answered.leaving, Math.floor(leavesAt / leavingStepMs) * leavingStepMs);
}

function addInOrder(steps: [at: number, calls: number][], at: number): void {
  let index = steps.length;
  while (index > 0 && steps[index - 1]![0] > at) index -= 1;
  const before = steps[index - 1];
  if (before?.[0] === at) before[1] += 1;
  else steps.splice(index, 0, [at, 1]);
}

/** Calls of ours certainly answered before an instant, and still counting then. */
function answeredBefore({ answered, refused }: Pick<ForeignWindow, 'answered' | 'refused'>, at: number): number {
  if (at <= answered.olderTo) return 0;
  let calls = answered.older - refused;
  for (const [to, count] of answered.recent) {
    if (to >= at) break;
    calls += count;
  }
  for (const [until, count] of answered.leaving) {
    if (until > at) break;
    calls -= count;
  }
  return Math.max(0, calls);
}

/** The window, found or begun. */
export function windowOf(foreign: ForeignBook, bounds: Bounds): ForeignWindow {
  const found = foreign.windows.findLast(({ startsAt }) => startsAt === bounds.startsAt);
  if (found) return found;
  const window = emptyWindow(bounds);
  foreign.windows = [...foreign.windows, window].toSorted((a, b) => a.startsAt - b.startsAt).slice(-MOST_WINDOWS);
  return window;
}

function emptyWindow({ startsAt, endsAt }: Bounds): ForeignWindow {
  const answered = { older: 0, olderTo: 0, recent: [], leaving: [] };
  const none = { refused: 0, atLeast: 0, atMost: 0, charged: 0, counted: 0, filledAt: null };
  return { startsAt, endsAt, answered, readings: [], ...none };
}

/** A response's word on one window of a limit. */
export interface Told extends Bounds {
  /** Between which instants (epoch ms, on the ledger's clock) the CRM made it. */
  readonly from: number;
  readonly to: number;
  readonly used: number;
  /** The maximum that the CRM enforces. */
  readonly max: number;
  readonly own: boolean;
  /** It refused a call of ours. */
  readonly refused: boolean;
}

/**
 * What a response changes, or null where it changes nothing that has to be told. The reading itself is remembered either way.
 */
export function judgeForeign(
  books: AccountBooks,
  book: LimitBook,
  told: Told,
  onlyFor: IntegrationName | null,
): ForeignEntry | null {
  const { limit, foreign } = book;
  const { startsAt, endsAt } = told;
  const common = windowOf(foreign, told);
  const window = onlyFor === null ? common : untrustedWindow(foreign, onlyFor, told);
  const full = told.used >= told.max;
  // Its answer may have been counted as that of any call, before it was known that the call was refused.
  const doubtful = told.refused && !(full && limit.kind === 'fixed');
  const refused = window.refused + (doubtful ? 1 : 0);
  const readings = doubtful ? window.readings.map(oneLessCertain) : window.readings;
  const reading = { used: told.used, from: told.from, own: told.own, full, certain: 0 };
  const evidence = { answered: common.answered, refused };
  const weighed =
    limit.kind === 'fixed' ? weigh(readings, reading, evidence) : weighNewest(readings, reading, evidence);
  if (!weighed) return null;
  const newest = weighed.at(-1)!;
  const ours = book.whole.chargedAt(told.to);
  const floor = limit.kind === 'fixed' ? window.atLeast : 0;
  const atLeast = Math.max(floor, newest.used - ours);
  const atMost = Math.max(atLeast, newest.used - newest.certain);
  // What the CRM allows beyond our own maximum is others' to use.
  const beyond = Math.max(0, told.max - book.whole.standing(told.to).max);
  const charged = Math.max(0, atMost - beyond);
  const filledAt = window.filledAt ?? (full ? told.to : null);
  const first = window.readings.length === 0;
  const same = atLeast === window.atLeast && atMost === window.atMost && charged === window.charged;
  window.readings = weighed;
  window.refused = refused;
  if (!first && same && filledAt === window.filledAt && !doubtful) return null;
  const name = { account: books.name, limit: limit.name, onlyFor, startsAt, endsAt };
  const remembered = weighed.find(({ used }) => used === told.used) ?? null;
  return { ...name, at: told.to, reading: remembered, refused, atLeast, atMost, charged, filledAt };
}

/** Others' calls seen in a shorter window count in a longer one of which the CRM tells nothing. */
export function judgeUntold(books: AccountBooks, book: LimitBook, calls: number, at: number): ForeignEntry | null {
  if (book.limit.kind !== 'fixed') return null;
  const { startsAt, endsAt } = boundsAt(book, at);
  const { refused, filledAt, ...window } = windowOf(book.foreign, { startsAt, endsAt });
  const name = { account: books.name, limit: book.limit.name, onlyFor: null, startsAt, endsAt, at };
  const counts = { atLeast: window.atLeast + calls, atMost: window.atMost + calls, charged: window.charged + calls };
  return { ...name, reading: null, refused, filledAt, ...counts };
}

/** Puts what a response changed into the books. The same entry twice is one. */
export function applyForeign(books: AccountBooks, entry: ForeignEntry): void {
  const book = books.limits.find(({ limit }) => limit.name === entry.limit);
  if (!book) return;
  const { foreign, limit } = book;
  if (entry.onlyFor === null && limit.scope === 'account') learnFrom(book, entry.startsAt, books.timing.minuteMs);
  const window = entry.onlyFor === null ? windowOf(foreign, entry) : untrustedWindow(foreign, entry.onlyFor, entry);
  const { reading } = entry;
  // Done already where it was decided.
  for (let more = window.refused; more < entry.refused; more++) window.readings = window.readings.map(oneLessCertain);
  if (reading && limit.kind === 'rolling') window.readings = [reading];
  else if (reading) window.readings = insert(window.readings, reading);
  window.refused = entry.refused;
  window.atLeast = entry.atLeast;
  window.atMost = entry.atMost;
  window.charged = entry.charged;
  window.counted = Math.max(window.counted, entry.atLeast);
  window.filledAt = entry.filledAt;
  if (entry.onlyFor === null) book.whole.setForeign(entry.charged, entry.at);
}

/** Others' calls in the window of an instant: at least and at most. */
export function foreignAt(book: LimitBook, at: number): Interval {
  const { startsAt } = boundsAt(book, at);
  const window = book.foreign.windows.findLast((one) => one.startsAt === startsAt);
  return { atLeast: window?.atLeast ?? 0, atMost: window?.atMost ?? 0 };
}

/** Calls that an untrusted integration may not have in the window of an instant, by its own word, beyond what nobody may. */
export function withheldFrom(book: LimitBook, integration: IntegrationName, at: number): number {
  const window = book.foreign.untrusted[integration];
  if (!window) return 0;
  const { startsAt } = boundsAt(book, at);
  if (window.startsAt !== startsAt) return 0;
  const common = book.foreign.windows.findLast((one) => one.startsAt === startsAt);
  return Math.max(0, window.charged - (common?.charged ?? 0));
}

/**
 * How many calls a window keeps free for others, beyond those charged to it already. The account's shortest window keeps
 * what is configured or was learned; once others' calls are known until its last tenth, only as much as they may still make
 * at twice that pace, so that nothing is idle at its end; a longer one what is configured, or seen on average, for the time left, at most half of it.
 */
export function headroomFor(
  book: Pick<LimitBook, 'limit' | 'whole' | 'licence'>,
  shortest: Pick<LimitBook, 'limit' | 'foreign'>,
  policy: { readonly foreignPerMinute: number | 'auto'; readonly minuteMs: Timing['minuteMs'] },
  at: { readonly window: Bounds; readonly charged: number; readonly from: number },
): number {
  const { limit } = book;
  const { foreignPerMinute, minuteMs } = policy;
  const { window, charged, from } = at;
  const { lengthMs } = shortest.limit;
  const max = book.whole.maxSince(window.startsAt);
  const rolling = limit.kind === 'rolling';
  const to = rolling ? from + limit.lengthMs : window.endsAt;
  const left = Math.max(0, to - Math.max(from, window.startsAt));
  if (limit === shortest.limit) {
    const kept =
      foreignPerMinute === 'auto'
        ? headroomOf(shortest.foreign.headroom, rolling ? from : window.startsAt, { lengthMs, max, minuteMs })
        : Math.min(Math.ceil((foreignPerMinute * lengthMs) / minuteMs), max - 1);
    // What the CRM allows beyond our own maximum is others' to use first.
    const more = Math.max(0, kept - Math.max(0, (book.licence.told ?? max) - max) - charged);
    const unseenMs = rolling ? lengthMs : window.endsAt - seenTo(shortest.foreign, window.startsAt);
    if (unseenMs >= lengthMs * RELEASED_PART) return more;
    return Math.min(more, Math.floor((RELEASED_PACE * kept * unseenMs) / lengthMs));
  }
  const kept =
    foreignPerMinute === 'auto'
      ? expectedBetween(shortest.foreign.headroom, to - left, to, { lengthMs, minuteMs })
      : Math.ceil((foreignPerMinute * left) / minuteMs);
  const more = rolling ? Math.max(0, kept - charged) : kept;
  return Math.min(more, Math.floor(max * MOST_KEPT_PART_OF_LONG));
}

/** Until when others' calls in a window are known. */
function seenTo({ windows }: ForeignBook, startsAt: number): number {
  const newest = windows.findLast((window) => window.startsAt === startsAt)?.readings.at(-1);
  return Math.max(startsAt, newest?.from ?? startsAt);
}

/**
 * The limit by whose windows others' calls are counted and learned: of those that the CRM tells for the whole account, the
 * shortest; null where it tells none.
 */
export function shortestTold(limits: readonly LimitBook[]): LimitBook | null {
  const told = limits.filter(({ limit }) => limit.scope === 'account' && isTold(limit));
  return told.toSorted((a, b) => a.limit.lengthMs - b.limit.lengthMs)[0] ?? null;
}

/** What has to outlive a change of configuration: what was learned of others, by limit. Fit for JSON. */
export function learnedOf(books: AccountBooks): Record<string, HeadroomState> {
  return Object.fromEntries(
    books.limits
      .filter(({ foreign }) => foreign.headroom !== NOTHING_LEARNED)
      .map(({ limit, foreign }) => [limit.name, foreign.headroom]),
  );
}

/** Gives fresh books what older ones had learned. */
export function relearn(books: AccountBooks, learned: Readonly<Record<string, HeadroomState>>): void {
  for (const { limit, foreign } of books.limits) foreign.headroom = learned[limit.name] ?? foreign.headroom;
}

/** Windows before this one are over: what they showed is learned, once. */
function learnFrom({ limit, foreign, whole }: LimitBook, before: number, minuteMs: number): void {
  for (const window of foreign.windows) {
    const { startsAt, endsAt, filledAt, atLeast, readings } = window;
    if (startsAt >= before || startsAt < foreign.learnedTo || readings.length === 0 || limit.kind !== 'fixed') continue;
    const seen = { startsAt, endsAt, filledAt, max: whole.maxSince(startsAt) };
    foreign.headroom = learn(foreign.headroom, seen, atLeast, minuteMs);
    foreign.learnedTo = endsAt;
  }
}

function untrustedWindow(foreign: ForeignBook, integration: IntegrationName, bounds: Bounds): ForeignWindow {
  const found = foreign.untrusted[integration];
  // An older window's word comes too late to hold anybody to it.
  if (found && found.startsAt >= bounds.startsAt) return found;
  return (foreign.untrusted[integration] = emptyWindow(bounds));
}

type Evidence = Pick<ForeignWindow, 'answered' | 'refused'>;

/** All readings with one more, each knowing all that the others and the answers say of it. */
function weigh(before: readonly Reading[], told: Reading, evidence: Evidence): Reading[] | null {
  let certain = 0;
  let full = false;
  return insert(before, told).map((reading) => {
    const self = reading.own ? 1 : 0;
    full ||= reading.full;
    const answered = full ? 0 : answeredBefore(evidence, reading.from);
    certain = Math.max(reading.certain, answered + self, certain + self);
    return { ...reading, full, certain };
  });
}

function weighNewest([newest]: readonly Reading[], told: Reading, evidence: Evidence): Reading[] | null {
  if (newest && newest.from > told.from) return null;
  const answered = told.full ? 0 : answeredBefore(evidence, told.from);
  return [{ ...told, certain: answered + (told.own ? 1 : 0) }];
}

/** In order of what they told. Two that told the same are of one call, told twice, or nothing was counted in between. */
function insert(others: readonly Reading[], told: Reading): Reading[] {
  const before = forgetAnswers(others, told);
  let index = before.length;
  while (index > 0 && before[index - 1]!.used > told.used) index -= 1;
  const same = before[index - 1];
  if (same?.used !== told.used) return before.toSpliced(index, 0, told).slice(-MOST_READINGS);
  const own = same.own || told.own;
  const full = same.full || told.full;
  const certain = Math.max(same.certain, told.certain);
  return before.with(index - 1, { used: told.used, from: Math.min(same.from, told.from), own, full, certain });
}

/** Where it is new that nothing was left, answers may have made calls certain that were refused, in all that told as much. */
function forgetAnswers(before: readonly Reading[], told: Reading): readonly Reading[] {
  if (!told.full || before.some(({ full, used }) => full && used <= told.used)) return before;
  return before.map((reading) => (reading.used < told.used ? reading : { ...reading, certain: 0 }));
}

function oneLessCertain(reading: Reading): Reading {
  return { ...reading, certain: Math.max(0, reading.certain - 1) };
}
