import type { AccountConfig, IntegrationName, Portion, Priority, RefusalReason } from '#contracts';
import type { Limit } from '#limits';
import type { LimitBook } from './books.js';
import { BACKLOG, LIVE, type Tally, type WindowCount } from './counter.js';
import type { Grant, Span } from './grant.js';

/*
 * Who may have how much of a fixed window of the whole account, of length L and usable maximum M (its maximum less what
 * those who don't ask used or may be expected to use).
 *
 * A guarantee of G calls is worth, while `left` of the window is left and u of them are used,
 *
 *     R = min(G × left, G − u − lost)        rounded up to whole calls
 *
 * R is kept from everybody else. What isn't asked for in time decays, and whoever asks may have it, so that the window is
 * full at its end. `lost` is what had decayed when an integration last took some: without it, calls taken late would be
 * promised twice, once out of what others had left and once more out of what they had already borrowed. With it the sum of
 * all that is promised never exceeds what is left, so every promise can be kept at once. The part reserved for `live` is
 * a guarantee like the others, of the priority instead of an integration; guarantees go before it.
 *
 * Backlog may have, of what is left to it once others have theirs, a portion that grows evenly from a twentieth at the
 * window's beginning to all of it when nine tenths of the window have gone; so it is spread, and the window still gets full.
 *
 * Rolling windows know caps only. They have no end at which what was kept free could still be used: a guarantee would keep
 * its calls free for ever.
 */

/**
 * At the end of a window nothing is kept for anybody any more: for so many edges, so that what was kept can go before the
 * last one, in which calls count in the next window too; but for no more than this part of the window.
 */
const TAIL_EDGES = 2;
const MOST_TAIL_PART = 1 / 20;
const BACKLOG_BEGINS_WITH = 0.05;
const BACKLOG_HAS_ALL_AT = 0.9;
/** Windows up to this many minutes have their backlog spread; in longer ones callers go by the pace. */
const LONGEST_SPREAD_MINUTES = 60;
const MINUTE_MS = 60_000;
/** How many windows ahead a time is looked for at which calls fit. */
const MAX_WINDOWS_AHEAD = 4;
/** Halvings of a window until an instant is known well enough. */
const MAX_HALVINGS = 16;

/** What an account's configuration says of one limit; null where it is none of the whole account. */
export interface ShareTerms {
  readonly guarantees: readonly { readonly integration: IntegrationName; readonly portion: Portion }[];
  readonly caps: ReadonlyMap<IntegrationName, Portion>;
  readonly liveReservePercent: number;
  readonly spreadsBacklog: boolean;
}

/** Reads them, once for the books. */
export function shareTermsOf(config: AccountConfig, limit: Limit): ShareTerms | null {
  if (limit.scope !== 'account') return null;
  const { quota, integrations, crm } = config;
  const fixed = limit.kind === 'fixed';
  const named = Object.entries(integrations).map(([integration, { share }]) => ({ integration, ...share }));
  return {
    guarantees: named
      .filter(({ guarantee }) => fixed && callsOf(guarantee, limit.name, limit.max) > 0)
      .map(({ integration, guarantee }) => ({ integration, portion: guarantee })),
    caps: new Map(named.flatMap(({ integration, cap }) => (cap ? [[integration, cap] as const] : []))),
    liveReservePercent: fixed ? quota.liveReservePercent : 0,
    spreadsBacklog:
      fixed && quota.spreadBacklog && limit.lengthMs <= (LONGEST_SPREAD_MINUTES * MINUTE_MS) / crm.timeScale,
  };
}

/** Whole calls that a portion of a limit is. */
export function callsOf(portion: Portion, limit: string, max: number): number {
  return Object.hasOwn(portion.calls, limit) ? portion.calls[limit]! : Math.floor((max * portion.percent) / 100);
}

/** Most calls that an integration may ever have of a window. */
export function capOf({ limit, terms }: LimitBook, integration: IntegrationName, max = limit.max): number {
  const cap = terms?.caps.get(integration);
  return cap ? Math.min(max, callsOf(cap, limit.name, max)) : max;
}

