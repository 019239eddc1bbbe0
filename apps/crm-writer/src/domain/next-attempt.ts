/** Failures of its own after which a write is parked instead of tried again. */
export const MAX_ATTEMPTS = 8;
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 120_000;
/** Part of a wait that chance takes off, so that what failed together doesn't come back together. */
const JITTER = 0.5;

export type NextAttempt =
  | { readonly next: 'waiting'; readonly inMs: number; readonly attempts: number }
  | { readonly next: 'parked'; readonly code: 'attempts_exhausted'; readonly attempts: number };

/**
 * After a failure: when the write may go again, or that it has failed often enough. `own` = the failure was about this
 * write, while others got through; a CRM that fails for everybody burns no attempts. `toldWaitMs` (what the CRM asked for)
 * is kept to, chance only adds to it. `random` in [0, 1).
 */
export function nextAttempt(
  attempts: number,
  { own, toldWaitMs, random }: { readonly own: boolean; readonly toldWaitMs: number | null; readonly random: number },
): NextAttempt {
  const after = own ? attempts + 1 : attempts;
  if (after >= MAX_ATTEMPTS) return { next: 'parked', code: 'attempts_exhausted', attempts: after };
  const backoffMs = Math.min(FIRST_WAIT_MS * 2 ** Math.max(after - 1, 0), LONGEST_WAIT_MS);
  const inMs = toldWaitMs === null ? backoffMs * (1 - JITTER * random) : toldWaitMs + FIRST_WAIT_MS * JITTER * random;
  return { next: 'waiting', inMs: Math.round(inMs), attempts: after };
}
