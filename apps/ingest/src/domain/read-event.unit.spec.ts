import { describe, expect, it } from '@jest/globals';
import { encodeEnvelope, type InteractionEvent, parseInteractionEvent } from '#contracts';
import { type Arrival, METADATA_DELAY_MS, readEvent } from './read-event.js';

const NOW = Date.parse('2026-01-05T09:30:00Z');
const arrival: Arrival = { account: 'demo', feed: 'calls', receivedAt: NOW, traceparent: null };

function taken(raw: unknown, more: Partial<Arrival> = {}): InteractionEvent {
  const read = readEvent(raw, { ...arrival, ...more });
  if (!read.ok) throw new Error(`rejected: ${read.code}`);
  expect(parseInteractionEvent(encodeEnvelope(read.event))).toEqual({ ok: true, value: read.event });
  return read.event;
}

function rejected(raw: unknown, more: Partial<Arrival> = {}): string {
  const read = readEvent(raw, { ...arrival, ...more });
  return read.ok ? 'taken' : read.code;
}

const event = (item: object, more: object = {}) => ({
  event_id: 'b77be14d-2953-4091-8a63-7af3da8bf96c',
  timestamp: NOW - 1_000,
  item,
  ...more,
});
const caller = { type: 'external', state: 'connected', dn: '+12025550147' };

describe('an event of a call', () => {
  it('is read in the documented spelling with capitals', () => {
    const read = taken({
      type: 'CallState',
      item: {
        CallID: '846802bf90d1',
        State: 'ringing',
        Direction: 'incoming',
        Initiator: '+123456789',
        Queue_path_ids: '1/2/3',
        Queue_path_names: 'support/orders/status',
        Language: 'en',
        Queue_uuid: 3,
        Recording_permitted: true,
        Participants: [
          { ParticipantID: '+123456789', Type: 'external', State: 'connected' },
          { ParticipantID: '1234', Type: 'agent', State: 'ringing' },
        ],
        MediaID: '208188811_124248155@67.231.1.110',
      },
    });
    expect(read.id).toMatch(/^feed-[0-9a-f]{32}$/);
    expect(read.occurredAt).toBe(NOW);
    expect(read.data).toMatchObject({
      interactionId: 'call-846802bf90d1',
      event: 'routed',
      direction: 'incoming',
      language: 'en',
      queuePath: 'support/orders/status',
      contact: { phone: '+123456789', userId: null, email: null, name: null },
      agent: { id: '1234', virtual: false },
    });
  });

  it('is read with all its steps', () => {
    const steps = [
      taken(event({ call_id: 7, state: 'connected', participants: [caller] })),
      taken(
        event({ call_id: 7, queue_path_names: 'support', participants: [caller] }, { initiator: 'virtual_agent_15' }),
      ),
      taken(
        event({ call_id: 7, participants: [caller, { type: 'agent', state: 'accepted', id: 1, name: 'Agent 1' }] }),
      ),
      taken(event({ call_id: 7, participants: [caller, { type: 'agent', state: 'connected', id: 1 }] })),
      taken(
        event(
          { call_id: 7, participants: [{ ...caller, state: 'disconnected' }] },
          { ends_at: '2026-01-05T09:29:00Z' },
        ),
      ),
      taken(
        event(
          { call_id: 7, participants: [{ type: 'agent', state: 'dispositionSubmitted', id: 1 }] },
          { dispositions: { code: 'resolved', custom_code_id: 4, note: 'All\u0000 well' } },
        ),
      ),
    ];
    expect(steps.map(({ type }) => type)).toEqual([
      'started',
      'routed',
      'assigned',
      'active',
      'ended',
      'dispositioned',
    ]);
    expect(steps[1]!.data.agent).toEqual({ id: '15', name: null, email: null, virtual: true });
    expect(steps[4]!.data).toMatchObject({ endedAt: Date.parse('2026-01-05T09:29:00Z'), abandoned: true });
    expect(steps[5]!.data.dispositions).toEqual([{ code: 'resolved', customCodeId: '4', note: 'All well' }]);
  });

  it('counts the time of the call from both its ends', () => {
    const both = { connected_at: '2026-01-05T09:20:00Z', ends_at: '2026-01-05T09:24:05.000+00:00' };
    const agent = { type: 'agent', state: 'disconnected', id: 3 };
    expect(taken(event({ call_id: 7, participants: [agent] }, both)).data).toMatchObject({
      callSeconds: 245,
      abandoned: false,
    });
  });

  it('takes an early connected_at for the customer’s', () => {
    const read = taken(event({ call_id: 7, participants: [caller] }, { connected_at: '2026-01-05T09:20:00Z' }));
    expect(read.data).toMatchObject({ connectedAt: null, startedAt: Date.parse('2026-01-05T09:20:00Z') });
  });

  it('tells a voicemail from an abandoned call', () => {
    const gone = { ...caller, state: 'disconnected' };
    const read = taken(event({ call_id: 7, state: 'voicemail', participants: [gone] }));
    expect(read.data).toMatchObject({ event: 'ended', voicemail: true, abandoned: false });
  });

  it.each(['anonymous', 'Restricted', 'unavailable'])('has no contact where the number is %s', (dn) => {
    const read = taken(event({ call_id: 7, participants: [{ ...caller, dn }] }));
    expect(read.data.contact).toEqual({ phone: null, userId: null, email: null, name: null });
  });

  it('takes who began it for the customer where no participant is listed', () => {
    expect(taken(event({ call_id: 7 }, { initiator: '00 44 20 7946 0018' })).data.contact.phone).toBe('+442079460018');
    expect(taken(event({ call_id: 7 }, { initiator: 'agent_1' })).data.contact.phone).toBeNull();
  });
});

