import { describe, expect, it } from '@jest/globals';
import { MINUTE_START } from './demo-books.fixture.spec.js';
import { expectedBetween, type HeadroomState, headroomOf, learn, NOTHING_LEARNED } from './headroom.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const WEEK_MS = 168 * HOUR_MS;
const MINUTES = { lengthMs: MINUTE_MS, minuteMs: MINUTE_MS };
const OF = { ...MINUTES, max: 200 };

function seen(
  calls: readonly number[],
  { from = MINUTE_START, state = NOTHING_LEARNED }: { readonly from?: number; readonly state?: HeadroomState } = {},
): HeadroomState {
  return calls.reduce((before, each, index) => {
    const startsAt = from + index * MINUTE_MS;
    return learn(before, { startsAt, endsAt: startsAt + MINUTE_MS, max: 200, filledAt: null }, each, MINUTE_MS);
  }, state);
}

describe('the headroom learned for others', () => {
  it('is nothing while nobody was seen', () => {
    expect(headroomOf(NOTHING_LEARNED, MINUTE_START, OF)).toBe(0);
    expect(headroomOf(seen([0, 0, 0]), MINUTE_START + 3 * MINUTE_MS, OF)).toBe(0);
  });

  it('holds a new one from the next window on', () => {
    expect(headroomOf(seen([0, 0, 40]), MINUTE_START + 3 * MINUTE_MS, OF)).toBeGreaterThanOrEqual(40);
  });

  it('holds a new one across the turn of the hour, and lets go of what is not seen again', () => {
    const nearTheTurn = seen([0, 0, 40], { from: MINUTE_START + HOUR_MS - 3 * MINUTE_MS });
    expect(headroomOf(nearTheTurn, MINUTE_START + HOUR_MS, OF)).toBe(40);
    expect(headroomOf(nearTheTurn, MINUTE_START + HOUR_MS + 10 * MINUTE_MS, OF)).toBe(0);
  });

  it('takes more for wanted than was seen where the window was full', () => {
    const window = { startsAt: MINUTE_START, endsAt: MINUTE_START + MINUTE_MS, max: 200 };
    const after = (filledAfterMs: number): number => {
      const state = learn(NOTHING_LEARNED, { ...window, filledAt: MINUTE_START + filledAfterMs }, 10, MINUTE_MS);
      return headroomOf(state, MINUTE_START + MINUTE_MS, OF);
    };
    // Ten in a quarter of a minute would have become forty; and a little more in any case.
    expect(after(15_000)).toBeGreaterThanOrEqual(40);
    expect(after(60_000)).toBeGreaterThanOrEqual(20);
  });

  it('comes again in the same hour of the next week, and in no other', () => {
    const state = seen(Array.from({ length: 60 }, () => 40));
    expect(headroomOf(state, MINUTE_START + WEEK_MS, OF)).toBeGreaterThanOrEqual(40);
    expect(headroomOf(state, MINUTE_START + WEEK_MS, OF)).toBeLessThan(48);
    expect(headroomOf(state, MINUTE_START + WEEK_MS + 2 * HOUR_MS, OF)).toBe(0);
  });

  it('fades over the weeks in which nobody is seen any more', () => {
    let state = seen(Array.from({ length: 60 }, () => 40));
    const quiet = Array.from({ length: 60 }, () => 0);
    const kept = [1, 2, 3, 4, 5, 6].map((week) => {
      state = seen(quiet, { from: MINUTE_START + week * WEEK_MS, state });
      return headroomOf(state, MINUTE_START + (week + 1) * WEEK_MS, OF);
    });
    expect(kept[0]).toBeGreaterThanOrEqual(40);
    expect(kept.at(-1)).toBe(0);
  });

  it('never takes all of a window, so that something new can be learned', () => {
    expect(headroomOf(seen([200, 200, 200]), MINUTE_START + 3 * MINUTE_MS, OF)).toBe(180);
  });

  it('is by the average hour for longer windows', () => {
    const state = seen(Array.from({ length: 60 }, (_, minute) => (minute % 2 === 0 ? 30 : 10)));
    const half = MINUTE_START + 30 * MINUTE_MS;
    expect(expectedBetween(state, half, half + 10 * HOUR_MS, MINUTES)).toBe(600);
  });

  it('survives being written and read', () => {
    const state = seen([1, 2, 30]);
    expect(JSON.parse(JSON.stringify(state))).toEqual(state);
  });
});
