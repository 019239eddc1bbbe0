import { describe, expect, it } from '@jest/globals';
import { backoffMs } from './backoff.js';
import { type Clock, systemClock } from './clock.js';
import { randomId } from './new-id.js';
import { settledWithin } from './within.js';

describe('the system clock', () => {
  it('measures waits on its monotonic face', async () => {
    const startedAt = systemClock.monotonicMs();

    await systemClock.sleep(15);

    expect(systemClock.monotonicMs() - startedAt).toBeGreaterThanOrEqual(14);
  });

  it('tells whole milliseconds since 1970', () => {
    expect(Number.isInteger(systemClock.nowMs())).toBe(true);
    expect(Math.abs(systemClock.nowMs() - Date.now())).toBeLessThan(1_000);
  });

  it('does not wait for nothing or less', async () => {
    await systemClock.sleep(0);
    await systemClock.sleep(-5);
    expect(true).toBe(true);
  });

  it('ends a wait with the reason of its signal', async () => {
    const stop = new AbortController();
    const waiting = systemClock.sleep(60_000, stop.signal);

    stop.abort(new RangeError('stopping'));

    await expect(waiting).rejects.toBeInstanceOf(RangeError);
    await expect(systemClock.sleep(1, stop.signal)).rejects.toThrow('stopping');
  });

  it('bears waits longer than one timer can hold', async () => {
    const stop = new AbortController();
    const waiting = systemClock.sleep(2 ** 40, stop.signal).then(
      () => 'over',
      () => 'aborted',
    );

    const first = await Promise.race([waiting, systemClock.sleep(20).then(() => 'still waiting')]);
    stop.abort();

    expect(first).toBe('still waiting');
    expect(await waiting).toBe('aborted');
  });
});

describe('backing off', () => {
  it('doubles from the first wait to the longest', () => {
    const waits = [1, 2, 3, 4, 5, 1_000].map((failures) => backoffMs(failures, { firstMs: 100, mostMs: 1_000 }));

    expect(waits).toEqual([100, 200, 400, 800, 1_000, 1_000]);
  });

  it('takes up to a quarter off by chance', () => {
    expect(backoffMs(1, { firstMs: 100, mostMs: 1_000 }, 0.5)).toBe(88);
    expect(backoffMs(1, { firstMs: 100, mostMs: 1_000 }, 0.999)).toBe(75);
  });
});

describe('waiting within a limit', () => {
  const never: Clock = { nowMs: () => 0, monotonicMs: () => 0, sleep: () => new Promise(() => undefined) };
  const atOnce: Clock = { ...never, sleep: () => Promise.resolve() };

  it('tells whether it was in time, however it ended', async () => {
    expect(await settledWithin(Promise.resolve(1), 10, never)).toBe(true);
    expect(await settledWithin(Promise.reject(new Error('no')), 10, never)).toBe(true);
    expect(await settledWithin(new Promise(() => undefined), 10, atOnce)).toBe(false);
  });
});

describe('a random id', () => {
  it('is new every time and safe in a subject', () => {
    const ids = Array.from({ length: 1_000 }, randomId);

    expect(new Set(ids).size).toBe(1_000);
    for (const id of ids) expect(id).toMatch(/^[0-9a-f-]{36}$/);
  });
});