describe('an event of a chat', () => {
  it('is read in the documented spelling without an envelope', () => {
    const read = taken(
      {
        queue_path_ids: '7/26',
        queue_path_names: 'Test/calls',
        language: 'en',
        support_number: null,
        session_type_v2: 'In-web',
        chat_id: 138,
        state: 'waiting',
        direction: 'incoming',
        initiator: 'end_user_5',
        participants: [{ state: 'connected', type: 'external', dn: 'end_user_5' }],
      },
      { feed: 'chats' },
    );
    expect(read.data).toMatchObject({
      interactionId: 'chat-138',
      channel: 'chat',
      event: 'routed',
      sessionType: 'In-web',
      contact: { userId: 'end_user_5', phone: null },
    });
  });

  it('stays a chat at the door for calls', () => {
    expect(taken(event({ chat_id: 138 })).data.interactionId).toBe('chat-138');
  });
});

describe('a metadata record', () => {
  const record = {
    id: 1173,
    lang: 'en',
    call_type: 'Voice Inbound',
    session_type: 'Voice Inbound (IVR)',
    status: 'finished',
    created_at: '2026-01-05T09:00:00Z',
    connected_at: '2026-01-05T09:00:20Z',
    ends_at: '2026-01-05T09:04:00Z',
    wait_duration: 12,
    call_duration: 220.4,
    hold_duration: 0,
    rating: 4,
    feedback: 'Friendly',
    agent_info: [{ id: 9, name: 'Agent 9', email: 'agent-9@example.com' }],
    participants: [{ type: 'end_user', phone_number: '+12025550147' }],
    recording_url: 'https://recordings.example.com/call/1173',
    selected_menu: { id: 3, name: 'support/orders' },
    disposition_code: 'resolved',
    disposition_notes: ['one', 'two'],
  };

  it('tells everything at once', () => {
    const read = taken(record, { feed: 'metadata' });
    expect(read.id).toMatch(/^metadata-[0-9a-f]{32}$/);
    expect(read.occurredAt).toBe(Date.parse(record.ends_at) + METADATA_DELAY_MS);
    expect(read.data).toMatchObject({
      interactionId: 'call-1173',
      event: 'metadata',
      direction: 'incoming',
      queuePath: 'support/orders',
      contact: { phone: '+12025550147' },
      agent: { id: '9', name: 'Agent 9', email: 'agent-9@example.com', virtual: false },
      waitSeconds: 12,
      callSeconds: 220,
      holdSeconds: 0,
      rating: 4,
      feedback: 'Friendly',
      recordingUrl: record.recording_url,
      dispositions: [{ code: 'resolved', customCodeId: null, note: 'one\ntwo' }],
      abandoned: false,
    });
  });

  it('has the same id whatever the order of its keys, and another one when it says more', () => {
    const turned = Object.fromEntries(Object.entries(record).reverse());
    expect(taken(turned).id).toBe(taken(record, { feed: 'metadata', receivedAt: NOW + 5_000 }).id);
    expect(taken({ ...record, rating: 5 }).id).not.toBe(taken(record).id);
  });

  it('is of a chat where it says so, and rejected where nothing tells', () => {
    expect(taken({ id: 4, chat_type: 'web' }, { feed: 'metadata' }).data.interactionId).toBe('chat-4');
    expect(taken({ id: 4, session_type: 'Messaging (Web)' }, { feed: 'metadata' }).data.channel).toBe('chat');
    expect(taken({ id: 4 }, { feed: 'chats' }).data.channel).toBe('chat');
    expect(rejected({ id: 4 }, { feed: 'metadata' })).toBe('channel_unknown');
  });

  it('joins the end user’s number with the name that events have for him', () => {
    const read = taken({ id: 4, chat_type: 'web', end_user: { id: 5, identifier: 'x' } }, { feed: 'metadata' });
    expect(read.data.contact.userId).toBe('end_user_5');
  });

  it('is abandoned where no agent ever was in it', () => {
    const { agent_info: _, connected_at: __, ...alone } = record;
    expect(taken({ ...alone, status: 'failed' }).data.abandoned).toBe(true);
    expect(taken({ ...alone, status: 'deflected' }).data.abandoned).toBe(false);
    expect(taken({ ...alone, voicemail_reason: 'no_agents' }).data).toMatchObject({
      voicemail: true,
      abandoned: false,
    });
  });
});

