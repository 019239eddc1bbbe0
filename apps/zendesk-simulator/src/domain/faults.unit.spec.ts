import { describe, expect, it } from '@jest/globals';
import { Simulator, type SimulatorChoices } from './simulator.js';
import { VirtualClient } from './virtual-client.js';

const START_MS = 1_760_000_040_000;
const TICKET = { ticket: { comment: { body: 'A call' } } };

function clientOf(choices: SimulatorChoices = {}): VirtualClient {
  const simulator = new Simulator({ edgeLagMs: 0, latencyScale: 0, ...choices }, START_MS);
  return new VirtualClient(simulator, { startMs: START_MS, caller: 'us' });
}

function withFault(
  effect: Record<string, string | number | readonly string[]>,
  more: Record<string, number> = {},
): VirtualClient {
  const client = clientOf();
  client.control('POST', '/faults', { effect, match: { kind: 'tickets.create' }, count: 1, ...more });
  return client;
}

function tickets(client: VirtualClient): unknown {
  return client.get('tickets').body['count'];
}

describe('a fault', () => {
  it.each([
    ['silence', 'before', 0],
    ['silence', 'after', 1],
    ['reset', 'before', 0],
    ['reset', 'after', 1],
  ])('of %s %s the effect leaves %d tickets', (type, when, made) => {
    const client = withFault({ type, when });
    expect(client.post('tickets', TICKET).kind).toBe(type);
    expect(tickets(client)).toBe(made);
    expect(client.post('tickets', TICKET).status).toBe(201);
  });

  it('can let the effect come long after the caller gave up', () => {
    const client = withFault({ type: 'silence', when: 'after', effectInMs: 90_000 });
    expect(client.post('tickets', TICKET).kind).toBe('silence');
    client.nowMs = START_MS + 89_000;
    expect(tickets(client)).toBe(0);
    client.nowMs = START_MS + 91_000;
    expect(tickets(client)).toBe(1);
  });

  it.each([
    ['before', 0],
    ['after', 1],
  ])('can answer 503 %s the effect', (when, made) => {
    const client = withFault({ type: 'status', status: 503, when, retryAfterSeconds: 7 });
    expect(client.post('tickets', TICKET)).toMatchObject({ status: 503, headers: { 'retry-after': '7' } });
    expect(tickets(client)).toBe(made);
  });

  it('can answer 500 without Retry-After', () => {
    const answer = withFault({ type: 'status', status: 500, when: 'before' }).post('tickets', TICKET);
    expect(answer).toMatchObject({ status: 500, body: { error: 'InternalServerError' } });
    expect(answer.headers).not.toHaveProperty('retry-after');
  });

  it.each(['before', 'after'])('can make an answer slow, %s the effect', (when) => {
    const client = withFault({ type: 'slow', when, delayMs: 30_000 });
    expect(client.post('tickets', TICKET)).toMatchObject({ status: 201, tookMs: 30_000 });
    expect(tickets(client)).toBe(1);
  });

  it('can hold a request up so that it counts in a later minute', () => {
    const client = withFault({ type: 'late', arriveInMs: 60_000 });
    const answer = client.post('tickets', TICKET);
    expect(answer).toMatchObject({ status: 201, tookMs: 60_000 });
    expect(client.control('GET', '/books')).toMatchObject({
      windows: { 'account-minute': [{ startMs: 1_760_000_100_000 - 0 }] },
    });
  });

  it('can refuse at the edge, which draws on no limit', () => {
    const client = withFault({ type: 'edge429' });
    expect(client.post('tickets', TICKET)).toMatchObject({
      status: 429,
      text: 'Rate limited by Zendesk edge protection',
    });
    expect(client.get('tickets').headers['x-rate-limit-remaining']).toBe('399');
    expect(client.control('GET', '/audit')).toMatchObject({ ok: true, refusals: { ours: 0, injected: 1 } });
  });

  it('can spell headers the old way, drop them, or shout them', () => {
    const old = withFault({ type: 'headers', spelling: 'old' }).post('tickets', TICKET).headers;
    expect(old).toMatchObject({
      'rate-limit': '400',
      'rate-limit-remaining': '399',
      'rate-limit-reset': expect.any(String),
    });
    expect(old).not.toHaveProperty('x-rate-limit');
    const none = withFault({ type: 'headers', spelling: 'none', drop: ['date'] }).post('tickets', TICKET).headers;
    expect(Object.keys(none).filter((name) => name.includes('rate'))).toEqual([]);
    expect(none).not.toHaveProperty('date');
    const titled = withFault({ type: 'headers', case: 'title' }).post('tickets', TICKET).headers;
    expect(titled).toHaveProperty('X-Rate-Limit');
  });

  it('can put the clock off', () => {
    const answer = withFault({ type: 'clock', offsetMs: 3_600_000 }).post('tickets', TICKET);
    expect(Date.parse(answer.headers['date'] ?? '')).toBe(START_MS + 3_600_000);
  });

  it('begins after some calls, ends after others, and befalls only what it matches', () => {
    const client = clientOf();
    client.control('POST', '/faults', {
      match: { method: 'post', path: 'tick*', caller: 'us', bodyContains: 'call' },
      effect: { type: 'status', status: 500, when: 'before' },
      skip: 1,
      count: 2,
    });
    const statuses = [1, 2, 3, 4].map(() => client.post('tickets', TICKET).status);
    expect(statuses).toEqual([201, 500, 500, 201]);
    expect(client.get('tickets').status).toBe(200);
    expect(client.control('GET', '/faults')).toMatchObject({ faults: [{ happened: 2, left: 0 }] });
  });

  it('with a probability happens the same way for the same seed', () => {
    const run = (seed: number): number[] => {
      const client = clientOf({ seed, licence: 'high-volume' });
      client.control('POST', '/faults', { effect: { type: 'status', status: 503, when: 'before' }, probability: 0.3 });
      return Array.from({ length: 200 }, () => client.get('tickets/count').status);
    };
    expect(run(7)).toEqual(run(7));
    expect(run(7)).not.toEqual(run(8));
    const hit = run(7).filter((status) => status === 503).length;
    expect(hit).toBeGreaterThan(35);
    expect(hit).toBeLessThan(90);
  });

  it.each([
    [{ effect: { type: 'odd' } }, 'effect.type'],
    [{ effect: { type: 'silence' } }, 'effect.when'],
    [{ effect: { type: 'slow', when: 'after' } }, 'effect.delayMs'],
    [{ effect: { type: 'job', outcome: 'odd' } }, 'effect.outcome'],
    [{ effect: { type: 'edge429' }, count: 'x' }, 'count'],
  ])('that makes no sense is refused: %#', (order, word) => {
    expect(clientOf().control('POST', '/faults', order)).toMatchObject({ error: expect.stringContaining(word) });
  });
});

describe('an outage', () => {
  it('answers every call the same way until it ends, and none of them counts', () => {
    const client = clientOf();
    client.control('PUT', '/outage', { status: 503, forMs: 60_000 });
    expect(client.post('tickets', TICKET).status).toBe(503);
    expect(client.get('tickets').status).toBe(503);
    client.nowMs += 60_000;
    expect(client.get('tickets')).toMatchObject({
      status: 200,
      body: { count: 0 },
      headers: { 'x-rate-limit-remaining': '399' },
    });
  });

  it.each(['reset', 'silence'])('can be %s, until it is called off', (as) => {
    const client = clientOf();
    client.control('PUT', '/outage', { as });
    expect(client.get('tickets').kind).toBe(as);
    client.control('DELETE', '/outage');
    expect(client.get('tickets').status).toBe(200);
  });
});
