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

/**
 * Counts the calls of one limit (and, for limits of a ticket or user, of one key). A call is charged wherever it could
 * arrive; settling only ever narrows that, so no charge appears in a window without having been decided for it.
 */
export interface Counter {
  /** Closed by the CRM's own word until this instant; 0 = open. */
  closedUntil: number;
  /** Do `needed` calls fit that may arrive anywhere in the span? */
  room(span: Span, needed: number): Room;
  charge(calls: number, span: Span, open: boolean): void;
  /** Calls charged as open over `span` are now known to have arrived within `into`, or (null) never to be made. */
  narrow(calls: number, span: Span, into: Span | null): void;
  /** Open calls that nobody settled: they stay charged, but nothing can free them any more. */
  close(calls: number, span: Span): void;
  /** Charges calls of others to the window of an instant. */
  addForeign(calls: number, at: number): void;
  standing(at: number): Standing;
  /** Start of the one window that an instant certainly lies in, null near its edges; a rolling window is always the same one, 0. */
  windowStartAt(at: number): number | null;
  /** Drops what can no longer matter; true where nothing is left. */
  forget(nowMs: number): boolean;
}

/** The smallest maximum that was in force since an instant (a raised one counts from the next window). */
export type MaxSince = (startsAt: number) => number;

export function counterFor(limit: Limit, maxSince: MaxSince): Counter {
  switch (limit.kind) {
    case 'fixed':
      return new FixedCounter(limit, maxSince);
    case 'rolling':
      return new RollingCounter(limit, maxSince);
    default:
      throw new Error(`unknown kind of limit ${String(limit.kind satisfies never)}`);
  }
}

interface WindowCount {
  readonly startsAt: number;
  readonly endsAt: number;
  charged: number;
  /** Of those, not yet settled. */
  open: number;
  foreign: number;
}

/** Windows side by side. An edge may lie `edgeMs` off, so a call near one is charged to both sides. */
class FixedCounter implements Counter {
  closedUntil = 0;
  private readonly windows = new Map<number, WindowCount>();
  private newest: WindowCount | null = null;

  constructor(
    private readonly limit: Limit,
    private readonly maxSince: MaxSince,
  ) {}

  room({ from, to }: Span, needed: number): Room {
    let calls = Number.MAX_SAFE_INTEGER;
    let clearsAt = 0;
    let maySooner = true;
    const last = to + this.limit.edgeMs;
    for (let window = this.at(from - this.limit.edgeMs); ; window = this.at(window.endsAt)) {
      const left = Math.max(0, this.maxSince(window.startsAt) - window.charged - window.foreign);
      if (left < calls) calls = left;
      if (left < needed) {
        clearsAt = window.endsAt + this.limit.edgeMs;
        maySooner &&= window.open > 0;
      }
      if (window.endsAt > last) return { calls, clearsAt, maySooner: maySooner && clearsAt > 0 };
    }
  }

  charge(calls: number, { from, to }: Span, open: boolean): void {
    const last = to + this.limit.edgeMs;
    for (let window = this.at(from - this.limit.edgeMs); ; window = this.at(window.endsAt)) {
      window.charged += calls;
      if (open) window.open += calls;
      if (window.endsAt > last) return;
    }
  }

  narrow(calls: number, span: Span, into: Span | null): void {
    const { edgeMs } = this.limit;
    for (const window of this.windows.values()) {
      if (!touches(window, span, edgeMs)) continue;
      window.open -= calls;
      if (!into || !touches(window, into, edgeMs)) window.charged -= calls;
    }
  }

  close(calls: number, span: Span): void {
    for (const window of this.windows.values()) if (touches(window, span, this.limit.edgeMs)) window.open -= calls;
  }

  addForeign(calls: number, at: number): void {
    this.at(at).foreign += calls;
  }

  standing(at: number): Standing {
    const window = this.at(at);
    const max = this.maxSince(window.startsAt);
    return { max, remaining: Math.max(0, max - window.charged - window.foreign), resetsAt: window.endsAt };
  }

  windowStartAt(at: number): number | null {
    const window = this.at(at);
    const { edgeMs } = this.limit;
    return at - edgeMs >= window.startsAt && at + edgeMs < window.endsAt ? window.startsAt : null;
  }

