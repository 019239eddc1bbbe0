import { describe, expect, it } from '@jest/globals';
import { MAX_ATTEMPTS, nextAttempt } from './next-attempt.js';

const after = (attempts: number, more: Partial<Parameters<typeof nextAttempt>[1]> = {}) =>
  nextAttempt(attempts, { own: true, toldWaitMs: null, random: 0, ...more });

describe('the next attempt', () => {
  it('comes later each time, within a bound', () => {
    expect(after(0)).toEqual({ next: 'waiting', inMs: 1_000, attempts: 1 });
    expect(after(3)).toEqual({ next: 'waiting', inMs: 8_000, attempts: 4 });
    for (let attempts = 0; attempts < MAX_ATTEMPTS - 1; attempts += 1) {
      const next = after(attempts);
      expect(next.next === 'waiting' && next.inMs <= 120_000).toBe(true);
    }
  });

  it('is spread by chance', () => {
    expect(after(0, { random: 0.99 })).toMatchObject({ inMs: 505 });
  });

  it('keeps to what the CRM asks for', () => {
    expect(after(0, { toldWaitMs: 30_000, random: 0.5 })).toMatchObject({ inMs: 30_250 });
  });

  it('ends after so many failures of its own', () => {
    expect(after(MAX_ATTEMPTS - 1)).toEqual({ next: 'parked', code: 'attempts_exhausted', attempts: MAX_ATTEMPTS });
  });

  it('spends nothing on failures that are everybody’s', () => {
    expect(after(MAX_ATTEMPTS - 1, { own: false })).toMatchObject({ next: 'waiting', attempts: MAX_ATTEMPTS - 1 });
  });
});
