import type { IntegrationName, Priority } from '#contracts';
import { type Limit, windowAt } from '#limits';
import type { Span } from './grant.js';

/** Whether calls fit, and if not, when they will. */
export interface Room {
  /** How many more fit now. */
  readonly calls: number;
  /** Calls that begin at or after this instant are not held up by what is full now, epoch ms. */
  readonly clearsAt: number;
  /** True where unsettled calls are in the way, so that it may clear much sooner. */
  readonly maySooner: boolean;
}

export interface Standing {
  readonly max: number;
  readonly remaining: number;
  readonly resetsAt: number;
}

/** Calls of one integration, or of one priority, in one window. */
export interface Tally {
  /** Charged to the window. */
  calls: number;
  /** What it lost of its guarantee by not asking in time (see share.ts); fractions of a call count. */
  lost: number;
}

/** One fixed window, as far as calls were charged to it. */
export interface WindowCount {
  readonly startsAt: number;
  /** First instant that no longer belongs to it. */
  readonly endsAt: number;
  charged: number;
  /** Of those, not yet settled. */
  open: number;
  /** Calls of those who don't ask; not among the charged. */
  foreign: number;
  /** By integration, and by `LIVE` and `BACKLOG`. */
  readonly tallies: Map<string, Tally>;
}

/** As which calls of these priorities are tallied beside their integration. No integration can be called so. */
export const LIVE = '(live)';
export const BACKLOG = '(backlog)';

/** One window or step: its span of time, calls charged, of those open, foreign ones, tallies of name, calls and what is lost. */
export type CountState = readonly [
  from: number,
  to: number,
  charged: number,
  open: number,
  foreign: number,
  tallies: readonly (readonly [name: string, calls: number, lost: number])[],
];

/** All that a counter knows, fit for JSON. */
export interface CounterState {
  /** Of which windows these are counts; counts of other ones are charged wherever they may belong. */
  readonly shape: string;
  readonly closedUntil: number;
  readonly counts: readonly CountState[];
}

/**
 * Counts the calls of one limit (and, for limits of a ticket or user, of one key). A call is charged wherever it could
 * arrive; settling only ever narrows that, so no charge appears in a window without having been decided for it.
 */
export interface Counter {
  /** Closed by the CRM's own word until this instant; 0 = open. */
  closedUntil: number;
  /** Do `needed` calls fit that may arrive anywhere in the span? */
  room(span: Span, needed: number): Room;
  charge(calls: number, span: Span, open: boolean, integration: IntegrationName, priority: Priority): void;
  /** Calls charged as open over `span` are now known to have arrived within `into`, or (null) never to be made. */
  narrow(calls: number, span: Span, into: Span | null, integration: IntegrationName, priority: Priority): void;
  /** Open calls that nobody settled: they stay charged, but nothing can free them any more. */
  close(calls: number, span: Span): void;
  /** Charges calls of others to the window of an instant. */
  addForeign(calls: number, at: number): void;
  /** Charges the window of an instant (or, rolling, one length from it on) with so many calls of others, instead of those before. */
  setForeign(calls: number, at: number): void;
  /** Calls of all integrations charged to the window of an instant (or, rolling, not yet freed by then). */
  chargedAt(at: number): number;
  /** How many calls a window keeps free for others, beyond those charged to it; none, until it is set. */
  keepFree: KeepFree;
  standing(at: number): Standing;
  /** Calls of one integration charged to the window of an instant (or, rolling, not yet freed by then). */
  chargedTo(integration: IntegrationName, at: number): number;
  /** The fixed window that an instant lies in; null for rolling ones. */
  windowAt(at: number): WindowCount | null;
  /** The smallest maximum in force since an instant. */
  readonly maxSince: MaxSince;
  /** Start of the one window that an instant certainly lies in, null near its edges; a rolling window is always the same one, 0. */
  windowStartAt(at: number): number | null;
  /** Drops what can no longer matter; true where nothing is left. */
  forget(nowMs: number): boolean;
  /** Everything known, so that `counterFor` makes a counter that behaves the same ever after. */
  state(): CounterState;
}

/** For a window (rolling: the length that begins at `from`) that others have `foreign` calls in: more to keep free from `from` on. */
export type KeepFree = (window: Pick<WindowCount, 'startsAt' | 'endsAt'>, foreign: number, from: number) => number;

const KEEP_NOTHING: KeepFree = () => 0;

/** The smallest maximum that was in force since an instant (a raised one counts from the next window). */
export type MaxSince = (startsAt: number) => number;

