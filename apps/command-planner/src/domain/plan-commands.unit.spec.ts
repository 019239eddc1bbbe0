import { describe, expect, it } from '@jest/globals';
import { type CommandAction, encodeEnvelope, type InteractionEvent, parseCommand, type TicketPolicy } from '#contracts';
import { DEFAULT_POLICY } from '#accounts';
import { liquidRender } from '../liquid-render.js';
import { eventOf, NOW } from '../../test/sample-event.js';
import { planCommands } from './plan-commands.js';

const render = liquidRender();

function plan(event: InteractionEvent, policy: Partial<TicketPolicy> = {}, nowMs = NOW) {
  const commands = planCommands({
    event,
    policy: { ...DEFAULT_POLICY, ...policy },
    policyVersion: 4,
    render,
    nowMs,
  });
  for (const command of commands) expect(parseCommand(encodeEnvelope(command))).toEqual({ ok: true, value: command });
  return commands;
}

const kinds = (event: InteractionEvent, policy: Partial<TicketPolicy> = {}) =>
  plan(event, policy).map(({ type }) => type);

function action<K extends CommandAction['kind']>(kind: K, event: InteractionEvent, policy: Partial<TicketPolicy> = {}) {
  const found = plan(event, policy).find(({ type }) => type === kind)?.data.action;
  if (found?.kind !== kind) throw new Error(`no ${kind}`);
  return found as Extract<CommandAction, { kind: K }>;
}

describe('a call', () => {
  it.each([
    ['started', []],
    ['routed', []],
    ['assigned', ['ensureTicket']],
    ['active', ['ensureTicket']],
    ['ended', ['ensureTicket', 'addComment']],
    ['dispositioned', ['ensureTicket', 'addComment']],
    ['metadata', ['ensureTicket']],
  ] as const)('that is %s leads to %j', (name, expected) => {
    expect(kinds(eventOf(name))).toEqual(expected);
  });

  it('waits for the agent to be connected where the policy says so', () => {
    expect(kinds(eventOf('assigned'), { ticketAt: 'connected' })).toEqual([]);
    expect(kinds(eventOf('active'), { ticketAt: 'connected' })).toEqual(['ensureTicket']);
  });

  it('has one ticket command, whichever event asks for it', () => {
    const ids = (['assigned', 'active', 'ended', 'metadata'] as const).map((name) => plan(eventOf(name))[0]!.id);
    expect(new Set(ids).size).toBe(1);
  });

  it('that nobody took is ticketed with its tag', () => {
    const event = eventOf('ended', { abandoned: true, endedAt: NOW });
    expect(action('ensureTicket', event).tags).toEqual(['ccai', 'ccai_abandoned']);
    expect(action('setFields', event)).toMatchObject({ tags: ['ccai_abandoned'], customFields: [] });
    expect(action('addComment', event).body).toContain('The customer left before an agent connected');
  });

  it('reads well to an agent', () => {
    const facts = {
      queuePath: 'support/orders',
      contact: { phone: '+12025550147', userId: null, email: null, name: null },
      agent: { id: '7', name: 'Agent 7', email: null, virtual: false },
    };
    const ticket = action('ensureTicket', eventOf('assigned', facts));
    expect(ticket.subject).toBe('Call from +12025550147 to support/orders');
    expect(ticket.body).toContain('Agent: Agent 7');
    const ended = {
      ...facts,
      endedAt: Date.UTC(2026, 0, 5, 9),
      callSeconds: 245,
      recordingUrl: 'https://r.example.com/1',
    };
    expect(action('addComment', eventOf('ended', ended)).body).toMatch(
      /^Ended at 2026-01-05T09:00:00.*\nTalked: 245 s\nRecording: https:\/\/r\.example\.com\/1$/,
    );
    const dispositions = [{ code: 'resolved', customCodeId: null, note: 'Sent again' }];
    expect(action('addComment', eventOf('dispositioned', { dispositions })).body).toContain('resolved: Sent again');
  });
});

