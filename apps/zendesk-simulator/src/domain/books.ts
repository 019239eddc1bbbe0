/*
 * The simulator's own books. They count true windows (no lag, no mercy), per limit and per caller, and share nothing
 * with the counters that enforce the limits but the rules' names, lengths and maxima.
 */
import type { LimitRule } from './limits.js';
import type { OperationKind } from './operations.js';

const CALLS_KEPT = 10_000;
const WINDOWS_KEPT_PER_LIMIT = 20_000;
const VIOLATIONS_KEPT = 1000;

/** Why a call was refused: by a limit, or because a fault was injected. */
export type RefusalCause = 'limit' | 'injected';

/** One call as the books saw it. */
export interface CallEntry {
  readonly id: number;
  readonly atMs: number;
  readonly caller: string;
  readonly method: string;
  readonly url: string;
  readonly kind: OperationKind | 'ui.update';
  /** What was answered; 0 where no answer left, the fate then says why. */
  status: number;
  fate: 'answer' | 'reset' | 'silence';
  /** Name of the limit that refused it, or the fault. */
  refusedBy: string | undefined;
  readonly faults: readonly string[];
  readonly bodyBytes: number;
  /** Whether it cost a call of the account. */
  counted: boolean;
}

/** What one caller did in one window. */
export interface CallerCount {
  calls: number;
  refused: number;
}

/** One true window of one limit. */
export interface WindowEntry {
  readonly startMs: number;
  readonly endMs: number;
  /** The highest and the lowest maximum in force while calls were counted. */
  highestMax: number;
  lowestMax: number;
  readonly callers: Map<string, CallerCount>;
}

/** A comment, creation or update that carried command marks. */
export interface MarkedEffect {
  readonly marks: readonly string[];
  readonly interaction: string | undefined;
  readonly ticketId: number;
  readonly auditId: number;
  readonly atMs: number;
}

/** A scoped window (a ticket's, a user's) in which more calls were made than allowed. */
export interface ScopedViolation {
  readonly limit: string;
  readonly scope: string;
  readonly startMs: number;
  readonly max: number;
  calls: number;
}

interface ScopedWindow {
  readonly startMs: number;
  readonly counts: Map<string, number>;
}

/** Everything the simulator has counted. */
export interface Books {
  readonly calls: CallEntry[];
  callsDropped: number;
  readonly windows: Map<string, Map<number, WindowEntry>>;
  windowsDropped: number;
  readonly scoped: Map<string, ScopedWindow>;
  readonly violations: ScopedViolation[];
  readonly callers: Map<string, { calls: number; counted: number; refusedByLimit: number; refusedByFault: number }>;
  readonly refusedPerLimit: Map<string, number>;
  readonly statuses: Map<number, number>;
  readonly kinds: Map<string, number>;
  readonly effects: MarkedEffect[];
  readonly triggersFired: Map<string, number>;
  readonly screenPops: { agentId: number; ticketId: number; atMs: number }[];
}

/** Books in which nothing stands. */
export function emptyBooks(): Books {
  return {
    calls: [],
    callsDropped: 0,
    windows: new Map(),
    windowsDropped: 0,
    scoped: new Map(),
    violations: [],
    callers: new Map(),
    refusedPerLimit: new Map(),
    statuses: new Map(),
    kinds: new Map(),
    effects: [],
    triggersFired: new Map(),
    screenPops: [],
  };
}

/** Forgets everything counted so far. */
export function clearBooks(books: Books): void {
  Object.assign(books, { callsDropped: 0, windowsDropped: 0 });
  for (const part of Object.values(books) as unknown[]) {
    if (part instanceof Map) part.clear();
    else if (Array.isArray(part)) part.length = 0;
  }
}

/** Writes a call down; the oldest entries make room, their totals stay. */
export function writeCall(books: Books, entry: CallEntry, cause: RefusalCause | undefined): void {
  books.calls.push(entry);
  if (books.calls.length >= 2 * CALLS_KEPT) books.callsDropped += books.calls.splice(0, CALLS_KEPT).length;
  let totals = books.callers.get(entry.caller);
  if (!totals)
    books.callers.set(entry.caller, (totals = { calls: 0, counted: 0, refusedByLimit: 0, refusedByFault: 0 }));
  totals.calls += 1;
  if (entry.counted) totals.counted += 1;
  if (cause === 'limit') totals.refusedByLimit += 1;
  if (cause === 'injected') totals.refusedByFault += 1;
  if (cause === 'limit' && entry.refusedBy !== undefined)
    books.refusedPerLimit.set(entry.refusedBy, (books.refusedPerLimit.get(entry.refusedBy) ?? 0) + 1);
  books.statuses.set(entry.status, (books.statuses.get(entry.status) ?? 0) + 1);
  books.kinds.set(entry.kind, (books.kinds.get(entry.kind) ?? 0) + 1);
}

/** Counts a call in the true window of a limit that the whole account shares. */
export function countInWindow(
  books: Books,
  rule: LimitRule,
  at: { startMs: number; endMs: number; caller: string; units: number; refused: boolean },
): void {
  let windows = books.windows.get(rule.name);
  if (!windows) books.windows.set(rule.name, (windows = new Map()));
  let window = windows.get(at.startMs);
  if (!window) {
    window = { startMs: at.startMs, endMs: at.endMs, highestMax: rule.max, lowestMax: rule.max, callers: new Map() };
    windows.set(at.startMs, window);
    if (windows.size > WINDOWS_KEPT_PER_LIMIT) {
      const [oldest] = windows.keys();
      if (oldest !== undefined) windows.delete(oldest);
      books.windowsDropped += 1;
    }
  }
  if (rule.max > window.highestMax) window.highestMax = rule.max;
  if (rule.max < window.lowestMax) window.lowestMax = rule.max;
  let count = window.callers.get(at.caller);
  if (!count) window.callers.set(at.caller, (count = { calls: 0, refused: 0 }));
  if (at.refused) count.refused += 1;
  else count.calls += at.units;
}

/** Counts a call in the true window of a limit that each ticket, user or address has for itself. */
export function countInScope(books: Books, rule: LimitRule, at: { startMs: number; scope: string }): void {
  let window = books.scoped.get(rule.name);
  if (!window || window.startMs !== at.startMs)
    books.scoped.set(rule.name, (window = { startMs: at.startMs, counts: new Map() }));
  const calls = (window.counts.get(at.scope) ?? 0) + 1;
  window.counts.set(at.scope, calls);
  if (calls <= rule.max) return;
  const known = books.violations.find(
    ({ limit, scope, startMs }) => limit === rule.name && scope === at.scope && startMs === at.startMs,
  );
  if (known) known.calls = calls;
  else if (books.violations.length < VIOLATIONS_KEPT)
    books.violations.push({ limit: rule.name, scope: at.scope, startMs: at.startMs, max: rule.max, calls });
}

/** Writes down that marks of commands took effect in a ticket. */
export function writeEffect(books: Books, effect: MarkedEffect): void {
  books.effects.push(effect);
}

/** Writes down that a trigger fired. */
export function writeTrigger(books: Books, title: string): void {
  books.triggersFired.set(title, (books.triggersFired.get(title) ?? 0) + 1);
}
