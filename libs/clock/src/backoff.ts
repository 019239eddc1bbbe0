/** How waits grow between attempts. */
export interface Backoff {
  readonly firstMs: number;
  readonly mostMs: number;
}

/**
 * How long to wait after `failures` failures in a row (1 = the first): doubling from `firstMs`, never more than `mostMs`.
 * `random` in [0, 1) takes up to a quarter off, so that many waiters don't come back together.
 */
export function backoffMs(failures: number, { firstMs, mostMs }: Backoff, random = 0): number {
  const doublings = Math.min(Math.max(failures - 1, 0), 30);
  const fullMs = Math.min(firstMs * 2 ** doublings, mostMs);
  return Math.round(fullMs * (1 - random / 4));
}
