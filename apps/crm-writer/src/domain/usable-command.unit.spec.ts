import { describe, expect, it } from '@jest/globals';
import type { Command } from '#contracts';
import { usableCommand } from './usable-command.js';

const action = { kind: 'addComment', body: 'text', public: false };
const ticket = {
  kind: 'ensureTicket',
  mode: 'new',
  subject: 's',
  body: 'b',
  public: true,
  contact: { phone: null, userId: null, email: null, name: null },
  queuePath: null,
  tags: [],
  customFields: [],
};

function command(data: Record<string, unknown>): Command {
  const base = {
    interactionId: 'call-1',
    action,
    eventAt: 1,
    eventRank: 0,
    ordinal: 0,
    priority: 'live',
    notAfter: null,
    policyVersion: 1,
  };
  return {
    id: 'c',
    causationId: 'e',
    traceparent: null,
    type: 'addComment',
    account: 'acme',
    data: { ...base, ...data },
  } as unknown as Command;
}

describe('a command', () => {
  it.each([action, ticket, { kind: 'setFields', tags: ['a'], customFields: [{ id: 1, value: null }] }])(
    'can be used as it is',
    (one) => {
      const given = command({ action: one });
      expect(usableCommand(given)).toEqual({ ok: true, value: given });
    },
  );

  it.each<[string, Record<string, unknown>]>([
    ['priority', { priority: 'soon' }],
    ['eventAt', { eventAt: 1.5 }],
    ['notAfter', { notAfter: 'tomorrow' }],
    ['body', { action: { ...action, body: undefined } }],
    ['contact', { action: { ...ticket, contact: {} } }],
    ['mode', { action: { ...ticket, mode: 'other' } }],
    ['queuePath', { action: { ...ticket, queuePath: 3 } }],
    ['tags', { action: { kind: 'setFields', tags: [1], customFields: [] } }],
    ['customFields', { action: { kind: 'setFields', tags: [], customFields: [{ id: 'x' }] } }],
    ['an id', { interactionId: 'call-\u0000' }],
  ])('is put aside for the operator where %s is unusable', (_what, data) => {
    expect(usableCommand(command(data)).ok).toBe(false);
  });

  it.each<Partial<Command>>([
    { causationId: 'event-\uD83D' },
    { causationId: 'event-\u0000' },
    { traceparent: '\u0000' },
  ])('is put aside where an id of its message holds what no store takes: %j', (changed) => {
    expect(usableCommand({ ...command({}), ...changed }).ok).toBe(false);
  });

  it('loses the characters that no store takes, and no others', () => {
    const body = 'a\u0000b \uD83D c \uD83D\uDE00 d \uDE00';
    const usable = usableCommand(command({ action: { ...action, body } }));
    expect(usable).toMatchObject({
      ok: true,
      value: { data: { action: { body: 'a\uFFFDb \uFFFD c \uD83D\uDE00 d \uFFFD' } } },
    });
  });
});
