import { describe, expect, it } from '@jest/globals';
import { ScaledClock } from './scaled-clock.js';

const NOW_MS = Date.parse('2026-03-10T17:23:45.678Z');
const DAY_MS = 86_400_000;

describe('the scaled clock', () => {
  it('is the real one at speed 1', () => {
    expect(new ScaledClock(1, () => NOW_MS).nowMs()).toBe(NOW_MS);
  });

  it.each([0.5, 2, 10, 600, 10_000])(
    'at speed %d begins within a day of the real one and turns its windows with it',
    (speed) => {
      let realMs = NOW_MS;
      const clock = new ScaledClock(speed, () => realMs);
      expect(Math.abs(clock.nowMs() - NOW_MS)).toBeLessThan(DAY_MS);
      const startMs = clock.nowMs();
      realMs = Math.ceil(NOW_MS / (60_000 / speed)) * (60_000 / speed);
      const beyondTurnMs = clock.nowMs() % 60_000;
      expect(Math.min(beyondTurnMs, 60_000 - beyondTurnMs)).toBeLessThan(5);
      expect(clock.nowMs() - startMs).toBeCloseTo((realMs - NOW_MS) * speed, -1);
      expect(clock.realMs(60_000)).toBe(60_000 / speed);
    },
  );
});
