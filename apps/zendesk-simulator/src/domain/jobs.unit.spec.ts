import { describe, expect, it } from '@jest/globals';
import { listOf, objectOf } from './json.js';
import { Simulator, type SimulatorChoices } from './simulator.js';
import { type VirtualAnswer, VirtualClient } from './virtual-client.js';

const START_MS = 1_760_000_000_000;
const WAIT_MS = 20_000;

function clientOf(choices: SimulatorChoices = {}): VirtualClient {
  const simulator = new Simulator({ edgeLagMs: 0, latencyScale: 0, ...choices }, START_MS);
  return new VirtualClient(simulator, { startMs: START_MS, caller: 'us' });
}

function creations(count: number) {
  return {
    tickets: Array.from({ length: count }, (_, index) => ({
      subject: `T${index}`,
      comment: { body: 'x' },
      external_id: `e-${index}`,
    })),
  };
}

function jobOf(
  answer: VirtualAnswer,
): Record<string, never> & { id: string; status: string; results: { index: number; id: number }[] } {
  return objectOf(answer.body['job_status']) as never;
}

function finished(client: VirtualClient, submitted: VirtualAnswer): ReturnType<typeof jobOf> {
  client.nowMs += WAIT_MS;
  return jobOf(client.get(`job_statuses/${jobOf(submitted).id}`));
}

describe('a bulk job', () => {
  it('is queued, works and completes, and shows results only at the end', () => {
    const client = clientOf();
    const submitted = client.post('tickets/create_many', creations(50));
    expect(submitted.status).toBe(200);
    expect(jobOf(submitted)).toMatchObject({
      id: expect.stringMatching(/^V3-[0-9a-f]{32}$/),
      job_type: 'Bulk Create Ticket',
      status: 'queued',
      total: 50,
      progress: null,
      results: null,
      message: null,
    });
    client.nowMs += 5000;
    const working = jobOf(client.get(`job_statuses/${jobOf(submitted).id}.json`));
    expect(working).toMatchObject({ status: 'working', results: null });
    const seen = Number(
      client.get('tickets/count').body['count'] && objectOf(client.get('tickets/count').body['count'])?.['value'],
    );
    expect(seen).toBeGreaterThan(0);
    expect(seen).toBeLessThan(50);
    expect(finished(client, submitted)).toMatchObject({
      status: 'completed',
      progress: 50,
      message: expect.stringMatching(/^Completed at /),
    });
  });

  it.each([
    [1, 1000, 6200],
    [50, 7900, 13_100],
    [100, 14_900, 16_100],
  ])('of %d tickets takes between %d and %d ms', (count, leastMs, mostMs) => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const client = clientOf({ seed });
      const { id } = jobOf(client.post('tickets/create_many', creations(count)));
      client.nowMs = START_MS + leastMs - 1;
      expect(jobOf(client.get(`job_statuses/${id}`)).status).not.toBe('completed');
      client.nowMs = START_MS + mostMs;
      expect(jobOf(client.get(`job_statuses/${id}`)).status).toBe('completed');
    }
  });

  it('gives ids that are not in the order of the list, in results that are', () => {
    const client = clientOf();
    const { results } = finished(client, client.post('tickets/create_many', creations(30)));
    expect(results.map(({ index }) => index)).toEqual(Array.from({ length: 30 }, (_, index) => index));
    const ids = results.map(({ id }) => id);
    expect(ids).not.toEqual(ids.toSorted((left, right) => left - right));
    const first = client.get(`tickets/${ids[0]}`);
    expect(first.body).toMatchObject({ ticket: { external_id: 'e-0' } });
  });

  it('can complete with items that failed', () => {
    const client = clientOf();
    const body = { tickets: [{ comment: { body: 'good' } }, { subject: 'no comment' }] };
    expect(finished(client, client.post('tickets/create_many', body)).results).toEqual([
      expect.objectContaining({ index: 0, id: expect.any(Number) }),
      { index: 1, error: 'TicketCreateFailed', details: 'Description: cannot be blank' },
    ]);
  });

  it('refuses more than a hundred items', () => {
    expect(clientOf().post('tickets/create_many', creations(101))).toMatchObject({
      status: 400,
      body: { error: 'TooManyValues', max_count: 100 },
    });
  });

  it('is one of thirty in flight at most; the 31st is told which', () => {
    const client = clientOf({ open: { tooManyJobsStatus: 429 } });
    for (let sent = 0; sent < 30; sent += 1) expect(client.post('tickets/create_many', creations(1)).status).toBe(200);
    const refused = client.post('tickets/create_many', creations(1));
    expect(refused).toMatchObject({ status: 429, body: { error: 'TooManyJobs' } });
    expect(listOf(refused.body['current_job_ids'])).toHaveLength(30);
    expect(client.put('tickets/update_many?ids=1', { ticket: {} }).body['error']).toBe('TooManyJobs');
    client.nowMs += WAIT_MS;
    expect(client.post('tickets/create_many', creations(1)).status).toBe(200);
  });

  it('keeps its result for a day, and only among the last hundred', () => {
    const client = clientOf({ licence: 'enterprise' });
    const first = jobOf(client.post('tickets/create_many', creations(1))).id;
    client.nowMs += 23 * 3_600_000;
    expect(client.get(`job_statuses/${first}`).status).toBe(200);
    client.nowMs += 3_600_000 + WAIT_MS;
    expect(client.get(`job_statuses/${first}`).status).toBe(404);
    const second = jobOf(client.post('tickets/create_many', creations(1))).id;
    for (let sent = 0; sent < 100; sent += 1) {
      client.nowMs += 10_000;
      client.post('tickets/create_many', creations(1));
    }
    expect(client.get(`job_statuses/${second}`).status).toBe(404);
  });

  it('is shown with others in one call, and in the list of jobs', () => {
    const client = clientOf();
    const ids = [1, 2, 3].map(() => jobOf(client.post('tickets/create_many', creations(1))).id);
    expect(
      listOf(client.get(`job_statuses/show_many.json?ids=${ids.join(',')},V3-none`).body['job_statuses']),
    ).toHaveLength(3);
    expect(client.get('job_statuses').body).toMatchObject({
      job_statuses: [{ id: ids[2] }, { id: ids[1] }, { id: ids[0] }],
    });
  });
});

