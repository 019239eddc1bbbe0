import { describe, expect, it } from '@jest/globals';
import type { PlannedCall, PlannedItem } from '../domain/plan-calls.js';
import { contactRequest, listByExternalId, pollJobs, readAudits, writeRequest } from './requests.js';

const item: PlannedItem = {
  interactionId: 'call-1',
  commandIds: ['a', 'b'],
  ticketId: null,
  knownTicketId: null,
  followUpOf: null,
  externalId: 'ccai-call-1',
  subject: 'About it',
  requester: { by: 'userId', userId: 5 },
  contactKeys: [],
  attempts: 0,
  comment: { body: 'text', public: false },
  tags: ['ccai'],
  customFields: [{ id: 9, value: 'x' }],
};
const mark = { sluice: { commands: ['a', 'b'], interaction: 'call-1' } };

function request(kind: PlannedCall['kind'], ...items: PlannedItem[]) {
  const { body, ...rest } = writeRequest({ kind, writer: 'single', priority: 'live', items }, 'k1');
  return { ...rest, body: JSON.parse(new TextDecoder().decode(body!)) as unknown };
}

describe('a request to Zendesk', () => {
  it('makes a ticket with its mark, guarded by a key', () => {
    expect(request('tickets.create', item)).toEqual({
      method: 'POST',
      path: '/api/v2/tickets',
      idempotencyKey: 'sluice-k1',
      body: {
        ticket: {
          subject: 'About it',
          comment: { body: 'text', public: false },
          external_id: 'ccai-call-1',
          requester_id: 5,
          tags: ['ccai'],
          custom_fields: [{ id: 9, value: 'x' }],
          metadata: mark,
        },
      },
    });
  });

  it('changes a ticket, adding to its tags', () => {
    expect(request('tickets.update', { ...item, ticketId: 7 })).toEqual({
      method: 'PUT',
      path: '/api/v2/tickets/7',
      idempotencyKey: null,
      body: {
        ticket: {
          comment: { body: 'text', public: false },
          additional_tags: ['ccai'],
          custom_fields: [{ id: 9, value: 'x' }],
          metadata: mark,
        },
      },
    });
  });

  it('leaves out what there is nothing of', () => {
    const bare = { ...item, ticketId: 7, comment: null, tags: [], customFields: [] };
    expect(request('tickets.update', bare).body).toEqual({ ticket: { metadata: mark } });
  });

  it('lists many in their order, changes by ticket id', () => {
    const second = { ...item, interactionId: 'call-2', externalId: 'ccai-call-2' };
    expect(request('tickets.create_many', item, second)).toMatchObject({
      path: '/api/v2/tickets/create_many',
      idempotencyKey: null,
      body: { tickets: [{ external_id: 'ccai-call-1' }, { external_id: 'ccai-call-2' }] },
    });
    expect(request('tickets.update_many', { ...item, ticketId: 7 }, { ...second, ticketId: 8 })).toMatchObject({
      method: 'PUT',
      path: '/api/v2/tickets/update_many',
      body: { tickets: [{ id: 7 }, { id: 8 }] },
    });
  });

  it('names a requester by mail address, or none', () => {
    const byEmail = { ...item, requester: { by: 'email', email: 'a@b.example', name: null } } as const;
    expect(request('tickets.create', byEmail).body).toMatchObject({
      ticket: { requester: { name: 'a@b.example', email: 'a@b.example' } },
    });
    const { ticket } = request('tickets.create', { ...item, requester: { by: 'none' } }).body as { ticket: object };
    expect(Object.keys(ticket).filter((key) => key.startsWith('requester'))).toEqual([]);
  });

  it('gives a ticket without a comment one that says what it is', () => {
    expect(request('tickets.create', { ...item, comment: { body: ' ', public: true } }).body).toMatchObject({
      ticket: { comment: { body: 'About it', public: true } },
    });
    expect(request('tickets.create', { ...item, comment: null, followUpOf: 7 }).body).toMatchObject({
      ticket: { comment: { body: 'Continues ticket #7.', public: false }, via_followup_source_id: 7 },
    });
  });

  it('escapes what stands in its path', () => {
    expect(listByExternalId('a&b=c').path).toBe('/api/v2/tickets?external_id=a%26b%3Dc');
    expect(pollJobs(['V3-1', 'V3-2']).path).toBe('/api/v2/job_statuses/show_many?ids=V3-1,V3-2');
    expect(readAudits(7, '?page=2').path).toBe('/api/v2/tickets/7/audits?page=2');
    const contact = { phone: '+49 1', userId: null, email: null, name: null };
    expect(contactRequest('search', contact, 'p-').path).toBe('/api/v2/users/search?query=phone%3A%2B49%201');
  });

  it('makes a contact under its external id', () => {
    const contact = { phone: '+491', userId: 'u', email: 'a@b.example', name: 'N' };
    for (const [step, path] of [
      ['create', '/api/v2/users'],
      ['adopt', '/api/v2/users/create_or_update'],
    ] as const) {
      const made = contactRequest(step, contact, 'p-');
      expect(made.path).toBe(path);
      expect(JSON.parse(new TextDecoder().decode(made.body!))).toEqual({
        user: { name: 'N', phone: '+491', email: 'a@b.example', external_id: 'p-+491' },
      });
    }
  });
});