/**
 * A limit's counter, empty or as it was. What was counted in windows of another shape (a limit that was changed) is
 * charged to every window in which it may belong: too much for a while, never too little.
 */
export function counterFor(limit: Limit, maxSince: MaxSince, state: CounterState | null = null): Counter {
  const counter = emptyCounter(limit, maxSince);
  if (!state) return counter;
  counter.closedUntil = state.closedUntil;
  const same = state.shape === shapeOf(limit);
  for (const count of state.counts) counter.adopt(count, same);
  return counter;
}

function emptyCounter(limit: Limit, maxSince: MaxSince): FixedCounter | RollingCounter {
  switch (limit.kind) {
    case 'fixed':
      return new FixedCounter(limit, maxSince);
    case 'rolling':
      return new RollingCounter(limit, maxSince);
    default:
      throw new Error(`unknown kind of limit ${String(limit.kind satisfies never)}`);
  }
}

function shapeOf({ kind, lengthMs, anchor, edgeMs }: Limit): string {
  return `${kind} ${lengthMs} ${anchor} ${edgeMs}`;
}

/** Windows side by side. An edge may lie `edgeMs` off, so a call near one is charged to both sides. */
class FixedCounter implements Counter {
  closedUntil = 0;
  keepFree = KEEP_NOTHING;
  /** In order of time. Only few are remembered at once. */
  private windows: WindowCount[] = [];

  constructor(
    private readonly limit: Limit,
    readonly maxSince: MaxSince,
  ) {}

  room({ from, to }: Span, needed: number): Room {
    let calls = Number.MAX_SAFE_INTEGER;
    let clearsAt = 0;
    let maySooner = true;
    const last = to + this.limit.edgeMs;
    for (let window = this.windowAt(from - this.limit.edgeMs); ; window = this.windowAt(window.endsAt)) {
      const kept = this.keepFree(window, window.foreign, from);
      const left = Math.max(0, this.maxSince(window.startsAt) - window.charged - window.foreign - kept);
      if (left < calls) calls = left;
      if (left < needed) {
        clearsAt = window.endsAt + this.limit.edgeMs;
        maySooner &&= window.open > 0 || kept > this.keepFree(window, window.foreign, window.endsAt);
      }
      if (window.endsAt > last) return { calls, clearsAt, maySooner: maySooner && clearsAt > 0 };
    }
  }

  charge(calls: number, { from, to }: Span, open: boolean, integration: IntegrationName, priority: Priority): void {
    const last = to + this.limit.edgeMs;
    for (let window = this.windowAt(from - this.limit.edgeMs); ; window = this.windowAt(window.endsAt)) {
      window.charged += calls;
      if (open) window.open += calls;
      tallyCalls(window.tallies, calls, integration, priority);
      if (window.endsAt > last) return;
    }
  }

  narrow(calls: number, span: Span, into: Span | null, integration: IntegrationName, priority: Priority): void {
    const { edgeMs } = this.limit;
    for (const window of this.windows) {
      // Fewer open than that: counted in windows of another shape, where each may be charged more often than it touches.
      if (!touches(window, span, edgeMs) || window.open < calls) continue;
      window.open -= calls;
      if (into && touches(window, into, edgeMs)) continue;
      window.charged -= calls;
      tallyCalls(window.tallies, -calls, integration, priority);
    }
  }

  close(calls: number, span: Span): void {
    for (const window of this.windows)
      if (touches(window, span, this.limit.edgeMs)) window.open = Math.max(0, window.open - calls);
  }

  addForeign(calls: number, at: number): void {
    this.windowAt(at).foreign += calls;
  }

  setForeign(calls: number, at: number): void {
    this.windowAt(at).foreign = calls;
  }

  chargedAt(at: number): number {
    return this.windowAt(at).charged;
  }

  standing(at: number): Standing {
    const window = this.windowAt(at);
    const max = this.maxSince(window.startsAt);
    return { max, remaining: Math.max(0, max - window.charged - window.foreign), resetsAt: window.endsAt };
  }

  chargedTo(integration: IntegrationName, at: number): number {
    return this.windowAt(at).tallies.get(integration)?.calls ?? 0;
  }

  windowStartAt(at: number): number | null {
    const window = this.windowAt(at);
    const { edgeMs } = this.limit;
    return at - edgeMs >= window.startsAt && at + edgeMs < window.endsAt ? window.startsAt : null;
  }