describe('an event is rejected', () => {
  it.each<[string, unknown, string]>([
    ['when it is no object', [1], 'event_not_object'],
    ['when it is null', null, 'event_not_object'],
    ['when its id is an object', event({ call_id: 1 }, { event_id: {} }), 'event_id_invalid'],
    ['when its id is empty', event({ call_id: 1 }, { event_id: ' ' }), 'event_id_invalid'],
    ['when its id breaks a header', event({ call_id: 1 }, { event_id: 'a\r\nNats-Msg-Id: b' }), 'event_id_invalid'],
    ['when its id is too long', event({ call_id: 1 }, { event_id: 'x'.repeat(129) }), 'event_id_invalid'],
    ['when it names no session', event({ state: 'connected' }), 'session_id_missing'],
    ['when the session id is empty', event({ call_id: '' }), 'session_id_invalid'],
    ['when the session id is a list', event({ call_id: ['1'] }), 'session_id_invalid'],
    ['when the session id is beyond exact numbers', event({ call_id: 2 ** 53 }), 'session_id_invalid'],
    ['when the session id is a fraction', event({ call_id: 1.5 }), 'session_id_invalid'],
    ['when the session id is too long', event({ call_id: 'x'.repeat(129) }), 'session_id_invalid'],
    ['when the session id grows too long escaped', event({ call_id: '☎'.repeat(60) }), 'session_id_invalid'],
    ['when the session id has half a character', event({ call_id: 'a\uD800' }), 'session_id_invalid'],
    ['when the timestamp is none', event({ call_id: 1 }, { timestamp: 'yesterday' }), 'timestamp_invalid'],
    ['when the timestamp is an object', event({ call_id: 1 }, { timestamp: {} }), 'timestamp_invalid'],
    [
      'when it is about an agent',
      { type: 'AgentState', item: { ParticipantID: '1', State: 'login' } },
      'not_about_a_session',
    ],
    [
      'when it has no id and is nested too deeply',
      JSON.parse(`{"call_id":1,"x":${'['.repeat(50)}${']'.repeat(50)}}`),
      'too_deep',
    ],
  ])('%s', (_, raw, code) => {
    expect(rejected(raw)).toBe(code);
  });
});

describe('an event is taken all the same', () => {
  it.each([
    ['in the future', NOW + 86_400_000],
    ['in seconds', Math.trunc(NOW / 1_000)],
    ['negative', -1],
  ])('when its timestamp is %s, with the time of arrival', (_, timestamp) => {
    const read = readEvent(event({ call_id: 1 }, { timestamp }), arrival);
    expect(read).toMatchObject({ ok: true, warnings: ['timestamp_implausible'], event: { occurredAt: NOW } });
  });

  it('with an id that would break a subject, escaped', () => {
    expect(taken(event({ call_id: 'a.b *>ü' })).data).toMatchObject({
      interactionId: 'call-a~2Eb~20~2A~3E~C3~BC',
      sessionId: 'a.b *>ü',
    });
  });

  it('without a link that could harm', () => {
    const read = readEvent(event({ call_id: 1, recording_url: 'javascript:alert(1)' }), arrival);
    expect(read).toMatchObject({ ok: true, warnings: ['link_dropped'], event: { data: { recordingUrl: null } } });
  });

  it('with keys that would poison an object', () => {
    const raw: unknown = JSON.parse('{"event_id":"e","__proto__":{"call_id":9},"item":{"call_id":1,"constructor":{}}}');
    expect(taken(raw).data.interactionId).toBe('call-1');
    expect(({} as Record<string, unknown>)['call_id']).toBeUndefined();
  });

  it('with its texts cut to what we keep', () => {
    const read = taken(event({ call_id: 1, queue_path_names: 'q'.repeat(5_000), participants: 'none' }));
    expect(read.data.queuePath).toHaveLength(255);
  });
});
