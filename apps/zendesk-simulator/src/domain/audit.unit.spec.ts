import { describe, expect, it } from '@jest/globals';
import { objectOf } from './json.js';
import { Simulator, type SimulatorChoices } from './simulator.js';
import { VirtualClient } from './virtual-client.js';

const START_MS = 1_760_000_040_000;

function clientOf(choices: SimulatorChoices = {}): VirtualClient {
  const simulator = new Simulator({ edgeLagMs: 0, latencyScale: 0, ...choices }, START_MS);
  return new VirtualClient(simulator, { startMs: START_MS, caller: 'us' });
}

function marked(commands: readonly string[], interaction = 'call-1') {
  return { comment: { body: 'x' }, external_id: interaction, metadata: { sluice: { commands, interaction } } };
}

describe('the audit', () => {
  it('finds nothing wrong where nothing is', () => {
    const client = clientOf();
    client.post('tickets', { ticket: marked(['c-1', 'c-2']) });
    client.put('tickets/1', { ticket: { ...marked(['c-3']) } });
    client.control('PUT', '/expect', { order: { 'call-1': ['c-1', 'c-2', 'c-3'] } });
    expect(client.control('GET', '/audit')).toMatchObject({ ok: true, judged: { effects: 2 } });
    expect(client.control('GET', '/books')).toMatchObject({
      ticketsPerExternalId: { 'call-1': 1 },
      marks: { 'c-1': 1, 'c-2': 1, 'c-3': 1 },
      callers: { us: { calls: 2, counted: 2 } },
    });
  });

  it('finds a ticket made twice', () => {
    const client = clientOf();
    client.post('tickets', { ticket: marked(['c-1']) });
    client.post('tickets', { ticket: marked(['c-2']) });
    expect(client.control('GET', '/audit')).toMatchObject({
      ok: false,
      doubled: {
        externalIds: [{ externalId: 'call-1', ticketIds: [1, 2] }],
        interactions: [{ interaction: 'call-1', ticketIds: [1, 2] }],
      },
    });
  });

  it('finds a mark that took effect twice', () => {
    const client = clientOf();
    client.post('tickets', { ticket: marked(['c-1']) });
    client.put('tickets/1', { ticket: marked(['c-1']) });
    expect(client.control('GET', '/audit')).toMatchObject({
      ok: false,
      doubled: { marks: [{ mark: 'c-1', times: 2 }] },
    });
  });

  it('finds marks out of order', () => {
    const client = clientOf();
    client.post('tickets', { ticket: marked(['c-2']) });
    client.put('tickets/1', { ticket: marked(['c-1']) });
    client.control('PUT', '/expect', { order: { 'call-1': ['c-1', 'c-2'] } });
    expect(client.control('GET', '/audit')).toMatchObject({
      ok: false,
      order: { broken: [{ interaction: 'call-1', mark: 'c-2', tookEffectBefore: 'c-1' }] },
    });
  });

  it('finds what is missing, unless told that more is to come', () => {
    const client = clientOf();
    client.control('PUT', '/expect', { order: { 'call-1': ['c-1'] } });
    expect(client.control('GET', '/audit')).toMatchObject({ ok: false, missing: { count: 1 } });
    client.control('PUT', '/expect', { order: { 'call-1': ['c-1'] }, complete: false });
    expect(client.control('GET', '/audit')).toMatchObject({ ok: true, missing: { count: 1 } });
  });

  it('finds a call of ours that was refused', () => {
    const client = clientOf({ limitPerMinute: 1 });
    client.get('tickets/count');
    client.get('tickets/count');
    expect(client.control('GET', '/audit')).toMatchObject({
      ok: false,
      refusals: { ours: 1, perLimit: { 'account-minute': 1 } },
    });
  });

  it('finds a true minute with more calls than the licence, though the lagging counter let them through', () => {
    const simulator = new Simulator({ latencyScale: 0, edgeLagMs: 1000, limitPerMinute: 100 }, START_MS);
    const minuteMs = Math.ceil(START_MS / 60_000) * 60_000;
    let exceeded = 0;
    for (let minute = 0; minute < 20; minute += 1) {
      const client = new VirtualClient(simulator, { startMs: minuteMs + minute * 120_000 - 1000, caller: 'us' });
      client.get('tickets/count');
      client.nowMs = minuteMs + minute * 120_000 + 50;
      for (let sent = 0; sent < 50; sent += 1) client.get('tickets/count');
      client.nowMs = minuteMs + minute * 120_000 + 30_000;
      for (let sent = 0; sent < 60; sent += 1) client.get('tickets/count');
      exceeded = Number(objectOf(objectOf(client.control('GET', '/audit'))?.['exceeded'])?.['count']);
    }
    expect(exceeded).toBeGreaterThan(10);
  });

  it('takes calls of others for no fault of ours', () => {
    const simulator = new Simulator({ latencyScale: 0, limitPerMinute: 1, foreignCallers: ['them'] }, START_MS);
    const them = new VirtualClient(simulator, { startMs: START_MS, caller: 'them' });
    them.get('tickets/count');
    them.get('tickets/count');
    expect(them.control('GET', '/audit')).toMatchObject({ ok: true, refusals: { ours: 0, foreign: 1 } });
  });

  it('names the limit that refused, also where each ticket has its own', () => {
    const client = clientOf({ endpointLimits: { 'per-ticket-updates': 1 } });
    client.post('tickets', { ticket: marked(['c-1']) });
    client.put('tickets/1', { ticket: {} });
    client.put('tickets/1', { ticket: {} });
    expect(client.control('GET', '/audit')).toMatchObject({
      ok: false,
      exceeded: { scoped: [] },
      refusals: { ours: 1, perLimit: { 'per-ticket-updates': 1 } },
    });
  });

  it('finds a ticket changed more often in a true window than it may be', () => {
    const options = { latencyScale: 0, edgeLagMs: 1000, endpointLimits: { 'per-ticket-updates': 5 } };
    const simulator = new Simulator(options, START_MS);
    const windowMs = Math.ceil(START_MS / 600_000) * 600_000;
    const client = new VirtualClient(simulator, { startMs: START_MS, caller: 'us' });
    client.post('tickets', { ticket: marked(['c-1']) });
    const updates = (count: number): void => {
      for (let sent = 0; sent < count; sent += 1) client.put('tickets/1', { ticket: {} });
    };
    for (let window = 0; window < 20; window += 1) {
      client.nowMs = windowMs + window * 1_200_000 - 1000;
      updates(1);
      client.nowMs += 1050;
      updates(2);
      client.nowMs += 30_000;
      updates(4);
    }
    const scoped = objectOf(objectOf(client.control('GET', '/audit'))?.['exceeded'])?.['scoped'];
    expect(scoped).toContainEqual(expect.objectContaining({ limit: 'per-ticket-updates', calls: 6, max: 5 }));
  });

  it('reads marks where it is told to', () => {
    const client = clientOf({ marksPath: 'command_ids', interactionPath: 'about' });
    client.post('tickets', { ticket: { comment: { body: 'x' }, metadata: { command_ids: ['m-1'], about: 'i-1' } } });
    expect(client.control('GET', '/effects?interaction=i-1')).toMatchObject([{ marks: ['m-1'], ticketId: 1 }]);
  });
});

