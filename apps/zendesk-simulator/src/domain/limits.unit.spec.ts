import { describe, expect, it } from '@jest/globals';
import { Simulator, type SimulatorChoices } from './simulator.js';
import { VirtualClient } from './virtual-client.js';

const MINUTE_MS = 60_000;
const START_MS = Math.floor(1_760_000_000_000 / 86_400_000) * 86_400_000;

function clientOf(choices: SimulatorChoices = {}, startMs = START_MS): VirtualClient {
  return new VirtualClient(new Simulator({ latencyScale: 0, edgeLagMs: 0, ...choices }, startMs), {
    startMs,
    caller: 'us',
  });
}

function times(count: number, act: (index: number) => { status: number }): number[] {
  return Array.from({ length: count }, (_, index) => act(index).status);
}

function refused(statuses: readonly number[]): number {
  return statuses.filter((status) => status === 429).length;
}

describe('the account minute', () => {
  it.each([
    ['essential', 10],
    ['team', 200],
    ['professional', 400],
    ['enterprise', 700],
    ['high-volume', 2500],
  ])('of licence %s lets %d calls through and refuses the next', (licence, max) => {
    const client = clientOf({ licence });
    const statuses = times(max + 3, () => client.get('tickets/count'));
    expect(refused(statuses)).toBe(3);
    expect(statuses.slice(0, max)).not.toContain(429);
  });

  it('refuses in plain text of 50 bytes, with the seconds to the minute’s end', () => {
    const client = clientOf({ limitPerMinute: 1 }, START_MS + 20_400);
    client.get('tickets/count');
    const answer = client.get('tickets/count');
    expect(answer).toMatchObject({ status: 429, text: 'Number of allowed API requests per minute exceeded' });
    expect(answer.text).toHaveLength(50);
    expect(answer.headers).toMatchObject({
      'content-type': 'text/plain; charset=utf-8',
      'retry-after': '40',
      'x-rate-limit': '1',
      'x-rate-limit-remaining': '0',
      'ratelimit-reset': '40',
    });
  });

  it('begins anew with the UTC minute, not a minute after the first call', () => {
    const client = clientOf({ limitPerMinute: 2 }, START_MS + 59_000);
    expect(times(3, () => client.get('tickets/count'))).toEqual([200, 200, 429]);
    client.nowMs = START_MS + MINUTE_MS;
    expect(client.get('tickets/count').headers).toMatchObject({ 'ratelimit-remaining': '1', 'ratelimit-reset': '60' });
  });

  it('may still count in the old minute for up to the edge lag', () => {
    const simulator = new Simulator({ latencyScale: 0, edgeLagMs: 1000, limitPerMinute: 1 }, START_MS);
    let carried = 0;
    for (let minute = 1; minute <= 200; minute += 1) {
      const client = new VirtualClient(simulator, { startMs: START_MS + minute * MINUTE_MS - 500, caller: 'us' });
      client.get('tickets/count');
      client.nowMs = START_MS + minute * MINUTE_MS + 300;
      if (client.get('tickets/count').status === 429) carried += 1;
      client.nowMs = START_MS + minute * MINUTE_MS + 1000;
      expect(Number(client.get('tickets/count').headers['ratelimit-reset'])).toBeGreaterThan(50);
    }
    expect(carried).toBeGreaterThan(100);
    expect(carried).toBeLessThan(180);
  });

  it('counts 404s, 400s and refused bodies like any call', () => {
    const client = clientOf({ limitPerMinute: 4 });
    client.get('tickets/17');
    client.get('no/such/call');
    client.post('tickets', { nothing: true });
    client.post('tickets', { ticket: {} });
    expect(client.get('tickets/count').status).toBe(429);
  });

  it('follows a licence changed in mid-minute at once, keeping what was counted', () => {
    const client = clientOf({ licence: 'professional' });
    times(250, () => client.get('tickets/count'));
    client.control('PUT', '/limits', { licence: 'team' });
    expect(client.get('tickets/count')).toMatchObject({ status: 429, headers: { 'x-rate-limit': '200' } });
    client.control('PUT', '/limits', { perMinute: 300 });
    expect(client.get('tickets/count').headers['x-rate-limit-remaining']).toBe('49');
  });
});

