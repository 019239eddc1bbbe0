/* Whatever goes wrong: what a caller was told is true, and what it wasn't told is one of two things. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { listOf, objectOf, textOf, wholeNumberOf } from './json.js';
import { Simulator } from './simulator.js';
import { VirtualClient } from './virtual-client.js';

const START_MS = 1_760_000_000_000;
const LONG_AFTER_MS = 30 * 60_000;

function ticketsWith(client: VirtualClient, externalId: string): number {
  return Number(objectOf(client.control('GET', `/tickets?external_id=${externalId}`))?.['total']);
}

describe('under chaos', () => {
  it('a ticket exists once where its creation was answered 201, not at all where it was refused, else once or not', () => {
    fc.assert(
      fc.property(fc.integer(), fc.constantFrom(0.01, 0.05, 0.2), (seed, chaosShare) => {
        const client = new VirtualClient(new Simulator({ seed, chaosShare }, START_MS), { startMs: START_MS });
        const told = Array.from({ length: 60 }, (_, index) => {
          const external_id = `call-${index}`;
          return client.post('tickets', { ticket: { comment: { body: 'x' }, external_id } });
        });
        client.nowMs += LONG_AFTER_MS;
        told.forEach(({ kind, status }, index) => {
          const made = ticketsWith(client, `call-${index}`);
          if (kind === 'answer' && status < 500) expect(made).toBe(status === 201 ? 1 : 0);
          else expect(made).toBeLessThanOrEqual(1);
        });
      }),
      { numRuns: 12 },
    );
  });

  it('the same creation sent again with its key until it is answered makes one ticket', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const simulator = new Simulator({ seed, chaosShare: 0.1, licence: 'high-volume' }, START_MS);
        const client = new VirtualClient(simulator, { startMs: START_MS });
        for (let index = 0; index < 30; index += 1) {
          const ticket = { comment: { body: 'x' }, external_id: `call-${index}` };
          for (let attempt = 0; attempt < 50; attempt += 1) {
            if (client.post('tickets', { ticket }, { 'idempotency-key': `key-${index}` }).status === 201) break;
            client.nowMs += 10_000;
          }
        }
        client.nowMs += LONG_AFTER_MS;
        for (let index = 0; index < 30; index += 1) expect(ticketsWith(client, `call-${index}`)).toBe(1);
      }),
      { numRuns: 12 },
    );
  });

  it('a completed job’s results are true, item by item, and a job of unknown outcome made each ticket once or not', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 100 }), (seed, size) => {
        const simulator = new Simulator({ seed, chaosShare: 0.15, licence: 'high-volume' }, START_MS);
        const client = new VirtualClient(simulator, { startMs: START_MS });
        const tickets = Array.from({ length: size }, (_, index) => ({
          comment: { body: 'x' },
          external_id: `call-${index}`,
        }));
        const submitted = objectOf(client.post('tickets/create_many', { tickets }).body['job_status']);
        client.nowMs += LONG_AFTER_MS;
        client.control('PUT', '/chaos', { share: 0 });
        const id = textOf(submitted?.['id']);
        const job = id === undefined ? undefined : objectOf(client.get(`job_statuses/${id}`).body['job_status']);
        const results = listOf(job?.['results']);
        tickets.forEach(({ external_id }, index) => {
          const made = ticketsWith(client, external_id);
          const result = objectOf(results?.[index]);
          if (!result) return expect(made).toBeLessThanOrEqual(1);
          const ticketId = wholeNumberOf(result['id']);
          expect(made).toBe(ticketId === undefined ? 0 : 1);
          if (ticketId === undefined) return;
          expect(client.control('GET', `/tickets?id=${ticketId}`)).toMatchObject({ tickets: [{ external_id }] });
        });
      }),
      { numRuns: 12 },
    );
  });
});