  forget(nowMs: number): boolean {
    const { edgeMs } = this.limit;
    if (this.windows[0] && this.windows[0].endsAt + edgeMs < nowMs)
      this.windows = this.windows.filter(({ endsAt }) => endsAt + edgeMs >= nowMs);
    return this.closedUntil <= nowMs && !this.windows.some(isCounted);
  }

  state(): CounterState {
    const counts = this.windows
      .filter((window) => isCounted(window) || window.tallies.size > 0)
      .map(({ startsAt, endsAt, charged, open, foreign, tallies }): CountState => {
        return [startsAt, endsAt, charged, open, foreign, talliesState(tallies)];
      });
    return { shape: shapeOf(this.limit), closedUntil: this.closedUntil, counts };
  }

  /** Takes counts in: exactly as they were, or to every window that their span meets. */
  adopt([from, to, charged, open, foreign, tallies]: CountState, same: boolean): void {
    if (same) {
      this.insert({ startsAt: from, endsAt: to, charged, open, foreign, tallies: talliesOf(tallies) });
      return;
    }
    for (let window = this.windowAt(from); window.startsAt < to; window = this.windowAt(window.endsAt)) {
      window.charged += charged;
      window.open += open;
      window.foreign += foreign;
      for (const [name, calls] of tallies) addTo(window.tallies, name, calls);
    }
  }

  windowAt(at: number): WindowCount {
    for (let i = this.windows.length - 1; i >= 0; i--) {
      const window = this.windows[i]!;
      if (at >= window.endsAt) break;
      if (at >= window.startsAt) return window;
    }
    return this.insert({ ...windowAt(this.limit, at), charged: 0, open: 0, foreign: 0, tallies: new Map() });
  }

  private insert(window: WindowCount): WindowCount {
    let index = this.windows.length;
    while (index > 0 && this.windows[index - 1]!.startsAt > window.startsAt) index -= 1;
    this.windows.splice(index, 0, window);
    return window;
  }
}

function isCounted({ charged, foreign }: Pick<WindowCount, 'charged' | 'foreign'>): boolean {
  return charged > 0 || foreign > 0;
}

function touches(window: WindowCount, span: Span, edgeMs: number): boolean {
  return window.startsAt <= span.to + edgeMs && window.endsAt > span.from - edgeMs;
}

function tallyCalls(tallies: Map<string, Tally>, calls: number, name: IntegrationName, priority: Priority): void {
  addTo(tallies, name, calls);
  if (priority === 'live') addTo(tallies, LIVE, calls);
  else if (priority === 'backlog') addTo(tallies, BACKLOG, calls);
}

function addTo(tallies: Map<string, Tally>, name: string, calls: number): void {
  const tally = tallies.get(name);
  if (tally) tally.calls += calls;
  else tallies.set(name, { calls, lost: 0 });
}

function talliesState(tallies: ReadonlyMap<string, Tally>): [string, number, number][] {
  return [...tallies].map(([name, { calls, lost }]) => [name, calls, lost]);
}

function talliesOf(state: CountState[5]): Map<string, Tally> {
  return new Map(state.map(([name, calls, lost]) => [name, { calls, lost }]));
}

/** A rolling window is counted in this many steps: charges are freed at most one step late. */
const ROLLING_STEPS = 240;

interface Step {
  readonly freedAt: number;
  charged: number;
  open: number;
  foreign: number;
  readonly tallies: Map<string, Tally>;
}

/** Any span of the limit's length. A charge is freed one length after the last instant at which it could arrive. */
class RollingCounter implements Counter {
  closedUntil = 0;
  keepFree = KEEP_NOTHING;
  private readonly stepMs: number;
  /** In order of when they are freed. */
  private steps: Step[] = [];

  constructor(
    private readonly limit: Limit,
    readonly maxSince: MaxSince,
  ) {
    this.stepMs = Math.max(1, Math.ceil(limit.lengthMs / ROLLING_STEPS));
  }