  forget(nowMs: number): boolean {
    for (const window of this.windows.values())
      if (window.endsAt + this.limit.edgeMs < nowMs) this.windows.delete(window.startsAt);
    if (this.newest && !this.windows.has(this.newest.startsAt)) this.newest = null;
    const live = [...this.windows.values()].some((window) => window.charged > 0 || window.foreign > 0);
    return !live && this.closedUntil <= nowMs;
  }

  private at(at: number): WindowCount {
    const newest = this.newest;
    if (newest && at >= newest.startsAt && at < newest.endsAt) return newest;
    for (const window of this.windows.values()) if (at >= window.startsAt && at < window.endsAt) return window;
    const window: WindowCount = { ...windowAt(this.limit, at), charged: 0, open: 0, foreign: 0 };
    this.windows.set(window.startsAt, window);
    if (!newest || window.startsAt > newest.startsAt) this.newest = window;
    return window;
  }
}

function touches(window: WindowCount, span: Span, edgeMs: number): boolean {
  return window.startsAt <= span.to + edgeMs && window.endsAt > span.from - edgeMs;
}

/** A rolling window is counted in this many steps: charges are freed at most one step late. */
const ROLLING_STEPS = 240;

interface Step {
  calls: number;
  open: number;
}

/** Any span of the limit's length. A charge is freed one length after the last instant at which it could arrive. */
class RollingCounter implements Counter {
  closedUntil = 0;
  private readonly stepMs: number;
  private readonly steps = new Map<number, Step>();

  constructor(
    private readonly limit: Limit,
    private readonly maxSince: MaxSince,
  ) {
    this.stepMs = Math.max(1, Math.ceil(limit.lengthMs / ROLLING_STEPS));
  }

  room({ from }: Span, needed: number): Room {
    const begins = from - this.limit.edgeMs;
    const max = this.maxSince(begins - this.limit.lengthMs);
    const held = [...this.steps].filter(([freedAt]) => freedAt > begins).toSorted(([a], [b]) => a - b);
    let charged = held.reduce((sum, [, step]) => sum + step.calls, 0);
    const calls = Math.max(0, max - charged);
    let clearsAt = 0;
    for (const [freedAt, step] of held) {
      if (max - charged >= needed) break;
      charged -= step.calls;
      clearsAt = freedAt + this.limit.edgeMs;
    }
    // Everything freed and still too few: a raised maximum counts only once a whole length has passed since.
    if (max - charged < needed) clearsAt = Math.max(clearsAt, begins + this.limit.lengthMs);
    return { calls, clearsAt, maySooner: calls < needed && held.some(([, step]) => step.open > 0) };
  }

  charge(calls: number, span: Span, open: boolean): void {
    const step = this.step(this.freedAt(span.to));
    step.calls += calls;
    if (open) step.open += calls;
  }

  narrow(calls: number, span: Span, into: Span | null): void {
    const step = this.steps.get(this.freedAt(span.to));
    if (!step) return;
    step.calls -= calls;
    step.open -= calls;
    if (into) this.step(this.freedAt(into.to)).calls += calls;
  }

  close(calls: number, span: Span): void {
    const step = this.steps.get(this.freedAt(span.to));
    if (step) step.open -= calls;
  }

  addForeign(calls: number, at: number): void {
    this.step(this.freedAt(at)).calls += calls;
  }

  standing(at: number): Standing {
    const max = this.maxSince(at - this.limit.lengthMs);
    const held = [...this.steps].filter(([freedAt, step]) => freedAt > at && step.calls > 0);
    const charged = held.reduce((sum, [, step]) => sum + step.calls, 0);
    const resetsAt = held.reduce((latest, [freedAt]) => Math.max(latest, freedAt), at);
    return { max, remaining: Math.max(0, max - charged), resetsAt };
  }

  windowStartAt(): number | null {
    return 0;
  }

  forget(nowMs: number): boolean {
    for (const [freedAt] of this.steps) if (freedAt + this.limit.edgeMs < nowMs) this.steps.delete(freedAt);
    return this.steps.size === 0 && this.closedUntil <= nowMs;
  }

  private freedAt(to: number): number {
    return Math.ceil((to + this.limit.edgeMs + this.limit.lengthMs) / this.stepMs) * this.stepMs;
  }

  private step(freedAt: number): Step {
    let step = this.steps.get(freedAt);
    if (!step) {
      step = { calls: 0, open: 0 };
      this.steps.set(freedAt, step);
    }
    return step;
  }
}
