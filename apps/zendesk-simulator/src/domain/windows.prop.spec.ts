/* The limits beside a naive model: a list of all calls ever let through, counted anew each time. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { objectOf } from './json.js';
import { Simulator } from './simulator.js';
import { VirtualClient } from './virtual-client.js';

const START_MS = Date.parse('2026-03-28T20:00:00Z');
const MINUTE_MS = 60_000;

interface Step {
  readonly waitMs: number;
  readonly calls: number;
}

const steps = fc.array(
  fc.record({ waitMs: fc.integer({ min: 0, max: 45_000 }), calls: fc.integer({ min: 1, max: 8 }) }),
  { maxLength: 60 },
) as fc.Arbitrary<Step[]>;

describe('the account’s windows', () => {
  it('let through exactly what a list of all calls says, minute by minute and day by day', () => {
    fc.assert(
      fc.property(
        steps,
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 20, max: 200 }),
        (walk, perMinute, perDay) => {
          const options = {
            limitPerMinute: perMinute,
            limitPerDay: perDay,
            dayTimeZone: 'UTC',
            edgeLagMs: 0,
            latencyScale: 0,
          };
          const client = new VirtualClient(new Simulator(options, START_MS), { startMs: START_MS, caller: 'us' });
          const minutes: number[] = [];
          const days: number[] = [];
          for (const { waitMs, calls } of walk) {
            client.nowMs += waitMs * 7;
            for (let sent = 0; sent < calls; sent += 1) {
              const minute = Math.floor(client.nowMs / MINUTE_MS);
              const day = Math.floor(client.nowMs / 86_400_000);
              const isMinuteFull = minutes.filter((at) => at === minute).length >= perMinute;
              if (!isMinuteFull) minutes.push(minute);
              const isDayFull = days.filter((at) => at === day).length >= perDay;
              if (!isMinuteFull && !isDayFull) days.push(day);
              expect(client.get('tickets/count').status).toBe(isMinuteFull || isDayFull ? 429 : 200);
            }
          }
        },
      ),
      { numRuns: 30 },
    );
  });

  it('with a lag at the turn never let more through than the old and the new minute together, and the books see it all', () => {
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 10 }), fc.integer(), (walk, perMinute, seed) => {
        const options = { limitPerMinute: perMinute, edgeLagMs: 1000, latencyScale: 0, seed };
        const client = new VirtualClient(new Simulator(options, START_MS), { startMs: START_MS, caller: 'us' });
        const passed = new Map<number, number>();
        let refused = 0;
        for (const { waitMs, calls } of walk) {
          client.nowMs += waitMs;
          for (let sent = 0; sent < calls; sent += 1) {
            const minute = Math.floor(client.nowMs / MINUTE_MS) * MINUTE_MS;
            if (client.get('tickets/count').status === 200) passed.set(minute, (passed.get(minute) ?? 0) + 1);
            else refused += 1;
          }
        }
        for (const count of passed.values()) expect(count).toBeLessThanOrEqual(2 * perMinute);
        const audit = objectOf(client.control('GET', '/audit'));
        const exceeded = [...passed.values()].filter((count) => count > perMinute).length;
        expect(objectOf(audit?.['exceeded'])?.['count']).toBe(exceeded);
        expect(objectOf(audit?.['refusals'])?.['ours']).toBe(refused);
      }),
      { numRuns: 30 },
    );
  });
});