  room({ from }: Span, needed: number): Room {
    const begins = from - this.limit.edgeMs;
    const max = this.maxSince(begins - this.limit.lengthMs);
    let charged = 0;
    let open = 0;
    let foreign = 0;
    for (const step of this.steps) {
      if (step.freedAt <= begins) continue;
      charged += step.charged + step.foreign;
      foreign += step.foreign;
      open += step.open;
    }
    charged += this.keepFree({ startsAt: from, endsAt: from + this.limit.lengthMs }, foreign, from);
    const calls = Math.max(0, max - charged);
    if (calls >= needed) return { calls, clearsAt: 0, maySooner: false };
    let clearsAt = 0;
    for (const step of this.steps) {
      if (max - charged >= needed) break;
      if (step.freedAt <= begins) continue;
      charged -= step.charged + step.foreign;
      clearsAt = step.freedAt + this.limit.edgeMs;
    }
    // Everything freed and still too few: a raised maximum counts only once a whole length has passed since.
    if (max - charged < needed) clearsAt = Math.max(clearsAt, begins + this.limit.lengthMs);
    return { calls, clearsAt, maySooner: open > 0 };
  }

  charge(calls: number, span: Span, open: boolean, integration: IntegrationName, priority: Priority): void {
    const step = this.step(this.freedAt(span.to));
    step.charged += calls;
    if (open) step.open += calls;
    tallyCalls(step.tallies, calls, integration, priority);
  }

  narrow(calls: number, span: Span, into: Span | null, integration: IntegrationName, priority: Priority): void {
    const step = this.steps.find(({ freedAt }) => freedAt === this.freedAt(span.to));
    if (!step || step.open < calls) return;
    step.charged -= calls;
    step.open -= calls;
    tallyCalls(step.tallies, -calls, integration, priority);
    if (into) this.charge(calls, into, false, integration, priority);
  }

  close(calls: number, span: Span): void {
    const step = this.steps.find(({ freedAt }) => freedAt === this.freedAt(span.to));
    if (step) step.open = Math.max(0, step.open - calls);
  }

  addForeign(calls: number, at: number): void {
    this.step(this.freedAt(at)).foreign += calls;
  }

  setForeign(calls: number, at: number): void {
    for (const step of this.steps) step.foreign = 0;
    this.step(this.freedAt(at)).foreign = calls;
  }

  chargedAt(at: number): number {
    return this.steps.reduce((sum, { freedAt, charged }) => (freedAt > at ? sum + charged : sum), 0);
  }

  standing(at: number): Standing {
    const max = this.maxSince(at - this.limit.lengthMs);
    let charged = 0;
    let resetsAt = at;
    for (const step of this.steps) {
      if (step.freedAt <= at || !isCounted(step)) continue;
      charged += step.charged + step.foreign;
      resetsAt = step.freedAt;
    }
    return { max, remaining: Math.max(0, max - charged), resetsAt };
  }

  chargedTo(integration: IntegrationName, at: number): number {
    let calls = 0;
    for (const { freedAt, tallies } of this.steps) if (freedAt > at) calls += tallies.get(integration)?.calls ?? 0;
    return calls;
  }

  windowAt(): null {
    return null;
  }

  windowStartAt(): number | null {
    return 0;
  }

  forget(nowMs: number): boolean {
    const { edgeMs } = this.limit;
    if (this.steps[0] && this.steps[0].freedAt + edgeMs < nowMs)
      this.steps = this.steps.filter(({ freedAt }) => freedAt + edgeMs >= nowMs);
    return this.steps.length === 0 && this.closedUntil <= nowMs;
  }

  state(): CounterState {
    const counts = this.steps.map(({ freedAt, charged, open, foreign, tallies }): CountState => {
      const arrivedBy = freedAt - this.limit.lengthMs - this.limit.edgeMs;
      return [arrivedBy - this.limit.lengthMs, freedAt, charged, open, foreign, talliesState(tallies)];
    });
    return { shape: shapeOf(this.limit), closedUntil: this.closedUntil, counts };
  }

  /** Takes counts in: exactly as they were, or as if all had arrived at the end of their span. */
  adopt([, to, charged, open, foreign, tallies]: CountState, same: boolean): void {
    const step = this.step(same ? to : this.freedAt(to));
    step.charged += charged;
    step.open += open;
    step.foreign += foreign;
    for (const [name, calls] of tallies) addTo(step.tallies, name, calls);
  }

  private freedAt(to: number): number {
    return Math.ceil((to + this.limit.edgeMs + this.limit.lengthMs) / this.stepMs) * this.stepMs;
  }

  private step(freedAt: number): Step {
    let index = this.steps.length;
    while (index > 0 && this.steps[index - 1]!.freedAt > freedAt) index -= 1;
    const before = this.steps[index - 1];
    if (before?.freedAt === freedAt) return before;
    const step: Step = { freedAt, charged: 0, open: 0, foreign: 0, tallies: new Map() };
    this.steps.splice(index, 0, step);
    return step;
  }
}
