import { describe, expect, it } from '@jest/globals';
import { objectOf } from './json.js';
import { Simulator, type SimulatorChoices } from './simulator.js';
import { VirtualClient } from './virtual-client.js';

const START_MS = 1_760_000_000_000;

function clientOf(choices: SimulatorChoices = {}): VirtualClient {
  return new VirtualClient(new Simulator({ edgeLagMs: 0, ...choices }, START_MS), { startMs: START_MS, caller: 'us' });
}

function ticketOf(more: Record<string, string | number | boolean | object> = {}): { ticket: Record<string, never> } {
  return { ticket: { subject: 'A call', comment: { body: 'It rang' }, ...more } } as never;
}

describe('a ticket created', () => {
  it('answers 201 with location, the ticket and its first audit', () => {
    const answer = clientOf().post(
      'tickets',
      ticketOf({ external_id: 'call-1', tags: ['Voice Mail'], priority: 'low' }),
    );
    expect(answer.status).toBe(201);
    expect(answer.headers['location']).toBe('https://demo.zendesk.com/api/v2/tickets/1.json');
    expect(answer.body).toMatchObject({
      ticket: { id: 1, external_id: 'call-1', status: 'new', tags: ['voice_mail'], priority: 'low', is_public: true },
      audit: {
        ticket_id: 1,
        events: expect.arrayContaining([expect.objectContaining({ type: 'Comment', body: 'It rang' })]),
      },
    });
  });

  it('takes about 0.85 seconds', () => {
    const { tookMs } = clientOf().post('tickets', ticketOf());
    expect(tookMs).toBeGreaterThan(500);
    expect(tookMs).toBeLessThan(1200);
  });

  it('keeps what metadata carried where audits show it', () => {
    const client = clientOf();
    client.post('tickets', ticketOf({ metadata: { sluice: { commands: ['c-1'] } } }));
    expect(client.get('tickets/1/audits').body).toMatchObject({
      audits: [{ metadata: { custom: { sluice: { commands: ['c-1'] } } } }],
    });
  });

  it('may share its external_id with others', () => {
    const client = clientOf();
    client.post('tickets', ticketOf({ external_id: 'call-1' }));
    client.post('tickets', ticketOf({ external_id: 'call-1' }));
    expect(client.get('tickets?external_id=call-1').body).toMatchObject({ count: 2, tickets: [{ id: 1 }, { id: 2 }] });
    expect(client.get('tickets?external_id=call-2').body).toMatchObject({ count: 0, tickets: [] });
  });

  it('makes its requester from name and e-mail, once', () => {
    const client = clientOf({ open: { createConflicts: 'never' } });
    const requester = { name: 'Ada', email: 'Ada@example.com' };
    const first = client.post('tickets', ticketOf({ requester }));
    const second = client.post('tickets', ticketOf({ requester }));
    expect(objectOf(second.body['ticket'])?.['requester_id']).toBe(objectOf(first.body['ticket'])?.['requester_id']);
  });

  it.each([
    ['reject', 422],
    ['create', 201],
    ['ignore', 201],
  ] as const)('may %s a requester with a phone alone', (requesterPhoneAlone, status) => {
    const client = clientOf({ open: { requesterPhoneAlone } });
    expect(client.post('tickets', ticketOf({ requester: { name: 'Ada', phone: '+15550100' } })).status).toBe(status);
    const contacts = objectOf(objectOf(client.control('GET', '/books'))?.['contactsPerPhone']);
    expect(contacts).toEqual(requesterPhoneAlone === 'create' ? { '+15550100': 1 } : {});
  });

  it.each([
    ['no comment', { comment: {} }, 'base', 'BlankValue'],
    ['an unknown status', { status: 'odd' }, 'status', 'InvalidValue'],
    ['an unknown requester', { requester_id: 9 }, 'requester', 'InvalidValue'],
    ['a requester whose e-mail is none', { requester: { name: 'A', email: 'x' } }, 'requester', 'InvalidValue'],
    ['a custom field without id', { custom_fields: [{ value: 1 }] }, 'custom_fields', 'InvalidValue'],
    ['a source that isn’t closed', { via_followup_source_id: 1 }, 'via_followup_source_id', 'InvalidValue'],
  ])('is refused for %s', (_, more, field, error) => {
    const answer = clientOf().post('tickets', ticketOf(more));
    expect(answer.status).toBe(422);
    expect(answer.body).toMatchObject({ error: 'RecordInvalid', details: { [field]: [{ error }] } });
  });

  it('warns of parameters it does not know, and ignores them', () => {
    const answer = clientOf().post('tickets?colour=red', ticketOf({ comments: [] }));
    expect(answer.status).toBe(201);
    expect(answer.headers['x-zendesk-api-warn']).toContain('["colour","comments"]');
  });

  it('conflicts with another creation for the same requester under way', () => {
    const client = clientOf();
    client.post('users', { user: { name: 'Ada', email: 'ada@example.com' } });
    const requester = { name: 'Ada', email: 'ada@example.com' };
    client.send('POST', 'tickets', ticketOf({ requester }));
    expect(client.post('tickets', ticketOf({ requester }))).toMatchObject({
      status: 409,
      body: { error: 'UpdateConflict' },
    });
    client.nowMs += 2000;
    expect(client.post('tickets', ticketOf({ requester })).status).toBe(201);
  });
});

