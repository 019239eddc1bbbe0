/*
 * At a speed other than 1 the simulated clock runs away from the real one. Instants that answers show, and that
 * callers name, are of the clock the caller lives by; everything inside is simulated time.
 */
import { isoOf } from './calendar.js';

/** simulated = shown × speed − behindMs */
export interface ShownClock {
  readonly speed: number;
  readonly behindMs: number;
}

interface Showing {
  readonly options: { readonly shownClock: ShownClock };
}

/** A simulated instant as callers are shown it, epoch milliseconds. */
export function shownMs({ options }: Showing, ms: number): number {
  const { speed, behindMs } = options.shownClock;
  return speed === 1 && behindMs === 0 ? ms : Math.round((ms + behindMs) / speed);
}

/** A simulated instant as ISO text on the caller's clock. */
export function isoAt(showing: Showing, ms: number): string {
  return isoOf(shownMs(showing, ms));
}

/** The simulated instant that a caller means, epoch milliseconds. */
export function simulatedMs({ options }: Showing, shown: number): number {
  return shown * options.shownClock.speed - options.shownClock.behindMs;
}