describe('update_many', () => {
  function withTickets(choices: SimulatorChoices = {}): VirtualClient {
    const client = clientOf(choices);
    for (let made = 0; made < 3; made += 1) client.post('tickets', { ticket: { comment: { body: 'x' } } });
    return client;
  }

  it('makes one change to many tickets', () => {
    const client = withTickets();
    const { results } = finished(
      client,
      client.put('tickets/update_many.json?ids=1,2,3', { ticket: { priority: 'high' } }),
    );
    expect(results).toHaveLength(3);
    expect(results[0]).toEqual({ action: 'update', id: 1, status: 'Updated', success: true });
    expect(client.get('tickets/3').body).toMatchObject({ ticket: { priority: 'high' } });
  });

  it('makes different changes, and fails item by item', () => {
    const client = withTickets();
    const body = {
      tickets: [
        { id: 1, comment: { body: 'more' } },
        { id: 9, priority: 'low' },
      ],
    };
    expect(finished(client, client.put('tickets/update_many', body)).results).toEqual([
      expect.objectContaining({ id: 1, success: true }),
      expect.objectContaining({ id: 9, success: false, action: 'update', error: 'TicketNotFound' }),
    ]);
  });

  it('may lose against a change made meanwhile', () => {
    const client = withTickets();
    const submitted = client.put('tickets/update_many', { tickets: [{ id: 1, priority: 'low' }] });
    client.put('tickets/1', { ticket: { priority: 'high' } });
    expect(finished(client, submitted).results).toEqual([expect.objectContaining({ error: 'UpdateConflict' })]);
    const lenient = withTickets({ open: { updateManyConflicts: false } });
    const again = lenient.put('tickets/update_many', { tickets: [{ id: 1, priority: 'low' }] });
    lenient.put('tickets/1', { ticket: { priority: 'high' } });
    expect(finished(lenient, again).results).toEqual([expect.objectContaining({ success: true })]);
  });

  it('may insist on a stamp for each item', () => {
    const client = withTickets({ open: { updateManyStamp: 'required' } });
    const stamp = objectOf(client.get('tickets/2').body['ticket'])?.['updated_at'] ?? null;
    const body = {
      tickets: [
        { id: 1, priority: 'low' },
        { id: 2, priority: 'low', safe_update: true, updated_stamp: stamp },
      ],
    };
    expect(finished(client, client.put('tickets/update_many', body)).results).toMatchObject([
      { success: false },
      { success: true },
    ]);
  });
});

describe('a job that goes wrong', () => {
  it('can stay queued for minutes', () => {
    const client = clientOf();
    client.control('POST', '/faults', { effect: { type: 'job', outcome: 'stuck', forMs: 300_000 }, count: 1 });
    const { id } = jobOf(client.post('tickets/create_many', creations(2)));
    client.nowMs += 299_000;
    expect(jobOf(client.get(`job_statuses/${id}`))).toMatchObject({ status: 'queued', results: null });
    client.nowMs += 20_000;
    expect(jobOf(client.get(`job_statuses/${id}`)).status).toBe('completed');
  });

  it.each(['killed', 'failed'] as const)('can be %s with a part of it done, and tells no results', (outcome) => {
    const client = clientOf();
    client.control('POST', '/faults', { effect: { type: 'job', outcome, share: 0.5 }, count: 1 });
    expect(finished(client, client.post('tickets/create_many', creations(10)))).toMatchObject({
      status: outcome,
      results: null,
    });
    expect(client.get('tickets').body['count']).toBe(5);
  });

  it('can have some of its items fail', () => {
    const client = clientOf();
    client.control('POST', '/faults', { effect: { type: 'job', outcome: 'items-fail', share: 0.5 } });
    const { results } = finished(client, client.post('tickets/create_many', creations(100)));
    const failed = results.filter((result) => 'error' in result).length;
    expect(failed).toBeGreaterThan(25);
    expect(failed).toBeLessThan(75);
    expect(objectOf(client.get('tickets/count').body['count'])?.['value']).toBe(100 - failed);
  });
});
