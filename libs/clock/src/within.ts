import type { Clock } from './clock.js';

/** True where the promise settled (either way) within the time, false where it is still under way then. Never rejects. */
export async function settledWithin(promise: Promise<unknown>, limitMs: number, clock: Clock): Promise<boolean> {
  const over = new AbortController();
  const settled = promise.then(
    () => true,
    () => true,
  );
  const late = clock.sleep(limitMs, over.signal).then(
    () => false,
    () => false,
  );
  const inTime = await Promise.race([settled, late]);
  over.abort();
  return inTime;
}