describe('a chat', () => {
  const policy = { chatAfterCustomerMessages: 3 };
  it.each([
    ['has no ticket before the customer has written enough', 2, []],
    ['has a ticket once the customer has written enough', 3, ['ensureTicket']],
    ['is treated as a call where nobody counts', null, ['ensureTicket']],
  ] as const)('%s', (_, customerMessages, expected) => {
    expect(kinds(eventOf('assigned', { channel: 'chat', customerMessages }), policy)).toEqual(expected);
  });

  it('has its ticket at the end however little was written', () => {
    expect(kinds(eventOf('ended', { channel: 'chat', customerMessages: 1 }), policy)).toContain('ensureTicket');
  });
});

describe('fields', () => {
  const customFields = [
    { id: 1, value: '{{ rating }}', type: 'number' },
    { id: 2, value: '{{ queue }}', type: 'text' },
    { id: 3, value: '{{ agent.name }}', type: 'text' },
    { id: 4, value: '{{ voicemail }}', type: 'checkbox' },
  ] as const;

  it('are set with the ticket as far as they are known', () => {
    const ticket = action('ensureTicket', eventOf('assigned', { queuePath: 'q' }), { customFields });
    expect(ticket.customFields).toEqual([
      { id: 2, value: 'q' },
      { id: 4, value: false },
    ]);
  });

  it('are set again only where something became known', () => {
    const known = { queuePath: 'q', rating: 5, agent: { id: '1', name: 'A', email: null, virtual: false } };
    expect(action('setFields', eventOf('metadata', known), { customFields })).toEqual({
      kind: 'setFields',
      tags: [],
      customFields: [
        { id: 1, value: 5 },
        { id: 3, value: 'A' },
      ],
    });
    expect(kinds(eventOf('metadata', { queuePath: 'q' }), { customFields })).toEqual(['ensureTicket']);
  });

  it('leave out what is not of their type', () => {
    const odd = [
      { id: 1, value: 'many', type: 'number' },
      { id: 2, value: 'perhaps', type: 'checkbox' },
      { id: 3, value: ' two  words ', type: 'text' },
    ] as const;
    expect(action('ensureTicket', eventOf('ended'), { customFields: odd }).customFields).toEqual([
      { id: 3, value: 'two words' },
    ]);
  });
});

describe('priority', () => {
  it.each([
    ['live for the ticket of an assigned call', 'assigned', 0, ['live']],
    ['live for the ticket of an active call', 'active', 0, ['live']],
    ['normal for what comes afterwards', 'ended', 0, ['normal', 'normal']],
    ['backlog for what happened long ago', 'ended', 3_600_000, ['backlog', 'backlog']],
  ] as const)('is %s', (_, name, ageMs, expected) => {
    expect(plan(eventOf(name), {}, NOW + ageMs).map(({ data }) => data.priority)).toEqual(expected);
  });

  it('of a late ticket goes with its true time and a tag', () => {
    const [ticket] = plan(eventOf('assigned'), {}, NOW + 3_600_000);
    expect(ticket!.data.action).toMatchObject({ tags: ['ccai', 'sluice_late'] });
    expect((ticket!.data.action as { body: string }).body).toContain('this happened at 2026-01-05T09:00:00.000Z');
    expect(ticket!.data.eventAt).toBe(NOW);
  });
});

describe('a template', () => {
  const long = { contact: { phone: null, userId: null, email: null, name: 'n'.repeat(255) } };
  it.each([
    ['cannot be parsed', '{% if %}'],
    ['uses an unknown filter', '{{ queue | shout }}'],
    ['renders empty', '{{ queue }}'],
    ['costs too much', '{% for i in (1..100000000) %}{{ i }}{% endfor %}'],
  ])('that %s gives way to plain words', (_, template) => {
    expect(action('ensureTicket', eventOf('ended'), { subject: template, body: template })).toMatchObject({
      subject: 'Call 846802bf90d1',
      body: 'Call 846802bf90d1',
    });
  });

  it('may be long; its subject is cut and in one line', () => {
    const { subject } = action('ensureTicket', eventOf('ended', long), { subject: 'a\nb {{ contact.name }}' });
    expect(subject).toHaveLength(150);
    expect(subject.startsWith('a b nnn')).toBe(true);
  });

  it('of a comment that renders empty makes no comment', () => {
    expect(kinds(eventOf('ended'), { comments: { ended: { body: ' {{ queue }} ', public: true } } })).toEqual([
      'ensureTicket',
    ]);
  });
});