/** Who asks, and as what. */
export interface Asker {
  readonly integration: IntegrationName;
  readonly priority: Priority;
}

/** Who asks for at least so many calls. */
export interface ShareAsk extends Asker {
  readonly min: number;
}

/** What a window has for one who asks. Any of the first may be negative. */
interface ShareRoom {
  /** Neither charged nor kept for those who don't ask. */
  readonly free: number;
  readonly keptForOthers: number;
  readonly keptForLive: number;
  /** What backlog may still have by now. */
  readonly spread: number;
  /** Left of the integration's own cap. */
  readonly cap: number;
}

/** The room that one who asks has in a window. */
function shareRoom(book: LimitBook, window: WindowCount, asker: Asker, atMs: number): ShareRoom {
  const { integration, priority } = asker;
  const max = book.whole.maxSince(window.startsAt);
  const usable = usableOf(book, window, max, atMs);
  const free = usable - window.charged;
  const left = leftOf(window, book.limit.edgeMs, atMs);
  const keptForOthers = keptFor(book, window, { usable, max, left }, integration);
  const keptForLive = priority === 'live' ? 0 : liveKept(book, window, { usable, max, left });
  const spread =
    priority === 'backlog' && book.terms!.spreadsBacklog
      ? spreadRoom(window, free - keptForOthers - keptForLive, left)
      : Number.MAX_SAFE_INTEGER;
  const cap = book.terms!.caps.has(integration)
    ? capOf(book, integration, max) - callsIn(window, integration)
    : Number.MAX_SAFE_INTEGER;
  return { free, keptForOthers, keptForLive, spread, cap };
}

/** How many calls that is. */
function roomOf({ free, keptForOthers, keptForLive, spread, cap }: ShareRoom): number {
  return Math.max(0, Math.min(free - keptForOthers - keptForLive, spread, cap));
}

/** How many calls one who asks may have in all windows that a span meets; of a rolling one, what its cap leaves. */
export function mayHave(book: LimitBook, asker: Asker, span: Span, atMs: number): number {
  const { edgeMs } = book.limit;
  let window = book.whole.windowAt(span.from - edgeMs);
  if (!window) return rollingRoom(book, asker, span);
  let calls = Number.MAX_SAFE_INTEGER;
  while (window && window.startsAt <= span.to + edgeMs) {
    calls = Math.min(calls, roomOf(shareRoom(book, window, asker, atMs)));
    window = book.whole.windowAt(window.endsAt);
  }
  return calls;
}

/** How many calls one who asks may have of a window by its end, if nobody else asks. */
export function mayHaveByEnd(book: LimitBook, asker: Asker, window: WindowCount): number {
  return roomOf(shareRoom(book, window, asker, window.endsAt - 1));
}

function rollingRoom(book: LimitBook, { integration }: Asker, { from }: Span): number {
  if (!book.terms!.caps.has(integration)) return Number.MAX_SAFE_INTEGER;
  const max = book.whole.maxSince(from - book.limit.lengthMs);
  return Math.max(0, capOf(book, integration, max) - book.whole.chargedTo(integration, from - book.limit.edgeMs));
}

/** Why `mayHave` says fewer than `min`: the reason, until when that window goes, and how many of its calls aren't settled. */
export function whyShort(
  book: LimitBook,
  ask: ShareAsk,
  span: Span,
  atMs: number,
): { readonly reason: RefusalReason; readonly endsAt: number; readonly open: number } {
  let why: ReturnType<typeof whyShort> | null = null;
  for (const window of windowsIn(book, span)) {
    const room = shareRoom(book, window, ask, atMs);
    if (roomOf(room) >= ask.min) continue;
    const reason = reasonOf(room, ask.min);
    // A cap goes first: nobody else's room helps who has had all of it.
    if (!why || reason === 'cap_reached') why = { reason, endsAt: window.endsAt, open: window.open };
  }
  // Only a cap bounds rolling windows: all that it had is freed one length from now.
  return why ?? { reason: 'cap_reached', endsAt: span.to + book.limit.lengthMs, open: 1 };
}

