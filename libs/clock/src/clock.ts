import { setTimeout as after } from 'node:timers/promises';

/** Time as everything in Sluice sees it: handed in, so that the same code runs in virtual time. */
export interface Clock {
  /** Wall clock, epoch ms, whole. May jump; use it for instants that people or other machines see. */
  nowMs(): number;
  /** Never runs backwards, unaffected by wall-clock changes; ms since an arbitrary start, with fractions. For durations. */
  monotonicMs(): number;
  /**
   * Resolves after `ms` (at once for 0 or less). Rejects with the signal's reason when it is aborted before or during
   * the wait. A wait keeps the process alive: end those that nobody needs any more by their signal.
   */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** Longest wait one timer can hold (2^31 − 1 ms, about 24.8 days): Node fires longer ones at once. */
const TIMER_LIMIT_MS = 2 ** 31 - 1;

/** The machine's own time. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: async (ms, signal) => {
    signal?.throwIfAborted();
    let leftMs = ms;
    while (leftMs > 0) {
      const partMs = Math.min(leftMs, TIMER_LIMIT_MS);
      // Node rejects with an AbortError of its own; callers are promised the signal's reason.
      await after(partMs, undefined, signal ? { signal } : {}).catch((error: unknown) => {
        signal?.throwIfAborted();
        throw error;
      });
      leftMs -= partMs;
    }
  },
};
