/* The calendar beside the platform's own. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { httpDateOf, instantOf, isoOf, zonedDayOf } from './calendar.js';

const instants = fc.integer({ min: Date.parse('1900-01-01T00:00:00Z'), max: Date.parse('2999-12-31T00:00:00Z') });

describe('the calendar', () => {
  it('writes instants as the platform does', () => {
    fc.assert(
      fc.property(instants, (ms) => {
        const seconds = new Date(Math.floor(ms / 1000) * 1000);
        expect(isoOf(ms)).toBe(seconds.toISOString().replace('.000Z', 'Z'));
        expect(httpDateOf(ms)).toBe(seconds.toUTCString());
      }),
    );
  });

  it('reads what it writes', () => {
    fc.assert(fc.property(instants, (ms) => expect(instantOf(isoOf(ms))).toBe(Math.floor(ms / 1000) * 1000)));
  });

  it.each([
    ['2026-01-31T09:05:00+02:00', '2026-01-31T07:05:00.000Z'],
    ['2026-01-31T09:05:00.250Z', '2026-01-31T09:05:00.250Z'],
    ['2026-01-31', '2026-01-31T00:00:00.000Z'],
  ])('reads %s', (text, instant) => {
    expect(instantOf(text)).toBe(Date.parse(instant));
  });

  it.each(['yesterday', '2026-13-01', '', '2026-01-31T'])('reads nothing from %j', (text) => {
    expect(instantOf(text)).toBeUndefined();
  });

  it('finds days that hold their instant, follow each other and begin at local midnight', () => {
    const zones = fc.constantFrom('UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kolkata', 'Australia/Lord_Howe');
    const recent = fc.integer({ min: Date.parse('2020-01-01T00:00:00Z'), max: Date.parse('2030-01-01T00:00:00Z') });
    fc.assert(
      fc.property(recent, zones, (ms, zone) => {
        const { startMs, endMs } = zonedDayOf(ms, zone);
        expect(startMs <= ms && ms < endMs).toBe(true);
        const clock = new Intl.DateTimeFormat('en-GB', {
          timeZone: zone,
          hour: '2-digit',
          minute: '2-digit',
          second: '2-digit',
        });
        expect(clock.format(startMs)).toBe('00:00:00');
        expect(zonedDayOf(endMs, zone).startMs).toBe(endMs);
      }),
      { numRuns: 200 },
    );
  });
});