describe('a ticket updated', () => {
  it('takes fields, tags and one comment', () => {
    const client = clientOf();
    client.post('tickets', ticketOf({ tags: ['a', 'b'], custom_fields: [{ id: 7, value: 'x' }] }));
    const answer = client.put('tickets/1', {
      ticket: {
        comment: { body: 'More', public: false },
        additional_tags: ['c'],
        remove_tags: ['a'],
        custom_fields: [{ id: 8, value: true }],
      },
    });
    expect(answer.body).toMatchObject({
      ticket: {
        tags: ['b', 'c'],
        custom_fields: [
          { id: 7, value: 'x' },
          { id: 8, value: true },
        ],
      },
      audit: { events: expect.arrayContaining([expect.objectContaining({ type: 'Comment', public: false })]) },
    });
    expect(client.get('tickets/1/comments').body['count']).toBe(2);
  });

  it('answers 404 where there is none', () => {
    expect(clientOf().put('tickets/9', ticketOf())).toMatchObject({ status: 404, body: { error: 'RecordNotFound' } });
  });

  it('loses a safe update whose stamp is old', () => {
    const client = clientOf();
    const created = client.post('tickets', ticketOf());
    const updated_stamp = objectOf(created.body['ticket'])?.['updated_at'] ?? null;
    client.nowMs += 5000;
    expect(client.put('tickets/1', { ticket: { safe_update: true, updated_stamp, priority: 'low' } }).status).toBe(200);
    expect(client.put('tickets/1', { ticket: { safe_update: true, updated_stamp, priority: 'high' } })).toMatchObject({
      status: 409,
      body: { error: 'UpdateConflict' },
    });
  });

  it('is refused once the ticket is closed, and a follow-up takes its place', () => {
    const client = clientOf({ closeSolvedAfterMs: 60_000 });
    client.post('tickets', ticketOf({ external_id: 'call-1' }));
    client.put('tickets/1', { ticket: { status: 'solved' } });
    client.nowMs += 61_000;
    expect(client.put('tickets/1', ticketOf())).toMatchObject({
      status: 422,
      body: { details: { base: [{ description: expect.stringContaining('Status: closed is not valid') }] } },
    });
    const followUp = client.post('tickets', ticketOf({ external_id: 'call-1', via_followup_source_id: 1 }));
    expect(followUp.body).toMatchObject({ ticket: { via: { source: { rel: 'follow_up', from: { ticket_id: 1 } } } } });
    expect(client.get('tickets/1').body).toMatchObject({ ticket: { followup_ids: [2] } });
    expect(client.control('GET', '/audit')).toMatchObject({ ok: true });
  });
});

describe('an import', () => {
  it('takes several comments and true times, and fires no trigger', () => {
    const client = clientOf();
    const answer = client.post('imports/tickets', {
      ticket: { subject: 'Old', created_at: '2020-01-02T03:04:05Z', comments: [{ value: 'one' }, { value: 'two' }] },
    });
    expect(answer.body).toMatchObject({ ticket: { created_at: '2020-01-02T03:04:05Z' } });
    expect(client.get('tickets/1/comments').body['count']).toBe(2);
    expect(client.control('GET', '/books')).toMatchObject({ triggersFired: {} });
  });
});

describe('triggers', () => {
  it('fire on public comments, and not where a tag keeps them away', () => {
    const trigger = { id: 1, title: 'Mail', on: 'create', publicCommentOnly: true, unlessTags: ['late'] } as const;
    const client = clientOf({ triggers: [trigger] });
    client.post('tickets', ticketOf());
    client.post('tickets', ticketOf({ comment: { body: 'x', public: false } }));
    client.post('tickets', ticketOf({ tags: ['late'] }));
    expect(client.control('GET', '/books')).toMatchObject({ triggersFired: { Mail: 1 } });
  });
});