/** What leaves fewer than `min` calls. */
function reasonOf({ free, keptForOthers, keptForLive, cap }: ShareRoom, min: number): RefusalReason {
  if (cap < min) return 'cap_reached';
  if (free < min) return 'limit_reached';
  if (free - keptForOthers < min) return 'guaranteed_to_others';
  if (free - keptForOthers - keptForLive < min) return 'reserved_for_live';
  return 'backlog_is_spread';
}

/** What an integration's guarantee is worth in the windows that a span meets: nobody's turn goes before it. */
export function guaranteeIn(book: LimitBook, integration: IntegrationName, span: Span, atMs: number): number {
  if (!book.terms?.guarantees.some((guarantee) => guarantee.integration === integration)) return 0;
  let worth = Number.MAX_SAFE_INTEGER;
  for (const window of windowsIn(book, span)) {
    const max = book.whole.maxSince(window.startsAt);
    const usable = usableOf(book, window, max, atMs);
    const now = { usable, max, left: leftOf(window, book.limit.edgeMs, atMs) };
    worth = Math.min(worth, keptFor(book, window, now, null) - keptFor(book, window, now, integration));
  }
  return worth;
}

/**
 * Before a grant's calls are charged: what their integration, and `live`, have lost of their guarantees by not asking
 * earlier. Goes by maxima alone, so that a replay finds the same.
 */
export function noteLost(
  book: LimitBook,
  grant: Pick<Grant, 'integration' | 'priority' | 'grantedAt'>,
  span: Span,
): void {
  const { terms, limit, whole } = book;
  if (!terms || limit.kind !== 'fixed') return;
  const own = terms.guarantees.find(({ integration }) => integration === grant.integration);
  const live = grant.priority === 'live' && terms.liveReservePercent > 0;
  if (!own && !live) return;
  for (const window of windowsIn(book, span)) {
    const max = whole.maxSince(window.startsAt);
    const gone = 1 - leftOf(window, limit.edgeMs, grant.grantedAt);
    if (own) lose(tallyOf(window, grant.integration), callsOf(own.portion, limit.name, max), gone);
    if (live) lose(tallyOf(window, LIVE), (max * terms.liveReservePercent) / 100, gone);
  }
}

function lose(tally: Tally, guarantee: number, gone: number): void {
  tally.lost = Math.max(tally.lost, guarantee * gone - tally.calls);
}

/**
 * The earliest instant at which as many calls fit into the account's windows, if nothing else were granted or settled
 * before; at the latest the end of some windows from now.
 */
export function shareClearsAt(book: LimitBook, ask: ShareAsk, span: Span): number {
  const { edgeMs } = book.limit;
  const fits = (window: WindowCount, at: number): boolean => roomOf(shareRoom(book, window, ask, at)) >= ask.min;
  const lengthMs = span.to - span.from;
  let window = book.whole.windowAt(span.from - edgeMs)!;
  let at = span.from;
  for (let ahead = 0; ahead < MAX_WINDOWS_AHEAD; ahead++) {
    if (fits(window, window.endsAt - 1)) {
      at = earliest(Math.max(span.from, window.startsAt), window.endsAt - 1, (then) => fits(window, then));
      const touched = windowsIn(book, { from: at, to: at + lengthMs });
      if (touched.every((other) => fits(other, at))) return at;
    }
    at = window.endsAt + edgeMs;
    window = book.whole.windowAt(window.endsAt)!;
  }
  return at;
}

/** The first instant of a span at which something holds that holds at its end, and once it holds goes on to. */
function earliest(from: number, to: number, holds: (at: number) => boolean): number {
  if (from >= to || holds(from)) return from;
  let before = from;
  let after = to;
  for (let i = 0; i < MAX_HALVINGS && after - before > 1; i++) {
    const middle = Math.floor((before + after) / 2);
    if (holds(middle)) after = middle;
    else before = middle;
  }
  return after;
}

