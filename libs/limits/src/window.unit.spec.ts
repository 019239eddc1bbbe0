import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { windowAt, windowsBetween } from './window.js';

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const at = (iso: string): number => Date.parse(iso);
const isoOf = ({ startsAt, endsAt }: { startsAt: number; endsAt: number }): string[] => [
  new Date(startsAt).toISOString(),
  new Date(endsAt).toISOString(),
];

describe('windowAt', () => {
  it("puts minutes on UTC's, where a CRM's wall clock has them", () => {
    const minute = windowAt({ lengthMs: 60_000, anchor: 'UTC' }, at('2026-01-05T10:00:59.999Z'));
    expect(isoOf(minute)).toEqual(['2026-01-05T10:00:00.000Z', '2026-01-05T10:01:00.000Z']);
  });

  it('runs days from midnight to midnight of the time zone', () => {
    const day = windowAt({ lengthMs: DAY_MS, anchor: 'Europe/Berlin' }, at('2026-01-05T23:30:00Z'));
    expect(isoOf(day)).toEqual(['2026-01-05T23:00:00.000Z', '2026-01-06T23:00:00.000Z']);
  });

  it('gives the days on which clocks change 23 and 25 hours', () => {
    const lengthOf = (iso: string, anchor: string): number => {
      const { startsAt, endsAt } = windowAt({ lengthMs: DAY_MS, anchor }, at(iso));
      return (endsAt - startsAt) / HOUR_MS;
    };
    expect(lengthOf('2026-03-29T12:00:00Z', 'Europe/Berlin')).toBe(23);
    expect(lengthOf('2026-10-25T12:00:00Z', 'Europe/Berlin')).toBe(25);
    expect(lengthOf('2026-11-01T12:00:00Z', 'America/New_York')).toBe(25);
    // Half an hour.
    expect(lengthOf('2026-04-05T00:00:00Z', 'Australia/Lord_Howe')).toBe(24.5);
    // Clocks change at midnight: that day begins at one o'clock.
    expect(lengthOf('2026-09-06T12:00:00Z', 'America/Santiago')).toBe(23);
  });

  it('begins the first window of scaled lengths at the epoch', () => {
    expect(windowAt({ lengthMs: 8_640_000, anchor: 'UTC' }, 8_640_001)).toEqual({
      startsAt: 8_640_000,
      endsAt: 17_280_000,
    });
  });

  const zone = fc.constantFrom(
    'UTC',
    'Europe/Berlin',
    'America/New_York',
    'America/Santiago',
    'Asia/Kathmandu',
    'Pacific/Apia',
    'Australia/Lord_Howe',
    'Africa/Cairo',
  );
  const instant = fc.integer({ min: at('2010-01-01T00:00:00Z'), max: at('2035-01-01T00:00:00Z') });

  it('holds the instant, stands side by side with its neighbours, and shows one local date', () => {
    const property = fc.property(zone, instant, (anchor, now) => {
      const limit = { lengthMs: DAY_MS, anchor };
      const { startsAt, endsAt } = windowAt(limit, now);
      expect(startsAt).toBeLessThanOrEqual(now);
      expect(endsAt).toBeGreaterThan(now);
      expect(windowAt(limit, endsAt).startsAt).toBe(endsAt);
      expect(windowAt(limit, startsAt - 1).endsAt).toBe(startsAt);
      const dateOf = new Intl.DateTimeFormat('en-CA', { timeZone: anchor, dateStyle: 'short' });
      expect(dateOf.format(startsAt)).toBe(dateOf.format(now));
      expect(dateOf.format(endsAt - 1)).toBe(dateOf.format(now));
      expect(dateOf.format(endsAt)).not.toBe(dateOf.format(now));
    });
    fc.assert(property, { numRuns: 300 });
  });

  it('holds its instant and meets the next one where a time scale makes its length a fraction', () => {
    const scale = fc.integer({ min: 1, max: 1_000 });
    const property = fc.property(scale, instant, fc.boolean(), (timeScale, now, atEdge) => {
      const limit = { lengthMs: 60_000 / timeScale, anchor: 'UTC' };
      const at = atEdge ? windowAt(limit, now).endsAt : now;
      const { startsAt, endsAt } = windowAt(limit, at);
      expect(startsAt).toBeLessThanOrEqual(at);
      expect(endsAt).toBeGreaterThan(at);
      expect(windowAt(limit, endsAt).startsAt).toBe(endsAt);
    });
    fc.assert(property, { numRuns: 1_000 });
  });

  it('is found by windowsBetween for every instant between, each once, in order', () => {
    const property = fc.property(zone, instant, fc.integer({ min: 0, max: 5 * DAY_MS }), (anchor, from, spanMs) => {
      const limit = { lengthMs: DAY_MS, anchor };
      const windows = windowsBetween(limit, from, from + spanMs);
      expect(windows[0]).toEqual(windowAt(limit, from));
      expect(windows.at(-1)).toEqual(windowAt(limit, from + spanMs));
      for (const [index, { startsAt }] of windows.slice(1).entries()) expect(startsAt).toBe(windows[index]!.endsAt);
    });
    fc.assert(property, { numRuns: 50 });
  });
});