describe('the day window', () => {
  it('is absent unless asked for', () => {
    const client = clientOf();
    expect(client.get('tickets/count').headers).not.toHaveProperty('zendesk-ratelimit-account-day');
  });

  it('begins at midnight of its time zone, also where clocks change', () => {
    const beforeMidnight = Date.parse('2026-03-29T21:59:00Z');
    const client = clientOf({ limitPerDay: 2, dayTimeZone: 'Europe/Berlin' }, beforeMidnight);
    expect(times(3, () => client.get('tickets/count'))).toEqual([200, 200, 429]);
    expect(client.get('tickets/count').headers['retry-after']).toBe('60');
    client.nowMs = Date.parse('2026-03-29T22:00:00Z');
    expect(client.get('tickets/count').status).toBe(200);
  });

  it('lasts 23 hours on the day the clocks go forward', () => {
    const client = clientOf({ limitPerDay: 5, dayTimeZone: 'Europe/Berlin' }, Date.parse('2026-03-28T23:00:00Z'));
    const header = client.get('tickets/count').headers['zendesk-ratelimit-account-day'];
    expect(header).toBe(`total=5; remaining=4; resets=${23 * 3600}`);
  });
});

describe('limits below the account’s', () => {
  const ticket = { ticket: { comment: { body: 'A call' } } };

  it('refuse the 101st ticket update of a minute in JSON, while the account has calls left', () => {
    const client = clientOf();
    for (let made = 0; made < 5; made += 1) client.post('tickets', ticket);
    const statuses = times(100, (index) => client.put(`tickets/${1 + (index % 5)}`, { ticket: { priority: 'low' } }));
    expect(refused(statuses)).toBe(0);
    const answer = client.put('tickets/1', { ticket: { priority: 'high' } });
    expect(answer).toMatchObject({ status: 429, body: { error: 'APIRateLimitExceeded' } });
    expect(answer.headers['zendesk-ratelimit-tickets-update']).toMatch(/^total=100; remaining=0; resets=\d+$/);
    expect(Number(answer.headers['x-rate-limit-remaining'])).toBeGreaterThan(0);
  });

  it('are raised by the High Volume add-on and lowered in a sandbox', () => {
    const max = (choices: SimulatorChoices): string | undefined => {
      const client = clientOf(choices);
      client.post('tickets', ticket);
      return client.put('tickets/1', { ticket: {} }).headers['zendesk-ratelimit-tickets-update']?.split(';')[0];
    };
    expect(max({ licence: 'high-volume' })).toBe('total=300');
    expect(max({ sandbox: true })).toBe('total=20');
    expect(max({ sandbox: true, licence: 'high-volume' })).toBe('total=100');
  });

  it('let one ticket be updated 30 times in ten minutes of the wall clock', () => {
    const client = clientOf({}, START_MS + 9 * MINUTE_MS);
    client.post('tickets', ticket);
    client.post('tickets', ticket);
    expect(refused(times(31, () => client.put('tickets/1', { ticket: {} })))).toBe(1);
    expect(client.put('tickets/2', { ticket: {} }).status).toBe(200);
    client.nowMs = START_MS + 10 * MINUTE_MS;
    expect(client.put('tickets/1', { ticket: {} }).status).toBe(200);
  });

  it('may count a ticket’s ten minutes from its first update on', () => {
    const client = clientOf({ open: { perTicketWindow: 'first-update' } }, START_MS + 9 * MINUTE_MS);
    client.post('tickets', ticket);
    expect(refused(times(31, () => client.put('tickets/1', { ticket: {} })))).toBe(1);
    client.nowMs = START_MS + 11 * MINUTE_MS;
    expect(client.put('tickets/1', { ticket: {} }).status).toBe(429);
    client.nowMs = START_MS + 19 * MINUTE_MS;
    expect(client.put('tickets/1', { ticket: {} }).status).toBe(200);
  });

  it('let 300 tickets be created singly per user and address', () => {
    const client = clientOf({ licence: 'enterprise' });
    expect(refused(times(301, () => client.post('tickets', ticket)))).toBe(1);
  });

  it('let one user be written once a second and five times a minute', () => {
    const client = clientOf();
    const write = (): number =>
      client.post('users/create_or_update', { user: { name: 'Ada', external_id: 'u-1' } }).status;
    expect(write()).toBe(201);
    expect(write()).toBe(429);
    const { headers } = client.put('users/1', { user: {} });
    expect(headers['zendesk-ratelimit-create-update-user']).toBe('total=1; remaining=0; resets=1');
    const later = times(6, () => {
      client.nowMs += 1000;
      return { status: write() };
    });
    expect(later).toEqual([200, 200, 200, 200, 200, 429]);
  });

  it('let ten incremental exports through', () => {
    const client = clientOf();
    expect(refused(times(11, () => client.get('incremental/tickets/cursor?start_time=0')))).toBe(1);
  });

  it('slow lists down only beyond page 500', () => {
    const client = clientOf();
    expect(refused(times(60, () => client.get('tickets?page=500&per_page=1')))).toBe(0);
    expect(refused(times(51, () => client.get('tickets?page=501&per_page=1')))).toBe(1);
  });

  it('can be changed or taken away by name', () => {
    const client = clientOf();
    client.post('tickets', ticket);
    client.control('PUT', '/limits', { endpoints: { 'tickets-update': 1, 'per-ticket-updates': null } });
    expect(times(2, () => client.put('tickets/1', { ticket: {} }))).toEqual([200, 429]);
  });

  it.each([
    ['call', 1],
    ['tickets', 3],
    ['nothing', 0],
  ] as const)('draw %s for an update_many of three tickets', (updateManyDraws, drawn) => {
    const client = clientOf({ open: { updateManyDraws } });
    for (let made = 0; made < 3; made += 1) client.post('tickets', ticket);
    client.put('tickets/update_many?ids=1,2,3', { ticket: { priority: 'low' } });
    const left = client.put('tickets/1', { ticket: {} }).headers['zendesk-ratelimit-tickets-update'];
    expect(left).toMatch(new RegExp(`remaining=${99 - drawn};`));
  });
});