/** The windows that a span meets, edges counted; none where they are rolling. */
function windowsIn(book: LimitBook, { from, to }: Span): WindowCount[] {
  const windows: WindowCount[] = [];
  const { edgeMs } = book.limit;
  let window = book.whole.windowAt(from - edgeMs);
  while (window && window.startsAt <= to + edgeMs) {
    windows.push(window);
    window = book.whole.windowAt(window.endsAt);
  }
  return windows;
}

/** How much of a window is left, 0 to 1; nothing in its last moments, so that what was kept can still be used. */
export function leftOf(
  { startsAt, endsAt }: Pick<WindowCount, 'startsAt' | 'endsAt'>,
  edgeMs: number,
  atMs: number,
): number {
  const lengthMs = endsAt - startsAt;
  if (atMs <= startsAt) return 1;
  return atMs >= endsAt - Math.min(edgeMs * TAIL_EDGES, lengthMs * MOST_TAIL_PART) ? 0 : (endsAt - atMs) / lengthMs;
}

/** What of a window is for those who ask: its maximum less the calls of others, seen and expected. */
function usableOf({ whole }: LimitBook, window: WindowCount, max: number, atMs: number): number {
  return max - window.foreign - whole.keepFree(window, window.foreign, atMs);
}

/** A window now: its usable maximum, its maximum, and how much of it is left. */
interface Now {
  readonly usable: number;
  readonly max: number;
  readonly left: number;
}

/** What is kept for all who have a guarantee, but for one of them. */
function keptFor({ terms, limit }: LimitBook, window: WindowCount, now: Now, except: IntegrationName | null): number {
  if (now.left === 0) return 0;
  const { guarantees } = terms!;
  const scale = scaleOf(guaranteed(guarantees, limit.name, now.max), now.usable);
  let kept = 0;
  for (const { integration, portion } of guarantees) {
    if (integration === except) continue;
    const guarantee = Math.floor(callsOf(portion, limit.name, now.max) * scale);
    kept += worthOf(guarantee, window.tallies.get(integration), now.left);
  }
  return kept;
}

function guaranteed(guarantees: ShareTerms['guarantees'], limit: string, max: number): number {
  let sum = 0;
  for (const { portion } of guarantees) sum += callsOf(portion, limit, max);
  return sum;
}

/** Guarantees of more than there is are worth less, in proportion. */
function scaleOf(sum: number, usable: number): number {
  return sum > usable ? Math.max(0, usable) / sum : 1;
}

function liveKept({ terms, limit }: LimitBook, window: WindowCount, { usable, max, left }: Now): number {
  const { liveReservePercent, guarantees } = terms!;
  if (liveReservePercent === 0 || left === 0) return 0;
  const others = Math.min(usable, guaranteed(guarantees, limit.name, max));
  const reserve = Math.min((usable * liveReservePercent) / 100, usable - others);
  return worthOf(reserve, window.tallies.get(LIVE), left);
}

function worthOf(guarantee: number, tally: Tally | undefined, left: number): number {
  const unused = tally ? guarantee - tally.calls - tally.lost : guarantee;
  // A hair less than a whole call more is rounding of fractions, not a promise.
  return Math.max(0, Math.ceil(Math.min(guarantee * left, unused) - 1e-9));
}

/** What backlog may still have: a portion, by how much of the window has gone, of all that it could have in the end. */
function spreadRoom(window: WindowCount, room: number, left: number): number {
  const backlog = callsIn(window, BACKLOG);
  const portion = BACKLOG_BEGINS_WITH + ((1 - BACKLOG_BEGINS_WITH) * (1 - left)) / BACKLOG_HAS_ALL_AT;
  return Math.ceil((room + backlog) * Math.min(1, portion)) - backlog;
}

function callsIn(window: WindowCount, name: string): number {
  return window.tallies.get(name)?.calls ?? 0;
}

function tallyOf(window: WindowCount, name: string): Tally {
  let tally = window.tallies.get(name);
  if (!tally) {
    tally = { calls: 0, lost: 0 };
    window.tallies.set(name, tally);
  }
  return tally;
}
