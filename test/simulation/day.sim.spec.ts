import { describe, expect, it } from '@jest/globals';
import { type Measures, measure } from './measures.js';
import { type Scenario, SCENARIOS } from './scenarios.js';
import { World } from './world.js';

const MINUTE_MS = 60_000;

/** A quiet hour; a fifth of its callers were never heard of. */
const SLICE: Scenario = {
  ...SCENARIOS['day']!,
  arrivals: { interactions: 150, curve: 'even', burst: null, hours: { from: 9, to: 10 } },
  callsPerDay: null,
  newCallers: 0.2,
  patienceMs: 60 * MINUTE_MS,
};

async function simulated(changed: Partial<Scenario> = {}): Promise<{ measures: Measures; world: World }> {
  const world = new World({ ...SLICE, ...changed });
  await world.run();
  await world.end();
  return { measures: measure(world), world };
}

let plain: ReturnType<typeof simulated> | null = null;

/** With nothing changed; simulated once. */
const unchanged = () => (plain ??= simulated());

/** What holds on any day. */
const KEPT = {
  refused429Own: 0,
  doubled: 0,
  outOfOrder: 0,
  limitsExceeded: 0,
  notOneTicket: 0,
  unfinished: { tickets: 0, updates: 0 },
};

describe('a simulated hour', () => {
  it('writes everything once and in time while nothing is scarce, and goes the same way again', async () => {
    const { measures } = await unchanged();
    expect(measures).toMatchObject({ ...KEPT, interactions: 150, refused429Foreign: 0, ticketedSameDay: 1 });
    expect(measures.p99DelayMs).toBeLessThan(5_000);
    expect(measures.updateP99DelayMs).toBeLessThan(5_000);
    expect(measures.ticketedBeforeEnd).toBeGreaterThan(0.99);
    expect((await simulated()).measures).toEqual(measures);
  });

  it('goes another way with another seed', async () => {
    const { measures } = await unchanged();
    const { measures: other } = await simulated({ seed: 7 });
    expect(other).toMatchObject(KEPT);
    expect(other.callsByKind).not.toEqual(measures.callsByKind);
  });

  it('loses and doubles nothing while the CRM is down for half of it', async () => {
    const outage = { fromMs: 9.25 * 60 * MINUTE_MS, forMs: 30 * MINUTE_MS };
    const { measures } = await simulated({ outage });
    expect(measures).toMatchObject(KEPT);
    expect(measures.p99DelayMs).toBeGreaterThan(20 * MINUTE_MS);
    expect(measures.p99DelayMs).toBeLessThan(35 * MINUTE_MS);
  });

  it('makes no call beyond what the day allows', async () => {
    const { measures } = await simulated({ callsPerDay: 100 });
    expect(measures).toMatchObject({ refused429Own: 0, doubled: 0, outOfOrder: 0, limitsExceeded: 0 });
    expect(measures.callsUsed).toBeLessThanOrEqual(100);
    expect(measures.unfinished.tickets).toBeGreaterThan(0);
  });

  it('is judged by the CRM’s books: an effect taken out of them is missed, one put in twice is found', async () => {
    const { world } = await unchanged();
    const { effects } = world.simulator.world.books;
    const [first] = effects;
    effects.push(first!);
    expect(measure(world).doubled).toBeGreaterThan(0);
    effects.splice(effects.length - 1, 1);
    effects.splice(0, 1);
    expect(measure(world).unfinished.tickets + measure(world).unfinished.updates).toBeGreaterThan(0);
  });
});