describe('an Idempotency-Key', () => {
  const key = { 'idempotency-key': 'k-1' };

  it('brings the first answer back, with the same bytes, for two hours', () => {
    const client = clientOf();
    const first = client.post('tickets', ticketOf(), key);
    const second = client.post('tickets', ticketOf(), key);
    expect(first.headers['x-idempotency-lookup']).toBe('miss');
    expect(second).toMatchObject({ status: 201, text: first.text, headers: { 'x-idempotency-lookup': 'hit' } });
    client.nowMs += 2 * 3_600_000;
    expect(client.post('tickets', ticketOf(), key).headers['x-idempotency-lookup']).toBe('miss');
  });

  it('refuses another body', () => {
    const client = clientOf();
    client.post('tickets', ticketOf(), key);
    expect(client.post('tickets', ticketOf({ priority: 'low' }), key)).toMatchObject({
      status: 400,
      body: { error: 'IdempotentRequestError' },
    });
  });

  it('is at most 255 characters long', () => {
    expect(clientOf().post('tickets', ticketOf(), { 'idempotency-key': 'k'.repeat(256) }).status).toBe(400);
  });

  it('means nothing to other calls', () => {
    const client = clientOf();
    client.post('users', { user: { name: 'Ada' } }, key);
    expect(client.post('users', { user: { name: 'Ada' } }, key).headers).not.toHaveProperty('x-idempotency-lookup');
  });

  it.each([
    ['success', 201, 201],
    ['processed', 201, 201],
    ['everything', 429, 503],
  ] as const)('keeps %s', (idempotencyKeeps, afterRefusal, afterFailure) => {
    const client = clientOf({ limitPerMinute: 2, open: { idempotencyKeeps } });
    client.control('POST', '/faults', { effect: { type: 'status', status: 503, when: 'before' }, count: 1 });
    expect(client.post('tickets', ticketOf(), { 'idempotency-key': 'k-2' }).status).toBe(503);
    client.get('tickets/count');
    expect(client.post('tickets', ticketOf(), key).status).toBe(429);
    client.nowMs += 60_000;
    expect(client.post('tickets', ticketOf(), key).status).toBe(afterRefusal);
    expect(client.post('tickets', ticketOf(), { 'idempotency-key': 'k-2' }).status).toBe(afterFailure);
  });

  it('keeps refused records only where it keeps what was processed', () => {
    const lookup = (idempotencyKeeps: 'success' | 'processed'): string | undefined => {
      const client = clientOf({ open: { idempotencyKeeps } });
      client.post('tickets', { ticket: {} }, key);
      return client.post('tickets', { ticket: {} }, key).headers['x-idempotency-lookup'];
    };
    expect([lookup('success'), lookup('processed')]).toEqual(['miss', 'hit']);
  });

  it('is kept when the answer was lost after the effect', () => {
    const client = clientOf();
    client.control('POST', '/faults', { effect: { type: 'status', status: 500, when: 'after' }, count: 1 });
    expect(client.post('tickets', ticketOf(), key).status).toBe(500);
    expect(client.post('tickets', ticketOf(), key)).toMatchObject({
      status: 201,
      headers: { 'x-idempotency-lookup': 'hit' },
    });
    expect(client.get('tickets').body['count']).toBe(1);
  });
});

describe('an upload', () => {
  it('gives a token that a comment attaches the file with, for three days', () => {
    const client = clientOf();
    const answer = client.post('uploads.json?filename=call.wav', 'sound');
    const token = objectOf(answer.body['upload'])?.['token'];
    client.post('tickets', ticketOf({ comment: { body: 'see', uploads: [token] } }));
    expect(client.get('tickets/1/comments').body).toMatchObject({
      comments: [{ attachments: [{ file_name: 'call.wav', content_type: 'application/json' }] }],
    });
  });

  it('is refused when too large', () => {
    const client = clientOf({ uploadLimitBytes: 3 });
    expect(client.post('uploads?filename=a', 'sound')).toMatchObject({
      status: 413,
      body: { error: 'AttachmentTooLarge' },
    });
  });
});

describe('a screen pop', () => {
  it('opens a ticket that exists and is written down', () => {
    const client = clientOf();
    client.post('tickets', ticketOf());
    expect(client.post('channels/voice/agents/5/tickets/1/display', {}).status).toBe(200);
    expect(client.post('channels/voice/agents/5/tickets/2/display', {}).status).toBe(404);
    expect(client.control('GET', '/books')).toMatchObject({ screenPops: [{ agentId: 5, ticketId: 1 }] });
  });
});