describe('the control door', () => {
  it('lists calls, latest last, and forgets them', () => {
    const client = clientOf();
    client.get('tickets');
    client.get('users');
    expect(client.control('GET', '/calls?limit=1')).toMatchObject({
      total: 2,
      calls: [{ caller: 'us', method: 'GET', url: '/api/v2/users', kind: 'users.list', status: 200 }],
    });
    client.control('DELETE', '/calls');
    expect(client.control('GET', '/calls')).toMatchObject({ total: 0 });
  });

  it('starts all over, keeping options and taking new ones', () => {
    const client = clientOf({ licence: 'team' });
    client.post('tickets', { ticket: marked(['c-1']) });
    client.control('POST', '/reset', { searchLagMs: 0 });
    expect(client.control('GET', '')).toMatchObject({ tickets: 0, licence: { name: 'team' } });
    expect(client.control('GET', '/options')).toMatchObject({ searchLagMs: 0, licence: 'team' });
  });

  it('advances time: jobs finish, windows turn', () => {
    const client = clientOf({ limitPerMinute: 2 });
    client.post('tickets/create_many', { tickets: [marked(['c-1'])] });
    client.control('POST', '/advance', { ms: 60_000 });
    expect(client.control('GET', '')).toMatchObject({ tickets: 1, jobsInFlight: [], nowMs: START_MS + 60_000 });
    expect(client.get('tickets').headers['x-rate-limit-remaining']).toBe('1');
  });

  it.each([
    ['PATCH', '/options', { odd: 1 }, 'unknown option'],
    ['PATCH', '/options', { searchLagMs: 'x' }, 'must be a number'],
    ['PATCH', '/options', { open: { odd: 1 } }, 'unknown option odd'],
    ['PATCH', '/options', { searchLagMs: null }, 'must be a number'],
    ['PATCH', '/options', { searchLagMs: -1 }, 'must not be negative'],
    ['PATCH', '/options', { limitPerMinute: 'x' }, 'must be a number'],
    ['PATCH', '/options', { credentials: {} }, 'must be a list'],
    ['PATCH', '/options', { open: { updateManyDraws: 'odd' } }, 'one of call, tickets, nothing'],
    ['PUT', '/limits', { endpoints: { odd: 1 } }, 'unknown limit odd'],
    ['PUT', '/limits', { endpoints: { 'tickets-update': 'x' } }, 'must be a number or null'],
    ['PUT', '/limits', { licence: 'odd' }, 'licence must be one of'],
    ['PUT', '/chaos', { share: 2 }, 'between 0 and 1'],
    ['PUT', '/outage', { as: 'odd' }, 'status, reset or silence'],
    ['PUT', '/foreign', [{}], 'callsPerMinute'],
    ['PUT', '/credentials', [{ kind: 'odd' }], 'kind and value'],
    ['POST', '/ui-edit', { ticketId: 9 }, 'no such ticket'],
    ['DELETE', '/faults/fault-9', null, 'no fault'],
    ['PUT', '/limits', { dayTimeZone: 'Mars/Base' }, 'unknown time zone'],
    ['POST', '/advance', { ms: -1 }, 'ms must be'],
    ['GET', '/odd', null, 'unknown control request'],
  ])('says what is wrong with %s %s %j', (method, path, body, words) => {
    expect(clientOf().control(method, path, body)).toMatchObject({ error: expect.stringContaining(words) });
  });

  it('costs no call', () => {
    const client = clientOf();
    client.control('GET', '/books');
    expect(client.get('tickets').headers['x-rate-limit-remaining']).toBe('399');
  });
});
