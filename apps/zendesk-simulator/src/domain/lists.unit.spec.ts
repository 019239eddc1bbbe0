import { describe, expect, it } from '@jest/globals';
import { listOf, objectOf, textOf } from './json.js';
import { Simulator, type SimulatorChoices } from './simulator.js';
import { VirtualClient } from './virtual-client.js';

const START_MS = 1_760_000_000_000;
const PAGES_LIMIT = 100;

function clientOf(tickets: number, choices: SimulatorChoices = {}): VirtualClient {
  const simulator = new Simulator({ edgeLagMs: 0, latencyScale: 0, licence: 'high-volume', ...choices }, START_MS);
  const client = new VirtualClient(simulator, { startMs: START_MS });
  for (let made = 0; made < tickets; made += 1)
    client.post('imports/tickets', {
      ticket: { subject: `T${made}`, comment: { body: 'x' }, external_id: `e-${made}`, tags: made % 2 ? ['odd'] : [] },
    });
  return client;
}

function idsIn(list: unknown): number[] {
  return (list as { id: number }[]).map(({ id }) => id);
}

describe('a list by cursor', () => {
  it('shows each item once, forwards and back', () => {
    const client = clientOf(25);
    const seen: number[] = [];
    let path: string | null = 'tickets.json?page[size]=10';
    let last = '';
    for (let page = 0; page < PAGES_LIMIT && path !== null; page += 1) {
      const { body } = client.get(path);
      seen.push(...idsIn(body['tickets']));
      last = path;
      const next = objectOf(body['links'])?.['next'];
      expect(objectOf(body['meta'])?.['has_more']).toBe(typeof next === 'string');
      path = typeof next === 'string' ? next.slice('https://demo.zendesk.com/api/v2/'.length) : null;
    }
    expect(seen).toEqual(Array.from({ length: 25 }, (_, index) => index + 1));
    const prev = (textOf(objectOf(client.get(last).body['links'])?.['prev']) ?? '').slice(
      'https://demo.zendesk.com/api/v2/'.length,
    );
    expect(idsIn(client.get(prev).body['tickets'])).toEqual([11, 12, 13, 14, 15, 16, 17, 18, 19, 20]);
  });

  it('goes on where it was when items before it are deleted', () => {
    const client = clientOf(6);
    const cursor = textOf(objectOf(client.get('tickets?page[size]=3').body['meta'])?.['after_cursor']) ?? '';
    client.delete('tickets/2');
    client.delete('tickets/3');
    expect(idsIn(client.get(`tickets?page[size]=3&page[after]=${cursor}`).body['tickets'])).toEqual([4, 5, 6]);
  });

  it.each(['page[size]=101', 'page[size]=0', 'page[size]=2&page[after]=nonsense'])('refuses %s', (query) => {
    expect(clientOf(1).get(`tickets?${query}`)).toMatchObject({
      status: 400,
      body: { errors: [{ code: 'InvalidPaginationParameter' }] },
    });
  });
});

describe('a list by offset', () => {
  it('tells the count and the pages beside it', () => {
    const client = clientOf(7);
    const { body } = client.get('tickets.json?page=2&per_page=3');
    expect(idsIn(body['tickets'])).toEqual([4, 5, 6]);
    expect(body).toMatchObject({
      count: 7,
      next_page: 'https://demo.zendesk.com/api/v2/tickets.json?page=3&per_page=3',
      previous_page: 'https://demo.zendesk.com/api/v2/tickets.json?page=1&per_page=3',
    });
    expect(client.get('tickets?page=3&per_page=3').body['next_page']).toBeNull();
  });
});

describe('an incremental export', () => {
  it('gives each ticket once, in the order of the changes, without the newest minute', () => {
    const client = clientOf(5, { endpointLimits: { 'incremental-exports': null } });
    client.nowMs += 60_000;
    client.put('tickets/2', { ticket: { priority: 'low' } });
    const first = client.get('incremental/tickets/cursor.json?start_time=0&per_page=3');
    expect(idsIn(first.body['tickets'])).toEqual([1, 3, 4]);
    expect(first.body['end_of_stream']).toBe(false);
    const second = client.get(`incremental/tickets/cursor?cursor=${textOf(first.body['after_cursor']) ?? ''}`);
    expect(idsIn(second.body['tickets'])).toEqual([5]);
    expect(second.body['end_of_stream']).toBe(true);
    client.nowMs += 60_000;
    const third = client.get(`incremental/tickets/cursor?cursor=${textOf(second.body['after_cursor']) ?? ''}`);
    expect(idsIn(third.body['tickets'])).toEqual([2]);
  });

  it('refuses a start within the last minute, and cursors that are none', () => {
    const client = clientOf(0);
    expect(client.get(`incremental/tickets?start_time=${START_MS / 1000}`).status).toBe(400);
    expect(client.get('incremental/tickets/cursor?cursor=odd').status).toBe(400);
    expect(client.get('incremental/tickets/cursor').status).toBe(400);
  });
});

describe('the search for tickets', () => {
  it('knows tickets only once the index has caught up', () => {
    const client = clientOf(4);
    expect(client.get('search?query=type:ticket+external_id:e-1').body['count']).toBe(0);
    client.nowMs += 120_000;
    expect(client.get('search?query=type:ticket+external_id:e-1').body).toMatchObject({
      count: 1,
      results: [{ id: 2 }],
    });
    expect(client.get('search?query=tags:odd').body['count']).toBe(2);
    expect(client.get('search?query=T3').body['count']).toBe(1);
    expect(client.get('search/count?query=status:new').body['count']).toBe(4);
    expect(listOf(client.get('search/export?query=tags:odd&filter[type]=ticket').body['results'])).toHaveLength(2);
  });
});

describe('show_many', () => {
  it('shows those that exist of up to a hundred', () => {
    const client = clientOf(3);
    expect(idsIn(client.get('tickets/show_many?ids=3,1,9').body['tickets'])).toEqual([3, 1]);
    const ids = Array.from({ length: 101 }, (_, index) => index).join(',');
    expect(client.get(`tickets/show_many?ids=${ids}`).body['error']).toBe('TooManyValues');
  });
});

describe('chaos', () => {
  it('befalls calls by the seed, and never costs the books their balance', () => {
    const run = (): string => {
      const client = clientOf(0, { chaosShare: 0.05, seed: 5 });
      const fates = Array.from({ length: 300 }, (_, index) => {
        const { kind, status } = client.post('tickets', {
          ticket: { comment: { body: 'x' }, external_id: `c-${index}` },
        });
        return `${kind} ${status}`;
      });
      client.nowMs += 600_000;
      expect(client.control('GET', '/books')).toMatchObject({ calls: 300 });
      return fates.join();
    };
    expect(run()).toBe(run());
    expect(run()).toMatch(/silence.*answer 50\d/);
  });

  it('can be switched on and off while it runs, beside other faults', () => {
    const client = clientOf(0);
    client.control('POST', '/faults', { effect: { type: 'clock', offsetMs: 1 } });
    expect(listOf(objectOf(client.control('PUT', '/chaos', { share: 0.1 }))?.['faults'])?.length).toBeGreaterThan(15);
    expect(listOf(objectOf(client.control('PUT', '/chaos', { share: 0 }))?.['faults'])).toHaveLength(1);
  });
});
