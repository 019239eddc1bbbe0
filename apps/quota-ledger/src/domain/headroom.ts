/*
 * How many calls to keep free for those who don't ask the ledger. What they used in each window of a limit is learned by
 * hour of the week: a decayed histogram, whose high quantile is kept free in such hours, and never less than the last
 * few windows showed. Of windows that were full more is learned than was seen, as it isn't known what was refused.
 */

/** What one hour of the week showed. */
interface Slot {
  /** Week (since 1970) in which it last learned. */
  week: number;
  /** Windows seen, decayed, by size class of the calls seen in them. */
  weights: Record<number, number>;
  /** Calls seen in those windows, decayed alike. */
  calls: number;
}

/** All that was learned of one limit, fit for JSON. */
export interface HeadroomState {
  readonly slots: Readonly<Record<number, Slot>>;
  /** The last windows, newest last. */
  readonly recent: readonly { readonly startsAt: number; readonly calls: number }[];
}

export const NOTHING_LEARNED: HeadroomState = { slots: {}, recent: [] };

/** A window that is over, and when it was first seen full, epoch ms; null = never. */
export interface SeenWindow {
  readonly startsAt: number;
  readonly endsAt: number;
  readonly max: number;
  readonly filledAt: number | null;
}

const HOURS_PER_WEEK = 168;
const MINUTES_PER_HOUR = 60;
/** What a window of last week counts, beside one of this week. */
const DECAY_PER_WEEK = 0.5;
/** In all but this part of such windows what was kept free would have been enough. */
const QUANTILE = 0.95;
const LEAST_WEIGHT = 0.01;
/** How many windows back the last ones reach. */
const RECENT_WINDOWS = 3;
/** Beside what was seen in a full window, this part of its maximum may have been refused. */
const REFUSED_PART = 0.05;
/** What is learned never keeps more than this part free: without calls of ours nothing new would be seen. */
const MOST_KEPT_PART = 0.9;
/** Size classes per doubling. */
const CLASSES_PER_DOUBLING = 4;

/** What was learned, and then one more window. `minuteMs` is the account's own minute. */
export function learn(state: HeadroomState, window: SeenWindow, foreignSeen: number, minuteMs: number): HeadroomState {
  const calls = wanted(window, foreignSeen);
  const { week, hour } = hourOfWeek(window.startsAt, minuteMs);
  const before = state.slots[hour];
  const decay = before ? DECAY_PER_WEEK ** Math.max(0, week - before.week) : 0;
  const weights: Record<number, number> = {};
  for (const [index, weight] of Object.entries(before?.weights ?? {}))
    if (weight * decay >= LEAST_WEIGHT) weights[Number(index)] = weight * decay;
  weights[classOf(calls)] = (weights[classOf(calls)] ?? 0) + 1;
  const slot = { week, weights, calls: (before?.calls ?? 0) * decay + calls };
  const recent = [...state.recent, { startsAt: window.startsAt, calls }].slice(-RECENT_WINDOWS);
  return { slots: { ...state.slots, [hour]: slot }, recent };
}

/** Calls to keep free for others in a window that begins at `startsAt`, of `lengthMs`, with this maximum. */
export function headroomOf(
  state: HeadroomState,
  startsAt: number,
  { lengthMs, max, minuteMs }: { readonly lengthMs: number; readonly max: number; readonly minuteMs: number },
): number {
  const slot = state.slots[hourOfWeek(startsAt, minuteMs).hour];
  let calls = slot ? quantile(slot.weights) : 0;
  for (const seen of state.recent)
    if (seen.startsAt < startsAt && startsAt - seen.startsAt <= RECENT_WINDOWS * lengthMs)
      calls = Math.max(calls, seen.calls);
  return Math.min(calls, Math.floor(max * MOST_KEPT_PART));
}

/**
 * Calls that others are to be expected to make between two instants, by what such hours showed on average: what a window
 * of a day keeps free. `lengthMs` is that of the windows that were learned.
 */
export function expectedBetween(
  state: HeadroomState,
  from: number,
  to: number,
  { lengthMs, minuteMs }: { readonly lengthMs: number; readonly minuteMs: number },
): number {
  const hourMs = MINUTES_PER_HOUR * minuteMs;
  let calls = 0;
  for (let at = from; at < to;) {
    const next = Math.min(to, (Math.floor(at / hourMs) + 1) * hourMs);
    const slot = state.slots[hourOfWeek(at, minuteMs).hour];
    if (slot) calls += (mean(slot) * (next - at)) / lengthMs;
    at = next;
  }
  return Math.ceil(calls);
}

/** In a window that was full others may have wanted more than they got: as fast as until then, and a little. */
function wanted({ startsAt, endsAt, max, filledAt }: SeenWindow, seen: number): number {
  if (filledAt === null || seen === 0) return seen;
  const pace = seen / Math.max(1, filledAt - startsAt);
  return Math.min(max, Math.max(Math.ceil(pace * (endsAt - startsAt)), seen + Math.ceil(max * REFUSED_PART)));
}

function hourOfWeek(at: number, minuteMs: number): { readonly week: number; readonly hour: number } {
  const hours = Math.floor(at / (MINUTES_PER_HOUR * minuteMs));
  return { week: Math.floor(hours / HOURS_PER_WEEK), hour: hours % HOURS_PER_WEEK };
}

function classOf(calls: number): number {
  return calls <= 0 ? 0 : 1 + Math.floor(CLASSES_PER_DOUBLING * Math.log2(calls));
}

/** The most calls that a size class stands for. */
function mostOf(index: number): number {
  return index === 0 ? 0 : Math.ceil(2 ** (index / CLASSES_PER_DOUBLING)) - 1;
}

function quantile(weights: Readonly<Record<number, number>>): number {
  const classes = Object.entries(weights).map(([index, weight]) => [Number(index), weight] as const);
  let above = classes.reduce((sum, [, weight]) => sum + weight, 0) * (1 - QUANTILE);
  for (const [index, weight] of classes.toSorted(([a], [b]) => b - a)) {
    above -= weight;
    if (above < 0) return mostOf(index);
  }
  return 0;
}

function mean({ weights, calls }: Slot): number {
  const windows = Object.values(weights).reduce((sum, weight) => sum + weight, 0);
  return windows === 0 ? 0 : calls / windows;
}