describe('calls of others', () => {
  it('draw on the same minute and stand apart in the books', () => {
    const client = clientOf({ limitPerMinute: 100 });
    client.control('PUT', '/foreign', [{ caller: '(reporting)', callsPerMinute: 600, kind: 'other' }]);
    client.nowMs += 5000;
    const left = Number(client.get('tickets/count').headers['x-rate-limit-remaining']);
    expect(left).toBeGreaterThan(30);
    expect(left).toBeLessThan(70);
    client.nowMs += 30_000;
    expect(client.get('tickets/count').status).toBe(429);
    expect(client.control('GET', '/audit')).toMatchObject({ ok: false, refusals: { ours: 1 }, exceeded: { count: 0 } });
    expect(client.control('GET', '/books')).toMatchObject({ callers: { '(reporting)': { foreign: true } } });
  });

  it('by hand draw on ticket updates only', () => {
    const client = clientOf();
    client.post('tickets', { ticket: { comment: { body: 'A call' } } });
    client.control('POST', '/ui-edit', { ticketId: 1, change: { priority: 'low' } });
    const { headers } = client.put('tickets/1', { ticket: {} });
    expect(headers['zendesk-ratelimit-tickets-update']).toMatch(/remaining=98/);
    expect(headers['x-rate-limit-remaining']).toBe('398');
  });
});
